#!/usr/bin/env bash
# Sets up everything, checks style and types, and runs the tests. Run again, it skips the setup.
set -euo pipefail
cd "$(dirname "$0")/.."
source tools/environment.sh
environment test

echo "== style"
ruff check .
ruff format --check .
echo "== types"
mypy
echo "== tests"
python -m pytest "$@"
echo "run_tests: all passed"
