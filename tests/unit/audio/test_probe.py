"""The protocol columns of a recording, from its header."""

import numpy as np
import pytest

from antideepfake.audio.probe import probe
from antideepfake.errors import InputError

NOISE = np.random.default_rng(1).uniform(-0.3, 0.3, (12000, 2))


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.wav", {"subtype": "PCM_16"}, ("PCM_S", 16)),
        ("a.wav", {"subtype": "PCM_24"}, ("PCM_S", 24)),
        ("a.wav", {"subtype": "PCM_U8"}, ("PCM_U", 8)),
        ("a.wav", {"subtype": "FLOAT"}, ("PCM_F", 32)),
        ("a.wav", {"subtype": "DOUBLE"}, ("PCM_F", 64)),
        ("a.wav", {"subtype": "ULAW"}, ("ULAW", 8)),
        ("a.aiff", {"subtype": "PCM_24"}, ("PCM_S", 24)),
        ("a.flac", {}, ("FLAC", 16)),
        ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}, ("VORBIS", 0)),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}, ("OPUS", 0)),
        ("a.mp3", {}, ("MP3", 0)),
    ],
)
def test_all_columns_are_read(tmp_path, write_audio, name, options, expected):
    header = probe(write_audio(tmp_path / name, NOISE, 8000, **options))
    assert header["Duration"] == pytest.approx(1.5, abs=0.07)  # lossy codecs work in blocks
    assert (header["SampleRate"], header["AudioChannel"]) == (8000, 2)
    assert (header["AudioEncoding"], header["AudioBitSample"]) == expected


@pytest.mark.parametrize(
    ("frames", "rate", "seconds"), [(1, 16000, 0.01), (12345, 44100, 0.28), (16160, 16000, 1.01), (79, 16000, 0.01)]
)
@pytest.mark.parametrize("options", [{"subtype": "PCM_16"}, {"subtype": "ALAW"}])  # read directly, and by a decoder
def test_durations_have_two_decimals_and_are_above_0(tmp_path, write_audio, frames, rate, seconds, options):
    assert probe(write_audio(tmp_path / "a.wav", np.full(frames, 0.1), rate, **options))["Duration"] == seconds


@pytest.mark.parametrize(
    ("name", "options"), [("a.wav", {}), ("a.wav", {"subtype": "ULAW"}), ("a.flac", {}), ("a.aiff", {}), ("a.ogg", {})]
)
def test_a_file_without_its_end_is_an_error(tmp_path, write_audio, name, options):
    path = write_audio(tmp_path / name, NOISE, 8000, **options)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InputError, match=f"{name}: .*(damaged|truncated)"):
        probe(path)


def test_a_missing_file_and_text_are_errors(tmp_path):
    with pytest.raises(InputError, match=r"a\.wav: no such file"):
        probe(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_text("not audio")
    with pytest.raises(InputError, match=r"a\.wav: cannot be read"):
        probe(tmp_path / "a.wav")
