"""antideepfake vocode: how its options reach the library, and what it prints."""

import pytest

from antideepfake.corpora.build import BuildReport

GIVEN = ["p.csv", "--output_folder", "v", "--output", "v.csv", "--quiet", "--vocoder"]


@pytest.fixture
def vocode(command, monkeypatch, tmp_path):
    """Run the command with a library that re-synthesizes nothing; gives status, output, errors and its arguments."""
    monkeypatch.chdir(tmp_path)
    calls = []

    def pretend(*given):
        calls.append(given)
        return BuildReport(1, [{"id": "a", "path": "a", "reason": "silent"}], counts={"-": {"fake": [1, 1800.0]}})

    monkeypatch.setattr("antideepfake.augment.vocode.vocode_protocol", pretend)
    return lambda *options: (*command("vocode", *GIVEN, *options), calls)


def test_left_out_files_exit_with_status_1(vocode):
    status, out, err, _ = vocode("world")
    assert status == 1 and out.splitlines()[1].split() == ["-", "0", "0.00", "h", "1", "0.50", "h"]
    assert "left out: 1 files" in err


def test_counts_can_be_read_by_programs(vocode):
    assert vocode("world", "--format", "csv")[1] == "split,label,utterances,hours\n-,fake,1,0.5\n"


@pytest.mark.parametrize(("vocoder", "device"), [("world", "cpu"), ("transformers:x", "cuda:1")])
def test_only_neural_vocoders_use_the_device(vocode, vocoder, device):
    *_, calls = vocode(vocoder, "--device", "cuda:1")
    assert calls[0][4:6] == ([vocoder], device)


def test_the_source_may_be_the_output(vocode, tmp_path):
    """Guards against a refusal of 'already exists' where the library explains the mistake better."""
    (tmp_path / "p.csv").touch()
    *_, calls = vocode("world", "--output", "p.csv")
    assert len(calls) == 1
