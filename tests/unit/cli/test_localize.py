"""antideepfake localize: from a timeline and a protocol with segments to a table and a plot."""

import json

import pandas as pd
import pytest

from antideepfake.protocol.table import COLUMNS, write_protocol


@pytest.fixture
def run(command, monkeypatch, tmp_path):
    """Run in a folder with a protocol of three utterances of 4 s, its segments and timelines with steps of 1 s."""
    monkeypatch.chdir(tmp_path)
    rows = [
        [name, label, 4.0, 16000, f"$ROOT/{name}.wav", "-", "-", "test", 1, "FLAC", 16, "EN"]
        for name, label in (("a", "fake"), ("b", "real"), ("c", "fake"))
    ]
    write_protocol(pd.DataFrame(rows, columns=COLUMNS), "p.csv")
    (tmp_path / "p.segments.csv").write_text("ID,Start,End,Label\na,1,2,fake\n")
    scores = {"a": [1, -1, 1, 1], "b": [1, 1, -2, 1], "c": [-1, -1, -1, 1]}
    timelines = [
        {"file": name, "duration": 4.0, "threshold": 0.0, "step": 1.0, "scores": values}
        for name, values in scores.items()
    ]
    (tmp_path / "t.json").write_text(json.dumps(timelines))
    lines = [f"{name},{i},{i + 1},{value},x" for name, values in scores.items() for i, value in enumerate(values)]
    (tmp_path / "t.csv").write_text("\n".join(["file,start,end,score,label", *lines]))
    return lambda *given: command("localize", *given)


def test_the_table(run):
    status, out, err = run("t.json", "p.csv", "--resolutions", "1", "2")
    assert status == 0 and err == ""
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["3", "utterances"]
    # 7 s real, of which 1 s has a score of -2; 5 s fake, of which 1 s has a score of 1
    assert [line[:6] for line in lines if line[0] == "range-based"] == [["range-based", "7", "s", "5", "s", "18.92"]]
    assert [line[:4] for line in lines if line[:2] == ["1000", "ms"]] == [["1000", "ms", "7", "5"]]
    assert [line[:4] for line in lines if line[:2] == ["2000", "ms"]] == [["2000", "ms", "3", "3"]]
    assert "fake time at the threshold: precision 80.0 %, recall 80.0 %, F1 80.0 %" in out


def test_forms_for_programs(run):
    facts = json.loads(run("t.json", "p.csv", "--format", "json")[1])
    assert facts["utterances"] == 3 and len(facts["eer"]) == 7 and facts["eer"][-1]["resolution"] is None
    assert facts["fake_time"]["f1"] == pytest.approx(0.8)
    assert len(run("t.json", "p.csv", "--format", "csv")[1].splitlines()) == 8


def test_a_file_without_a_threshold(run):
    status, out, err = run("t.csv", "p.csv")
    assert status == 0 and "fake time" not in out and "--threshold gives precision and recall" in err
    _, out, err = run("t.csv", "p.csv", "--threshold", "0")
    assert "recall 80.0 %" in out and err == ""


def test_files(run, tmp_path):
    assert run("t.json", "p.csv", "--output", "o")[0] == 0
    assert len(pd.read_csv(tmp_path / "o" / "localization.csv")) == 7
    assert (tmp_path / "o" / "localization.png").read_bytes()[:4] == b"\x89PNG"


def test_mistakes(run, tmp_path):
    (tmp_path / "q.segments.csv").write_text("ID,Start,End,Label\nb,1,2,fake\n")
    for given, message in (
        (["t.json", "p.csv", "--segments", "absent.csv"], "absent.csv: no such file"),
        (["t.json", "p.csv", "--segments", "q.segments.csv"], "q.segments.csv:2: 'b' is real"),
        (["absent.json", "p.csv"], "absent.json: no such file"),
        (["t.json", "p.csv", "--resolutions", "0"], "must be a number of seconds above 0"),
    ):
        status, out, err = run(*given)
        assert status == 2 and out == "" and message in err
    (tmp_path / "t.json").write_text((tmp_path / "t.json").read_text().replace('"c"', '"d"'))
    assert "the timeline 'd' is not of an utterance of the protocol" in run("t.json", "p.csv")[2]
