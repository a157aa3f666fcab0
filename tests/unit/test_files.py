"""Files that appear whole or not at all."""

import errno
import os

import pytest

from antideepfake.files import atomic_open, atomic_path


def test_failure_keeps_the_old_file_and_leaves_nothing(tmp_path):
    """A crash in the middle would destroy the last good file, or leave rubbish beside it."""
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_open(target) as file:
        file.write("half of the new")
        file.flush()
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_final_name_appears_only_at_the_end(tmp_path):
    """Another process would read a file that is still being written."""
    target = tmp_path / "a.csv"
    with atomic_path(target) as temporary:
        temporary.write_text("x")
        assert not target.exists()
        assert temporary.parent == target.parent  # a rename across file systems is no rename
        assert temporary.suffix == ".csv"  # writers that go by the suffix must know the format
    assert target.read_text() == "x"
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_full_disk_leaves_nothing(tmp_path, monkeypatch, mode):
    """Data that the system accepted but could not store would take the final name."""

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), atomic_open(tmp_path / "a.txt", mode) as file:
        file.write("x" if mode == "w" else b"x")
    assert os.listdir(tmp_path) == []


def test_text_is_utf8_whatever_the_locale(tmp_path):
    """A file written on one machine would not be read on another."""
    with atomic_open(tmp_path / "a.txt") as file:
        file.write("ü語")
    assert (tmp_path / "a.txt").read_bytes() == "ü語".encode()


def test_interruption_leaves_nothing(tmp_path):
    """Ctrl-C is not an Exception; a clean-up that catches only those would leave the temporary file."""
    with pytest.raises(KeyboardInterrupt), atomic_open(tmp_path / "a.txt") as file:
        file.write("x")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
