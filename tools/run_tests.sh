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
# one process for each core; the tests of a file share what they set up
OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --dist loadfile "$@"
echo "run_tests: all passed"
