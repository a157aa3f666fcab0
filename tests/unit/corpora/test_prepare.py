"""What all preparations share: where the corpus is, what is kept, what is said at the end."""

import pytest

from antideepfake.corpora.build import BuildReport
from antideepfake.corpora.prepare import prepare_corpus, prepare_parser, tell_report
from antideepfake.errors import InputError
from antideepfake.protocol.table import read_protocol


def list_two(corpus, label="real"):
    """A corpus of two files, the second of which is missing."""
    return [{"ID": name, "Label": label, "Path": f"{name}.wav"} for name in ("a", "b")]


def test_the_corpus_may_lie_elsewhere(tmp_path, write_audio):
    """A corpus under another name, or on another disk, could not be prepared."""
    write_audio(tmp_path / "data" / "Other" / "a.wav")
    write_audio(tmp_path / "disk" / "a.wav")
    for folder, path in (("Other", "$ROOT/Other/a.wav"), (tmp_path / "disk", f"{tmp_path}/disk/a.wav")):
        prepare_corpus(list_two, tmp_path / "data", tmp_path / "p.csv", folder, quiet=True, overwrite=True)
        assert read_protocol(tmp_path / "p.csv")["Path"].tolist() == [path]


def test_a_missing_corpus_is_told_with_the_mend(tmp_path):
    """A wrong --data_folder would end in a traceback."""
    with pytest.raises(InputError, match="Corpus: no such folder; --corpus_folder names"):
        prepare_corpus(list_two, tmp_path, tmp_path / "p.csv", "Corpus")


def test_a_protocol_that_is_there_is_kept_unless_told(tmp_path, write_audio):
    """A finished corpus would be gone through again; or --overwrite be without effect."""
    write_audio(tmp_path / "C" / "a.wav")
    first = prepare_corpus(list_two, tmp_path, tmp_path / "p.csv", "C", quiet=True)
    write_audio(tmp_path / "C" / "b.wav")
    assert prepare_corpus(list_two, tmp_path, tmp_path / "p.csv", "C", quiet=True) == first
    assert len(first.left_out) == 1
    again = prepare_corpus(list_two, tmp_path, tmp_path / "p.csv", "C", quiet=True, overwrite=True, label="fake")
    assert (again.left_out, again.counts) == ([], {"-": {"fake": [2, 1.0]}})


def test_a_protocol_from_elsewhere_is_not_taken_for_ones_own(tmp_path, write_audio):
    """A published protocol that was put there would be overwritten, or its counts not be known."""
    write_audio(tmp_path / "C" / "a.wav")
    (tmp_path / "p.csv").write_text("published")
    with pytest.raises(InputError, match=r"p\.csv: is there already, without a report"):
        prepare_corpus(list_two, tmp_path, tmp_path / "p.csv", "C", quiet=True)
    assert (tmp_path / "p.csv").read_text() == "published"


def test_only_what_was_given_reaches_the_recipe():
    """--corpus_folder, not given, would overrule the folder that the recipe knows."""
    given = vars(prepare_parser("X").parse_args(["--data_folder", "d", "--output", "o", "--quiet"]))
    assert given == {"data_folder": "d", "output": "o", "quiet": True}


@pytest.mark.parametrize(
    ("published", "said"),
    [
        ({"test": {"real": 2, "fake": 1}}, []),
        ({"test": {"all": 3}}, []),
        ({"test": {"all": 4, "fake": 1}}, ["all utterances of split test: 4 published, 3 here"]),
        ({"train": {"real": 5}}, ["real utterances of split train: 5 published, 0 here"]),
        (None, []),
    ],
)
def test_published_counts_are_compared(capsys, published, said):
    """A corpus with holes would pass for a whole one."""
    report = BuildReport(3, counts={"test": {"real": [2, 5.0], "fake": [1, 2.0]}})
    assert tell_report(report, "p.csv", published) == 0
    told = capsys.readouterr()
    assert told.err.splitlines() == said
    assert ("all published counts agree" in told.out) == (published is not None and not said)


def test_what_is_amiss_is_told_with_the_place_of_the_list(capsys):
    """A script would take a corpus with holes for a whole one."""
    left_out = [{"id": "a", "path": "a.wav", "reason": "no such file"}]
    assert tell_report(BuildReport(1, left_out, ["$ROOT/b.wav", "$ROOT/c.wav"]), "p.csv") == 1
    assert capsys.readouterr().err.splitlines() == [
        "2 audio files beside them are not in the corpus's list",
        "left out: 1 files",
        "the list is in p.csv.report.json",
    ]
    assert tell_report(BuildReport(1, [], ["$ROOT/b.wav"]), "p.csv") == 0
