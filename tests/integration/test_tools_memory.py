"""tools/training_memory.py: a front end in, a table that fits the screen out."""

import importlib.util
import sys
from pathlib import Path

import pytest

from antideepfake.training.memory import WAYS

PROGRAM = Path(__file__).parents[2] / "tools" / "training_memory.py"
TINY = """!new:antideepfake.lobes.Wav2Vec2BERT
hidden_size: 256
num_hidden_layers: 2
num_attention_heads: 4
intermediate_size: 1024
"""


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run the program in this process, with front ends of a folder of its own; gives its status and what it says."""
    spec = importlib.util.spec_from_file_location("memory_program", PROGRAM)
    assert spec and spec.loader
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    assert len(program.NAMES) == 19 and not [name for name in program.NAMES if "filter_bank" in name]
    monkeypatch.setattr(program, "FRONT_ENDS", tmp_path)
    monkeypatch.setattr(program, "measure_memory", lambda *_: 12_300_000_000)  # a unit test does it
    (tmp_path / "wavlm_xlarge.yaml").write_text(TINY)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["training_memory.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            program.run_program(program.main)
        return left.value.code, capsys.readouterr()

    return call


def test_the_table_has_a_row_for_each_way(run):
    status, (out, _) = run("wavlm_xlarge", "--clips", 1, "--seconds", 1)
    _, heading, *rows = out.splitlines()
    assert status == 0 and len(rows) == len(WAYS)
    for row, way in zip(rows, WAYS, strict=True):
        assert row.startswith("wavlm_xlarge") and f" {way} " in row
        assert len(row) == len(heading) <= 100
        weights, gradients, moments, *_ = map(float, row.split(way + " ")[-1].split())
        assert weights > 0 and gradients <= weights and moments == pytest.approx(2 * gradients, abs=0.01)


def test_a_missing_front_end_is_reported(run):
    status, (_, err) = run("wavlm_small")
    assert status == 2 and "wavlm_small.yaml: no such file" in err


def test_only_configurations_that_fit_are_measured(run):
    _, (out, _) = run("wavlm_xlarge", "--clips", 1, "--seconds", 1, "--measure", 0.05)
    _, heading, *rows = out.splitlines()
    assert heading.endswith("measured") and len(heading) <= 100
    fits = [float(row[: heading.index("measured")].split()[-1]) < 0.05 for row in rows]
    assert any(fits) and not all(fits)
    assert [row.endswith("12.30") and len(row) == len(heading) for row in rows] == fits
