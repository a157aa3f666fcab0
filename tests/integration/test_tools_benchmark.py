"""tools/benchmark.py: a table, a JSON file and a plot; both ways of a measurement give the same result."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from antideepfake.audio.probe import probe
from antideepfake.errors import InputError
from antideepfake.metrics.rates import equal_error_rate, error_rates, sort_trials
from antideepfake.protocol.table import read_protocol, resolve_path

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tools" / "benchmark.py"


def run(folder, *arguments):
    """Run the program in a separate process."""
    (folder / "scratch").mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, PROGRAM, *map(str, arguments), "--output", folder / "results", "--quiet"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "scratch")},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def benchmarks(monkeypatch):
    """Make the modules of the measurements importable."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))


def test_table_json_and_plot_of_growing_work(tmp_path):
    done = run(tmp_path, "merging", "preparation", "--scale", 0.001, 0.002, "--rounds", 1)
    assert done.returncode == 0, done.stderr
    heading, *rows, machine = done.stdout.splitlines()
    assert heading.startswith("what") and "medians of 1 rounds" in machine
    assert len(rows) == 6 and rows[0].startswith("merging: merge, CSV")
    written = json.loads((tmp_path / "results/benchmark.json").read_text())
    assert [row["work"] for row in written["results"]] == [1000, 1000, 2000, 2000, 100, 100]
    for row in written["results"]:
        assert row["ratio"] == row["own"]["wall"] / row["plain"]["wall"] and row["own"]["memory"] > 1e6
    assert (tmp_path / "results/benchmark.png").stat().st_size > 10_000
    assert not list((tmp_path / "scratch").iterdir())
    again = run(tmp_path, "merging")
    assert again.returncode == 2 and "--overwrite" in again.stderr


@pytest.fixture
def inputs(tmp_path, tiny_front_end, benchmarks):
    """Inputs of measurements of a tiny detector."""
    from benchmarks.inputs import Inputs

    return Inputs(tmp_path, tiny_front_end, 0.05, 1)


@pytest.mark.slow
def test_a_detector_is_measured(inputs, monkeypatch):
    from benchmark import format_speeds
    from benchmarks import arithmetic, scoring
    from benchmarks.measure import measure

    first = next(scoring.list_measurements(inputs))  # the others would take another minute
    [result] = measure("scoring", [first], inputs.folder, 1, 1, quiet=True)
    assert result.name == "clips, float32" and result.difference < 1e-3

    for name, value in {"SIZE": 64, "CLIPS": 2, "SECONDS": 1}.items():
        monkeypatch.setattr(arithmetic, name, value)
    clips = inputs.clips(arithmetic.CLIPS, str(arithmetic.SECONDS))
    output = inputs.folder / "arithmetic.json"
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # time_routes sets it, in a process of its own
    monkeypatch.setattr(torch, "compile", lambda network: network)  # takes two minutes
    forms = map(str, (inputs.model, inputs.transformers, inputs.onnx, inputs.onnx))  # another export takes long
    arithmetic.time_routes(*forms, str(clips), str(output), "1")
    speeds = [arithmetic.Speed(*values) for values in json.loads(output.read_text())]
    ways = {"scoring, plain", "scoring, ONNX", "scoring, torch.compile", "scoring", "training, plain", "training"}
    assert {item.route for item in speeds} == ways and {item.precision for item in speeds} >= {"float32", "int8"}
    assert all(item.operations > 0 and item.speed > 0 for item in speeds)
    assert len(format_speeds(speeds).splitlines()) == 1 + len(speeds)


def test_scale_is_measured_only_on_request(tmp_path):
    assert "all but scale" in " ".join(run(tmp_path, "--help").stdout.split())


def test_files_and_rows_of_scale(tmp_path, benchmarks):
    from benchmarks.scale import write_files, write_protocol

    write_files(str(tmp_path / "audio"), "1002")
    write_protocol(str(tmp_path / "rows.csv"), "2004", "1002")
    rows = read_protocol(tmp_path / "rows.csv")
    assert rows["Label"].value_counts().to_dict() == {"real": 2000, "fake": 4}
    assert rows["Duration"].min() >= 2 and rows["Duration"].max() < 13
    paths = [resolve_path(path, tmp_path / "audio") for path in rows["Path"]]
    assert len({path.read_bytes() for path in paths}) == 1002
    assert {probe(path)["Duration"] for path in paths[:2]} == {0.1}


def test_lack_of_space_is_reported(tmp_path, benchmarks):
    from benchmarks.scale import check_space

    with pytest.raises(InputError, match=r"need about 1000000000\.0 GB.*TMPDIR"):
        check_space(tmp_path, 1e18)


def test_mistakes_are_reported(tmp_path):
    done = run(tmp_path, "speed")
    assert done.returncode == 2 and "subject 'speed' is unknown" in done.stderr
    done = run(tmp_path, "scoring", "--front_end", "small")
    assert done.returncode == 2 and "small.yaml: no such file" in done.stderr


def test_plain_evaluation_gives_the_same_error_rate(tmp_path, benchmarks, capsys):
    from benchmarks.evaluation import evaluate_plain, write_scores

    path = tmp_path / "scores.csv"
    write_scores(str(path), "2000", "1")
    evaluate_plain(str(path))
    scores: dict[str, list[float]] = {"0": [], "1": []}
    for row in csv.DictReader(path.open()):
        fake, real = json.loads(row["Score"])
        scores[row["Label"]].append(real - fake)
    expected, _ = equal_error_rate(error_rates(sort_trials(scores["1"], scores["0"])))
    assert float(capsys.readouterr().out.split()[-1]) == pytest.approx(float(expected), abs=2e-3)


def test_a_failed_command_is_reported(tmp_path, benchmarks):
    from benchmarks.measure import antideepfake
    from benchmarks.measure import run as run_command

    with pytest.raises(Exception, match="no-such-verb"):
        run_command(antideepfake("no-such-verb"), tmp_path)


def test_the_clock_starts_only_while_measured(tmp_path, benchmarks, monkeypatch):
    from benchmarks.measure import CLOCK, start_clock

    monkeypatch.delenv(CLOCK, raising=False)
    start_clock()
    monkeypatch.setenv(CLOCK, str(tmp_path / "clock"))
    start_clock()
    assert len([float(value) for value in (tmp_path / "clock").read_text().split()]) == 2
