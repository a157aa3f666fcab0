"""The journal of a preparation: headers read before an interruption, unless the files changed."""

import os

import pytest

from antideepfake.corpora.journal import Journal
from antideepfake.errors import InputError


@pytest.fixture
def interrupted(tmp_path):
    """A journal of three files, one of them missing, whose run was interrupted."""
    for name in "ab":
        (tmp_path / name).write_text(name)
    with pytest.raises(KeyboardInterrupt), Journal(tmp_path / "journal") as journal:
        for name in "abc":
            assert journal.read(str(tmp_path / name)) is None
            journal.write(str(tmp_path / name), {"Duration": 1.5} if name != "c" else "no such file")
        raise KeyboardInterrupt
    return tmp_path


def read_again(folder, names="abc"):
    """Return what a resumed run reads."""
    with Journal(folder / "journal") as journal:
        return [journal.read(str(folder / name)) for name in names]


def test_a_resumed_run_reads_what_was_written(interrupted):
    assert read_again(interrupted) == [{"Duration": 1.5}, {"Duration": 1.5}, "no such file"]
    assert not (interrupted / "journal").exists()


def test_another_order_discards_the_rest(interrupted):
    """Guards against the header of one file given to another."""
    assert read_again(interrupted, "acb") == [{"Duration": 1.5}, None, None]


@pytest.mark.parametrize(("changed", "known"), [("b", 1), ("c", 2)])
def test_a_changed_file_discards_the_rest(interrupted, changed, known):
    """Guards against the old duration of a file that was replaced."""
    (interrupted / changed).write_text("longer")
    assert [header is not None for header in read_again(interrupted)] == [number < known for number in range(3)]


def test_a_truncated_line_is_discarded(interrupted):
    journal = interrupted / "journal"
    journal.write_bytes(journal.read_bytes()[:-9])
    assert read_again(interrupted) == [{"Duration": 1.5}, {"Duration": 1.5}, None]


def test_after_discarded_lines_the_journal_continues(interrupted):
    with pytest.raises(KeyboardInterrupt), Journal(interrupted / "journal") as journal:
        assert journal.read(str(interrupted / "a")) == {"Duration": 1.5}
        assert journal.read(str(interrupted / "c")) is None
        journal.write(str(interrupted / "c"), "gone")
        raise KeyboardInterrupt
    assert read_again(interrupted, "acb") == [{"Duration": 1.5}, "gone", None]


def test_an_input_error_removes_the_journal(tmp_path):
    with pytest.raises(InputError), Journal(tmp_path / "journal"):
        raise InputError("wrong folder")
    assert os.listdir(tmp_path) == []
