"""Exit status, error messages and color."""

import errno
import io
import subprocess
import sys

import pytest

from antideepfake.cli.program import paint, run_program
from antideepfake.errors import InputError


def _raise(error: BaseException):
    raise error


@pytest.mark.parametrize(
    ("main", "status", "said"),
    [
        (lambda: 0, 0, ""),
        (lambda: 1, 1, ""),
        (lambda: _raise(InputError("a.wav: no such file")), 2, "error: a.wav: no such file\n"),
        (lambda: _raise(KeyboardInterrupt()), 130, "interrupted; run the same command again to continue\n"),
    ],
)
def test_exit_statuses(main, status, said, capsys):
    with pytest.raises(SystemExit) as left:
        run_program(main)
    assert left.value.code == status
    captured = capsys.readouterr()
    assert captured.err == said
    assert captured.out == ""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_reported_in_one_line(number, capsys):
    with pytest.raises(SystemExit) as left:
        run_program(lambda: _raise(OSError(number, "No space left on device", "scores.csv")))
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert said.count("\n") == 1
    assert "disk is full" in said and "scores.csv" in said


def test_a_full_disk_without_a_file_name_is_reported(capsys):
    with pytest.raises(SystemExit) as left:
        run_program(lambda: _raise(OSError(errno.ENOSPC, "No space left on device")))
    said = capsys.readouterr().err
    assert left.value.code == 2
    assert "disk is full" in said and "None" not in said


def test_faults_of_the_program_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run_program(lambda: 1 // 0)


@pytest.mark.parametrize("sentence", ["first\nsecond", "a fault (Error tokenizing data.\n)"])
def test_a_mistake_is_reported_in_one_line(sentence, capsys):
    with pytest.raises(SystemExit):
        run_program(lambda: _raise(InputError(sentence)))
    assert capsys.readouterr().err.count("\n") == 1


def test_a_closed_pipe_is_not_an_error(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "from antideepfake.cli.program import run_program\n"
        "def main():\n    for number in range(10**5):\n        print('x' * 100)\n    return 0\n"
        "run_program(main)\n"
    )
    done = subprocess.run(f"{sys.executable} {program} | head -1", shell=True, capture_output=True, text=True)
    assert done.stdout.startswith("xxx") and done.stderr == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "variables", "expected"),
    [
        (Terminal(), {}, "\033[32mreal\033[0m"),
        (Terminal(), {"NO_COLOR": ""}, "\033[32mreal\033[0m"),  # by the convention, only a value counts
        (Terminal(), {"NO_COLOR": "1"}, "real"),
        (Terminal(), {"TERM": "dumb"}, "real"),
        (io.StringIO(), {}, "real"),
    ],
)
def test_color_needs_a_terminal_and_respects_the_user(monkeypatch, stream, variables, expected):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert paint("real", "green", stream) == expected
