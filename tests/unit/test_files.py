"""Files that appear whole or not at all."""

import errno
import json
import os
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.files import (
    HOST,
    TEMPORARIES,
    atomic_open,
    atomic_path,
    explain_write_errors,
    lock_output,
    read_json,
    remove_abandoned,
)


def test_failure_keeps_the_old_file_and_leaves_nothing(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_open(target) as file:
        file.write("half of the new")
        file.flush()
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_final_name_appears_only_at_the_end(tmp_path):
    target = tmp_path / "a.csv"
    with atomic_path(target) as temporary:
        temporary.write_text("x")
        assert not target.exists()
        assert temporary.parent == target.parent  # a rename across file systems is no rename
        assert temporary.suffix == ".csv"  # writers that go by the suffix must know the format
    assert target.read_text() == "x"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_a_failed_write_is_an_error_of_the_system(tmp_path, small_disk):
    """Guards against a traceback of a library in place of 'the disk is full'."""
    with pytest.raises(OSError, match="File too large"), explain_write_errors(tmp_path, RuntimeError):
        raise RuntimeError("stream error")
    with pytest.raises(KeyError), explain_write_errors(tmp_path, RuntimeError):
        raise KeyError
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("mode", ["w", "wb"])
def test_full_disk_leaves_nothing(tmp_path, monkeypatch, mode):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), atomic_open(tmp_path / "a.txt", mode) as file:
        file.write("x" if mode == "w" else b"x")
    assert os.listdir(tmp_path) == []


def test_text_is_utf8_whatever_the_locale(tmp_path):
    with atomic_open(tmp_path / "a.txt") as file:
        file.write("ü語")
    assert (tmp_path / "a.txt").read_bytes() == "ü語".encode()


def test_interruption_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_open(tmp_path / "a.txt") as file:
        file.write("x")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []


def _kill_while_writing(target):
    """Write half of a file in another process, and kill that."""
    program = f"""
import os, signal
from antideepfake.files import atomic_path
with atomic_path({str(target)!r}) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program])


def test_temporaries_of_killed_processes_go_with_the_next_write(tmp_path):
    _kill_while_writing(tmp_path / "model.safetensors")
    (left,) = os.listdir(tmp_path)
    others = [left.replace(HOST, "elsewhere"), f".x.{HOST}.{os.getpid()}.part.csv", ".part", ".a.part.csv"]
    for name in others:  # of another computer, of a process that runs, of another kind
        (tmp_path / name).touch()
    remove_abandoned.cache_clear()
    with atomic_open(tmp_path / "b.txt") as file:
        file.write("x")
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "b.txt"])


def test_temporaries_are_recognized_by_the_patterns_for_uploads(tmp_path):
    with atomic_path(tmp_path / "model.safetensors") as temporary, lock_output(tmp_path / "model"):
        temporary.touch()
        assert len(os.listdir(tmp_path)) == 2
        for name in os.listdir(tmp_path):
            assert any(fnmatch(name, pattern) for pattern in TEMPORARIES)


def test_a_second_run_is_refused_until_the_first_ends(tmp_path):
    with lock_output(tmp_path / "a.csv"):
        with pytest.raises(InputError, match=r"a\.csv: another run is writing it"), lock_output(tmp_path / "a.csv"):
            pass
        with lock_output(tmp_path / "b.csv"):
            pass
    with lock_output(tmp_path / "a.csv"):
        pass
    assert os.listdir(tmp_path) == []


def test_a_killed_run_leaves_no_lock(tmp_path):
    program = f"""
import os, signal
from antideepfake.files import lock_output
with lock_output({str(tmp_path / "a.csv")!r}):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program])
    with lock_output(tmp_path / "a.csv"):
        pass


@settings(max_examples=50)
@given(
    st.recursive(st.none() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_json_is_an_object_or_refused(value):
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        path.write_text(json.dumps(value))
        if isinstance(value, dict):
            assert repr(read_json(path)) == repr(value)
        else:
            with pytest.raises(InputError, match=r"a\.json: damaged"):
                read_json(path)
