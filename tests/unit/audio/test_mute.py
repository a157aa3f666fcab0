"""Messages of C libraries."""

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import soundfile

from antideepfake.audio.mute import mute_decoder
from antideepfake.audio.probe import probe


def test_only_output_within_the_block_is_muted(capfd):
    barrier = Barrier(4)

    def write(number):
        with mute_decoder():
            barrier.wait()
            os.write(2, b"muted\n")
            barrier.wait()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_standard_error_returns_after_an_exception(capfd):
    try:
        with mute_decoder():
            raise ValueError
    except ValueError:
        os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"


def test_a_joined_mp3_prints_nothing(tmp_path, capfd):
    """Guards against libmpg123's warnings among the lines of a program."""
    path = tmp_path / "a.mp3"
    soundfile.write(path, 0.1 * np.random.default_rng(1).standard_normal(32000), 16000)
    path.write_bytes(path.read_bytes() * 3)
    probe(path)
    assert capfd.readouterr().err == ""
