"""tools/benchmark_preparation.py: a table of all runs, and an identical protocol after a killed run is resumed."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(*arguments, **environment):
    """Run the program in a separate process."""
    return subprocess.run(
        [sys.executable, ROOT / "tools" / "benchmark_preparation.py", "--quiet", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


def test_a_resumed_run_writes_the_same_protocol(tmp_path):
    done = run("--files", "3000", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    recorded = int(rows[4][-6])
    assert rows[4][:3] == ["killed", "(status", "-9)"] and 1500 <= recorded < 3000
    assert done.stdout.splitlines()[-1] == "protocol of the resumed run: identical"
    assert not list(tmp_path.iterdir())


def test_too_few_files():
    done = run("--files", "10")
    assert done.returncode == 2 and done.stderr.startswith("error: --files 10: use at least 1000")
