"""The quick reader of headers: it agrees with libsndfile, and leaves to it whatever is damaged or unusual."""

import io
import os

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.audio.headers import read_header

SUBTYPES = {"WAV": ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"], "FLAC": ["PCM_S8", "PCM_16", "PCM_24"]}
BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 32, "DOUBLE": 64}


def encode(frames, channels=1, rate=16000, form="FLAC", subtype="PCM_16", seed=1) -> bytes:
    """Noise whose loudness changes, so that frames of a flac file differ in size."""
    rng = np.random.default_rng(seed)
    samples = 0.3 * rng.standard_normal((frames, channels)) * np.linspace(0.01, 1, frames)[:, None]
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype, format=form)
    return file.getvalue()


@given(
    st.sampled_from([(form, subtype) for form in SUBTYPES for subtype in SUBTYPES[form]]),
    st.one_of(st.integers(1, 300), st.integers(4000, 4200), st.integers(8190, 30000)),
    st.integers(1, 3),
    st.sampled_from([8000, 16000, 22050, 44100, 48000]),
)
def test_it_agrees_with_libsndfile(scratch, kind, frames, channels, rate):
    path = scratch / "a"
    path.write_bytes(encode(frames, channels, rate, *kind))
    header = read_header(path)
    assert header and (header.frames, header.sample_rate, header.channels) == (frames, rate, channels)
    assert header.bits == BITS[kind[1]]


@given(st.sampled_from(["WAV", "FLAC"]), st.sampled_from([700, 4096, 4097, 20000]), st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_never_complete(scratch, form, frames, share):
    whole = encode(frames, form=form)
    (scratch / "a").write_bytes(whole[: int(share * len(whole))])
    assert read_header(scratch / "a") is None


@pytest.mark.parametrize("position", [1, 2, 3, 40, 400, 2000])
def test_a_flac_file_with_a_damaged_end_is_doubted(tmp_path, position):
    whole = bytearray(encode(20000))
    whole[-position] ^= 0x10
    (tmp_path / "a").write_bytes(whole)
    assert read_header(tmp_path / "a") is None


def test_a_flac_file_that_lost_its_middle_frame_by_frame_is_doubted(tmp_path):
    long, short = encode(20000), encode(12000)
    (tmp_path / "a").write_bytes(long[:42] + short[42:])
    assert read_header(tmp_path / "a") is None


@pytest.mark.parametrize(
    ("form", "subtype"),
    [("OGG", "VORBIS"), ("WAV", "ULAW"), ("WAVEX", "PCM_16"), ("AIFF", "PCM_16"), ("RF64", "PCM_16")],
)
def test_other_formats_are_left_to_libsndfile(tmp_path, form, subtype):
    (tmp_path / "a").write_bytes(encode(8000, form=form, subtype=subtype))
    assert read_header(tmp_path / "a") is None


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0, 1])
def test_a_wav_of_unknown_or_no_length_is_doubted(tmp_path, length):
    whole = bytearray(encode(8000, form="WAV"))
    whole[40:44] = length.to_bytes(4, "little")
    (tmp_path / "a").write_bytes(whole)
    assert read_header(tmp_path / "a") is None
    os.truncate(tmp_path / "a", 2**32 + 1000)  # long enough for any length; it takes no room
    assert read_header(tmp_path / "a") is None


def test_chunks_before_the_data_are_passed_over(tmp_path):
    whole = encode(8000, form="WAV")
    (tmp_path / "a").write_bytes(whole[:36] + b"LIST\x03\0\0\0abc\0" + whole[36:] + b"tail\2\0\0\0xy")
    header = read_header(tmp_path / "a")
    assert header and header.frames == 8000


@given(
    st.binary(max_size=200),
    st.sampled_from([b"", b"fLaC", b"fLaC\0\0\0\x22", b"RIFF\0\0\0\0WAVE", b"RIFF____WAVEfmt "]),
)
def test_noise_has_no_header(scratch, noise, start):
    (scratch / "a").write_bytes(start + noise)
    assert read_header(scratch / "a") is None


def test_a_missing_file_has_no_header(tmp_path):
    assert read_header(tmp_path) is None
    assert read_header(tmp_path / "missing") is None
    assert read_header("caf\udce9.wav") is None
