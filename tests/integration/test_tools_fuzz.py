"""tools/fuzz.py: each kind of input is made and read, and failures are counted and saved."""

import importlib.util
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from antideepfake.errors import InputError

PROGRAM = Path(__file__).parents[2] / "tools" / "fuzz.py"
KINDS = ("audio", "protocols", "scores", "checkpoints", "folders")


@pytest.fixture
def program(monkeypatch):
    """The program as a module, whose originals are made in a moment."""
    spec = importlib.util.spec_from_file_location("fuzz_program", PROGRAM)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "fuzz_program", module)  # where a dataclass looks for its types
    spec.loader.exec_module(module)
    return module


def _write_text(folder):
    (folder / "a.txt").write_text("a,1\n")


@pytest.mark.parametrize("kind", KINDS)
def test_undamaged_files_are_read(program, kind, tmp_path):
    """Guards against originals that are all refused, so that only the first check of a reader is exercised."""
    make, exercise = program.KINDS[kind]
    make(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        exercise(path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_handful_of_damaged_inputs_is_counted(program, kind, tmp_path):
    counts = program.fuzz(kind, seed=1, minutes=1, output=tmp_path, limit=5)
    assert counts.inputs == counts.accepted + counts.refused == 5
    assert not list(tmp_path.iterdir())


def test_the_same_number_gives_the_same_input(program, tmp_path):
    program.KINDS["folders"][0](tmp_path)
    originals = sorted(tmp_path.iterdir())
    contents = []
    for name in ("first", "second"):
        rng = program.np.random.default_rng(3)
        path = program.make_input(originals, tmp_path / name, rng)
        contents.append({file.name: file.read_bytes() for file in path.iterdir()})
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("outcome", "break_down"),
    [
        ("KeyError", lambda: {}["nothing"]),
        ("SystemExit", lambda: sys.exit(3)),
        ("SIGSEGV", lambda: os.kill(os.getpid(), signal.SIGSEGV)),
        ("SIGKILL", lambda: os.kill(os.getpid(), signal.SIGKILL)),
        ("Timeout", lambda: time.sleep(60)),
        ("ExcessMemory", lambda: bytearray(b"a" * 300_000_000)),
    ],
)
def test_a_failure_is_counted_and_its_input_kept(program, tmp_path, monkeypatch, outcome, break_down):
    def exercise(path):
        if path.name.startswith("1"):
            break_down()
        raise InputError(f"{path}: refused")

    monkeypatch.setitem(program.KINDS, "scores", (_write_text, exercise))
    monkeypatch.setattr(program, "TIMEOUT", 2)
    monkeypatch.setattr(program, "MEMORY", 1e8)
    counts = program.fuzz("scores", seed=1, minutes=1, output=tmp_path, limit=4)
    assert counts.failures == {outcome: 1} and counts.refused == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"scores_1_{outcome}.traceback",
        f"scores_1_{outcome}.txt",
    ]
    text = (tmp_path / f"scores_1_{outcome}.traceback").read_text()
    assert "in exercise" in text or outcome in ("SIGKILL", "ExcessMemory")  # where it happened


def test_the_program_ends_with_a_table_and_a_status(program, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        program, "KINDS", {"bad": (_write_text, lambda _: {}[1]), "good": (_write_text, lambda _: None)}
    )

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["fuzz.py", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            program.run_program(program.main)
        return left.value.code, capsys.readouterr()

    status, (out, _) = call("good", "--minutes", 0.002, "--output", tmp_path / "good")
    assert status == 0 and [line.split()[0] for line in out.splitlines()] == ["kind", "good"]
    status, (out, err) = call("--minutes", 0.002, "--output", tmp_path / "all")
    _, bad, good = out.splitlines()
    assert status == 1 and bad.endswith(" KeyError") and good.split()[1:4] == [good.split()[1], good.split()[1], "0"]
    assert "failures; their inputs and tracebacks are in" in err and list((tmp_path / "all").glob("bad_0_KeyError.*"))

    assert "choose another --output" in call("--output", tmp_path / "all")[1].err
    status, (_, err) = call("ugly", "--output", tmp_path / "more")
    assert status == 2 and "'ugly' is unknown" in err
