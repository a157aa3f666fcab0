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
# One process for each core. The tests of a file share what they set up. Folders with long tests come first.
OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder "$@"
echo "run_tests: all passed"
