"""Preparation of a corpus: where it is, and when its protocol is kept."""

import pytest

from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.errors import InputError
from antideepfake.protocol.table import read_protocol


def list_two(corpus, label="real"):
    """List two files, the second of which is missing."""
    return [{"ID": name, "Label": label, "Path": f"{name}.wav"} for name in ("a", "b")]


def test_the_corpus_may_be_outside_the_data_folder(tmp_path, write_audio):
    write_audio(tmp_path / "data" / "Other" / "a.wav")
    write_audio(tmp_path / "disk" / "a.wav")
    for folder, path in (("Other", "$ROOT/Other/a.wav"), (tmp_path / "disk", f"{tmp_path}/disk/a.wav")):
        prepare_corpus(list_two, tmp_path / "data", tmp_path / "p.csv", folder, quiet=True, overwrite=True)
        assert read_protocol(tmp_path / "p.csv")["Path"].tolist() == [path]


def test_a_missing_corpus_is_reported_with_the_fix(tmp_path):
    with pytest.raises(InputError, match=r"Corpus: no such folder; .* pass --corpus_folder"):
        prepare_corpus(list_two, tmp_path, tmp_path / "p.csv", "Corpus")


def test_an_existing_protocol_is_kept_without_overwrite(tmp_path, write_audio):
    write_audio(tmp_path / "C" / "a.wav")
    first = prepare_corpus(list_two, tmp_path, tmp_path / "p.csv", "C", quiet=True)
    write_audio(tmp_path / "C" / "b.wav")
    assert prepare_corpus(list_two, tmp_path, tmp_path / "p.csv", "C", quiet=True) == first
    assert len(first.left_out) == 1
    again = prepare_corpus(list_two, tmp_path, tmp_path / "p.csv", "C", quiet=True, overwrite=True, label="fake")
    assert (again.left_out, again.counts) == ([], {"-": {"fake": [2, 1.0]}})


def test_a_protocol_without_a_report_is_refused(tmp_path, write_audio):
    """Guards against replacing a published protocol that was copied there."""
    write_audio(tmp_path / "C" / "a.wav")
    (tmp_path / "p.csv").write_text("published")
    with pytest.raises(InputError, match=r"p\.csv: already exists without a report"):
        prepare_corpus(list_two, tmp_path, tmp_path / "p.csv", "C", quiet=True)
    assert (tmp_path / "p.csv").read_text() == "published"
