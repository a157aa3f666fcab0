"""Counting the frames of MP3 files."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.audio.audio_file import open_audio
from antideepfake.audio.mpeg import FEW, count_frames
from antideepfake.audio.probe import probe
from antideepfake.audio.segments import DamagedError
from antideepfake.audio.waveform import read_audio
from antideepfake.errors import InputError


def _encode(path, rate=16_000, channels=1, seconds=3.0, mode="CONSTANT"):
    """Write an MP3 file that becomes louder half-way, so that its bit rate varies; give its content."""
    size = round(rate * seconds)
    signal = np.random.default_rng(1).standard_normal((size, channels)) * np.linspace(0, 0.2, size)[:, None] ** 2
    soundfile.write(path, signal, rate, format="MP3", bitrate_mode=mode, compression_level=0.5)
    return path.read_bytes()


def _strip(content):
    """Remove the first frame, which declares how many follow."""
    return content[content.index(content[:2], 4) :]


def _count(path, content):
    path.write_bytes(content)
    with open(path, "rb") as file:
        return count_frames(file)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_a_file_without_the_promising_frame_is_read_to_its_end(tmp_path, rate, channels, mode):
    path = tmp_path / "a.mp3"
    promised = _encode(path, rate, channels, 1.0, mode)
    whole, _ = read_audio(path)
    path.write_bytes(_strip(promised))
    signal, _ = read_audio(path)
    frame = 576 if rate < 32_000 else 1152
    assert 0 <= len(signal) - len(whole) < 4 * frame and len(signal) % frame == 0
    delay = min(range(1000, 1200), key=lambda shift: (signal[shift:][: len(whole)] - whole).abs().sum())
    assert (signal[delay:][: len(whole)] - whole)[frame:].abs().max() < 1e-3
    assert probe(path)["Duration"] == round(len(signal) / rate, 2)
    part, _ = read_audio(path, 0.4, 0.3)
    assert (part - signal[round(0.4 * rate) :][: len(part)]).abs().max() < 1e-5


def test_a_promised_length_is_that_of_the_decoder(tmp_path):
    path = tmp_path / "a.mp3"
    _encode(path)
    assert len(read_audio(path)[0]) == 48_000


@pytest.mark.parametrize("between", [b"", b"ID3\4\0\0\0\0\1\0" + bytes(128), b"TAG" + bytes(125), bytes(1000)])
def test_files_that_were_joined_are_read_to_the_end(tmp_path, between):
    path = tmp_path / "a.mp3"
    content = _encode(path, seconds=1.0)
    alone = _count(path, content)
    joined = _count(path, content + between + content)
    assert joined.total == 2 * alone.total
    assert len(read_audio(path)[0]) == joined.total * 576
    assert probe(path)["Duration"] == round(joined.total * 576 / 16_000, 2)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"ID3\4\0\0\0\0\1\0" + b"\xff\xfb" * 64, b""),
        (b"", b"TAG" + b"\xff" * 125),
        (b"", b"APETAGEX" + bytes(24) + b"TAG" + bytes(125)),
        (b"ID3\3\0\0\0\0\1\0" + bytes(128) + bytes(500), b"\0" * 4000),
    ],
)
def test_tags_are_no_damage(tmp_path, before, after):
    path = tmp_path / "a.mp3"
    content = _encode(path)
    alone = _count(path, content).total
    assert _count(path, before + content + after).total == alone
    assert len(read_audio(path)[0]) == 48_000
    assert _count(path, before + _strip(content) + after).total == alone


def test_a_few_frames_less_than_promised_are_no_damage(tmp_path):
    path = tmp_path / "a.mp3"
    content = _encode(path)
    size = len(_strip(content)) // _count(path, content).total
    _count(path, content[: -FEW * size])
    assert 48_000 - len(read_audio(path)[0]) < (FEW + 1) * 576
    with pytest.raises(DamagedError, match=r"truncated; its header declares .* frames"):
        _count(path, content[: -(FEW + 1) * size])


@pytest.mark.parametrize(("rate", "channels"), [(24_000, 1), (16_000, 2)])
def test_joined_files_of_different_kinds_are_refused(tmp_path, rate, channels):
    path = tmp_path / "a.mp3"
    with pytest.raises(DamagedError, match="changes"):
        _count(path, _encode(path) + _encode(path, rate, channels))


def test_long_data_without_frames_is_damage(tmp_path):
    path = tmp_path / "a.mp3"
    content = _encode(path)
    middle = len(content) // 2
    noise = np.random.default_rng(1).bytes(len(content) // 4)
    with pytest.raises(DamagedError, match="damaged"):
        _count(path, content[:middle] + noise + content[middle + len(noise) :])


@given(data=st.data())
def test_changed_bytes_end_in_a_count_or_a_sentence(scratch, data):
    path = scratch / "a.mp3"
    content = bytearray(_encode(path, seconds=0.3))
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        probe(path)
        with open_audio(path) as file:
            assert sum(len(block) for block in file.blocks()) < 16_000
    except InputError as error:
        assert str(error).startswith(str(path))
