"""Color where it is wanted."""

import io

import pytest

from antideepfake.terminal import paint


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
def test_color_is_for_terminals_whose_user_wants_it(monkeypatch, stream, variables, expected):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert paint("real", "green", stream) == expected
