"""tools/benchmark_loading.py: a line for each number of workers."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_line_for_each_number_of_workers(tmp_path):
    program = [sys.executable, ROOT / "tools" / "benchmark_loading.py", "--quiet"]
    options = ["--clips", "20", "--seconds", "0.5", "--rounds", "1", "--num_workers", "0", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    done = subprocess.run([*program, *options], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[1] == ["workers", "files,", "disk", "files,", "cache", "shards,", "disk", "shards,", "cache"]
    assert [row[0] for row in rows[2:]] == ["0", "1"]
    assert all(float(value) > 0 for row in rows[2:] for value in row[1:])
    assert not list(tmp_path.iterdir())
