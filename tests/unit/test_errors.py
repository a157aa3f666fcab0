"""The error class for a user's mistakes."""

import pickle
import subprocess
import sys

import pytest

from antideepfake.errors import InputError

SENTENCE = "p.csv:3: label 'genuine' is unknown; use 'real' or 'fake'"


def test_the_message_of_an_error_is_its_sentence():
    with pytest.raises(ValueError) as caught:
        raise InputError(SENTENCE)
    assert str(caught.value) == SENTENCE


def test_an_error_of_a_worker_process_keeps_its_class_and_message():
    again = pickle.loads(pickle.dumps(InputError(SENTENCE)))
    assert type(again) is InputError and str(again) == SENTENCE


def test_the_error_class_loads_no_other_room():
    """Guards against a circular import: every room imports this module."""
    code = "import sys, antideepfake.errors; print(*sorted(m for m in sys.modules if m.startswith('antideepfake.')))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["antideepfake.deprecated", "antideepfake.errors"]
