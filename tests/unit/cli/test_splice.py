"""antideepfake splice: how its options reach the library, and what it refuses."""

import pytest

from antideepfake.corpora.build import BuildReport

GIVEN = ["splice", "p.csv", "--output_folder", "v", "--output", "v.csv", "--quiet"]


@pytest.fixture
def calls(monkeypatch, tmp_path):
    """Run in an empty folder, with a library that splices nothing; the arguments of each call."""
    monkeypatch.chdir(tmp_path)
    calls = []

    def pretend(*given, **options):
        calls.append((given, options))
        return BuildReport(1, [{"id": "a", "path": "a", "reason": "short"}], counts={"-": {"fake": [1, 1800.0]}})

    monkeypatch.setattr("antideepfake.augment.splice.splice_protocol", pretend)
    return calls


def test_left_out_utterances_exit_with_status_1(command, calls):
    status, out, err = command(*GIVEN, "--split", "test", "--seed", "5", "--num_workers", "2")
    assert status == 1 and "0.50 h" in out and "left out: 1 files" in err
    assert calls[0][0] == ("p.csv", ".", "v", "v.csv")
    assert calls[0][1] == {"split": "test", "seed": 5, "num_workers": 2, "quiet": True, "scheduler": None}


def test_an_existing_folder_is_kept_unless_a_run_was_interrupted(command, calls, tmp_path):
    (tmp_path / "v").mkdir()
    status, _, err = command(*GIVEN)
    assert status == 2 and "v: already exists; choose another --output_folder" in err and not calls
    command(*GIVEN, "--overwrite")
    (tmp_path / "v.csv.splices.journal").touch()
    command(*GIVEN)
    assert len(calls) == 2
