"""antideepfake check shortcuts: exit status and what it prints."""

import json

import pandas as pd
import pytest


@pytest.fixture
def run(command, monkeypatch):
    """Run the command with given areas under the ROC curve in place of those of recordings."""

    def run(areas, *options):
        monkeypatch.setattr("antideepfake.protocol.table.read_protocol", lambda path: path)
        monkeypatch.setattr(
            "antideepfake.audit.shortcuts.measure_shortcuts", lambda *given: pd.DataFrame({"all": areas})
        )
        return command("check", "shortcuts", "p.csv", *options)

    return run


def test_a_shortcut_exits_with_status_1(run):
    status, out, err = run({"duration": 0.5, "level": 0.7, "peak": 0.34})
    assert status == 1 and "no shortcut" not in out
    assert err.startswith("p.csv: level, peak alone separates the classes; pass real and fake speech through the same")


def test_a_corpus_without_shortcuts_exits_with_status_0(run):
    status, out, err = run({"duration": 0.65, "level": 0.35})
    assert (status, err) == (0, "") and out.splitlines()[-1].startswith("no shortcut")


def test_shortcuts_are_marked_for_programs(run):
    status, out, _ = run({"duration": 0.5, "level": 0.7}, "--format", "json")
    assert status == 1
    assert json.loads(out) == [
        {"property": "duration", "all": 0.5, "shortcut": False},
        {"property": "level", "all": 0.7, "shortcut": True},
    ]
