"""From files, folders and protocols to one table."""

import pytest

from antideepfake.corpora.build import build_protocol
from antideepfake.errors import InputError
from antideepfake.scoring.inputs import find_inputs


@pytest.fixture
def protocol(tmp_path, write_audio):
    rows = [
        {"ID": f"u{n}", "Label": "real", "Path": str(write_audio(tmp_path / f"{n}.wav")), "Proportion": split}
        for n, split in enumerate(("train", "test"))
    ]
    build_protocol(rows, tmp_path, tmp_path / "p.csv", quiet=True)
    return tmp_path / "p.csv"


def test_a_split_of_a_protocol(protocol):
    assert find_inputs([str(protocol)])["ID"].tolist() == ["u0", "u1"]
    assert find_inputs([str(protocol)], "test")["ID"].tolist() == ["u1"]
    with pytest.raises(InputError, match="no utterance has the split 'valid'"):
        find_inputs([str(protocol)], "valid")


def test_folders_and_protocols_are_combined(protocol, tmp_path, write_audio):
    write_audio(tmp_path / "deep" / "er" / "a.wav")
    table = find_inputs([str(protocol), str(tmp_path / "deep")])
    assert table["ID"].tolist() == ["u0", "u1", str(tmp_path / "deep/er/a.wav")]
    assert table["Label"].tolist() == ["real", "real", ""]


@pytest.mark.parametrize(("inputs", "message"), [([""], "empty string"), (["a.wav"], "no such file or folder")])
def test_inputs_that_do_not_exist_are_refused(inputs, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        find_inputs(inputs)
