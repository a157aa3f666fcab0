"""Opening audio, reading its header."""

import numpy as np
import pytest

from antideepfake.audio.probe import probe


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.wav", {"subtype": "PCM_16"}, ("PCM_S", 16)),
        ("a.wav", {"subtype": "PCM_24"}, ("PCM_S", 24)),
        ("a.wav", {"subtype": "PCM_U8"}, ("PCM_U", 8)),
        ("a.wav", {"subtype": "FLOAT"}, ("PCM_F", 32)),
        ("a.wav", {"subtype": "DOUBLE"}, ("PCM_F", 64)),
        ("a.wav", {"subtype": "ULAW"}, ("ULAW", 8)),
        ("a.flac", {}, ("FLAC", 16)),
        ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}, ("VORBIS", 0)),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}, ("OPUS", 0)),
        ("a.mp3", {}, ("MP3", 0)),
    ],
)
def test_probe_returns_the_header(tmp_path, write_audio, name, options, expected):
    header = probe(
        write_audio(tmp_path / name, np.random.default_rng(1).uniform(-0.3, 0.3, (12000, 2)), 8000, **options)
    )
    assert header["Duration"] == pytest.approx(1.5, abs=0.07)  # lossy codecs work in blocks
    assert (header["SampleRate"], header["AudioChannel"]) == (8000, 2)
    assert (header["AudioEncoding"], header["AudioBitSample"]) == expected


def test_one_sample_has_a_duration(tmp_path, write_audio):
    assert probe(write_audio(tmp_path / "a.wav", np.array([0.5])))["Duration"] == 0.01
