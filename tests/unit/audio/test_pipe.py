"""Recordings from a pipe."""

import io
import os
import threading
from contextlib import suppress

import av
import numpy as np
import pytest
import soundfile

from antideepfake.audio.audio_file import open_audio
from antideepfake.audio.pipe import open_pipe
from antideepfake.audio.segments import DamagedError
from antideepfake.errors import InputError

RATE = 16000


@pytest.fixture
def signal():
    """Three seconds of two channels, quieter and louder noise."""
    return (np.random.default_rng(1).standard_normal((3 * RATE, 2)) * [0.05, 0.1]).astype(np.float32)


def _encode(path, signal, codec, **options):
    with av.open(str(path), "w", **options) as container:
        stream = container.add_stream(codec, rate=48000 if "opus" in codec else RATE, layout="stereo")
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(signal.T), "fltp", "stereo")
        frame.sample_rate = RATE
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp3", "mp3"),
        ("a.webm", "libopus"),
        ("a.aac", "aac"),
        ("a.ts", "aac"),
        ("a.mkv", "aac"),
        ("a.ogg", "libopus"),
    ],
)
def test_a_pipe_gives_the_samples_of_the_file(tmp_path, signal, name, codec):
    path = _encode(tmp_path / name, signal, codec)
    with open_audio(path) as file:
        expected = np.concatenate(list(file.blocks()))
    with open(path, "rb") as raw, open_pipe(raw) as pipe:
        found = np.concatenate(list(pipe.blocks()))
        assert pipe.samplerate == file.samplerate
    # the delay of an encoder at the end of a stream is known from the end of the file alone
    assert 0 <= len(found) - len(expected) < 0.1 * file.samplerate
    np.testing.assert_allclose(found[: len(expected)], expected, atol=6e-3)


@pytest.mark.parametrize("form", ["WAV", "FLAC", "AIFF"])
def test_lossless_pipes_are_exact(signal, form):
    file = io.BytesIO()
    soundfile.write(file, signal, RATE, format=form, subtype="PCM_16")
    file.seek(0)
    expected = soundfile.read(file, dtype="float32")[0]
    file.seek(0)
    with open_pipe(file) as pipe:
        np.testing.assert_array_equal(np.concatenate(list(pipe.blocks())), expected)


def test_an_mp4_with_its_index_in_front_is_read_and_another_refused(tmp_path, signal):
    early = _encode(tmp_path / "early.m4a", signal, "aac", options={"movflags": "faststart"})
    with open(early, "rb") as raw, open_pipe(raw) as pipe:
        assert sum(map(len, pipe.blocks())) == pytest.approx(3 * RATE, abs=2048)
    late = io.BufferedReader(_Unseekable((_encode(tmp_path / "late.m4a", signal, "aac")).read_bytes()))
    with pytest.raises(InputError, match=r"cannot be read from a pipe; save it first"), open_pipe(late) as pipe:
        list(pipe.blocks())


class _Unseekable(io.RawIOBase):
    def __init__(self, content):
        self.content = io.BytesIO(content)

    def readable(self):
        return True

    def readinto(self, buffer):
        return self.content.readinto(buffer)


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.webm", "libopus"), ("a.mp3", "mp3")])
def test_samples_are_given_before_the_stream_ends(tmp_path, signal, name, codec):
    """Guards against waiting for the end: a program that records never ends."""
    content = _encode(tmp_path / name, np.tile(signal, (4, 1)), codec).read_bytes()  # 12 s
    reader, writer = os.pipe()
    received = threading.Event()
    in_time = []

    def write():
        for start in range(0, len(content) * 3 // 4, 4096):
            os.write(writer, content[start : start + 4096])
        in_time.append(received.wait(20))
        os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    with open(reader, "rb") as raw, open_pipe(raw) as pipe:
        seconds = 0.0
        with suppress(InputError, DamagedError):  # some formats say that the end is missing
            for block in pipe.blocks():
                seconds += len(block) / pipe.samplerate
                if seconds > 8:  # of 9
                    received.set()
    thread.join()
    assert in_time == [True]


def test_little_is_collected_before_the_first_sample(signal):
    file = io.BytesIO()
    soundfile.write(file, np.tile(signal, (4, 1)), RATE, format="WAV", subtype="PCM_16")
    file.seek(0)
    with open_pipe(file) as pipe:
        next(iter(pipe.blocks()))
        assert file.tell() <= 70_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "contains no samples"),
        (b"text " * 500, "not an audio or video file"),
        (b"RIFF\0\0\0\0WAVE" + b"\0" * 99, "standard input: "),
    ],
)
def test_what_is_not_audio_is_an_error(content, said):
    with pytest.raises(InputError, match=said), open_pipe(io.BytesIO(content)) as pipe:
        list(pipe.blocks())


def test_raw_samples_are_read_whatever_the_size_of_the_parts():
    samples = np.random.default_rng(1).integers(-(2**15), 2**15, 10_000).astype("<i2")

    class Trickle(io.BytesIO):
        def read1(self, size=-1):
            return super().read1(777)

    with open_pipe(Trickle(samples.tobytes() + b"!"), 8000) as pipe:
        np.testing.assert_array_equal(np.concatenate(list(pipe.blocks()))[:, 0], samples / np.float32(2**15))
    with pytest.raises(InputError, match="declares 10 Hz"), open_pipe(io.BytesIO(), 10):
        pass
