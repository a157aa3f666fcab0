"""The journal: what was read before an interruption is told once more, and nothing that is no longer true."""

import os

import pytest

from antideepfake.corpora.journal import Journal
from antideepfake.errors import InputError


@pytest.fixture
def noted(tmp_path):
    """A journal of three files, one of them missing, whose run was interrupted."""
    for name in "ab":
        (tmp_path / name).write_text(name)
    with pytest.raises(KeyboardInterrupt), Journal(tmp_path / "journal") as journal:
        for name in "abc":
            assert journal.recall(str(tmp_path / name)) is None
            journal.note(str(tmp_path / name), {"Duration": 1.5} if name != "c" else "no such file")
        raise KeyboardInterrupt
    return tmp_path


def recall(folder, names="abc"):
    """What a second run is told."""
    with Journal(folder / "journal") as journal:
        return [journal.recall(str(folder / name)) for name in names]


def test_it_tells_what_was_noted(noted):
    """Headers would be read again."""
    assert recall(noted) == [{"Duration": 1.5}, {"Duration": 1.5}, "no such file"]
    assert not (noted / "journal").exists()


def test_another_order_ends_it(noted):
    """A header would be given to another file."""
    assert recall(noted, "acb") == [{"Duration": 1.5}, None, None]


@pytest.mark.parametrize(("changed", "known"), [("b", 1), ("c", 2)])
def test_a_changed_file_ends_it(noted, changed, known):
    """A file that was replaced after the interruption would keep its old duration, or stay missing."""
    (noted / changed).write_text("longer")
    assert [told is not None for told in recall(noted)] == [number < known for number in range(3)]


def test_a_line_cut_short_ends_it(noted):
    """A run that was killed while it wrote would stop all later ones."""
    journal = noted / "journal"
    journal.write_bytes(journal.read_bytes()[:-9])
    assert recall(noted) == [{"Duration": 1.5}, {"Duration": 1.5}, None]


def test_from_where_it_ends_it_is_written_anew(noted):
    """Lines of two runs would be mixed, and a third run be told those of the first."""
    with pytest.raises(KeyboardInterrupt), Journal(noted / "journal") as journal:
        assert journal.recall(str(noted / "a")) == {"Duration": 1.5}
        assert journal.recall(str(noted / "c")) is None
        journal.note(str(noted / "c"), "gone")
        raise KeyboardInterrupt
    assert recall(noted, "acb") == [{"Duration": 1.5}, "gone", None]


def test_a_mistake_of_the_users_leaves_none(tmp_path):
    """A file would stay behind in the folder for each mistyped command."""
    with pytest.raises(InputError), Journal(tmp_path / "journal"):
        raise InputError("wrong folder")
    assert os.listdir(tmp_path) == []
