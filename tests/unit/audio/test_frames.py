"""The frames of AAC, AMR, AC-3 and DTS: found, cut off, and with other bytes around them."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.audio.frames import READERS, find_frames
from antideepfake.audio.segments import DamagedError

ENCODED = {
    "aac": ("aac", "adts", 16_000),
    "loas": ("aac", "latm", 16_000),
    "amr": ("libopencore_amrnb", "amr", 8000),
    "ac3": ("ac3", "ac3", 44_100),
    "eac3": ("eac3", "eac3", 48_000),
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory, encode_audio):
    """The content of a recording of each format."""
    folder = tmp_path_factory.mktemp("frames")
    noise = 0.1 * np.random.default_rng(1).standard_normal(12_000)
    return {
        name: encode_audio(folder / name, noise, rate, codec, container).read_bytes()
        for name, (codec, container, rate) in ENCODED.items()
    }


def _find(path, content: bytes, demuxer: str, start: int = 0):
    path.write_bytes(content)
    with open(path, "rb") as file:
        return find_frames(file, demuxer, start)


@pytest.mark.parametrize("name", ENCODED)
def test_all_frames_are_one_run(tmp_path, recordings, name):
    content = recordings[name]
    assert _find(tmp_path / "a", content, name) == [(0, len(content))]


@pytest.mark.parametrize("name", ENCODED)
def test_a_file_that_ends_within_a_frame_is_truncated(tmp_path, recordings, name):
    content = recordings[name]
    for cut in (1, 3, 9):
        with pytest.raises(DamagedError, match=r"truncated; \d+ bytes of its last frame are missing"):
            _find(tmp_path / "a", content[:-cut], name)


@pytest.mark.parametrize("name", ["aac", "loas", "ac3"])
def test_bytes_and_tags_around_the_frames_are_left_out(tmp_path, recordings, name):
    content, tag = recordings[name], b"ID3\x04\0\0\0\0\0\x04text"
    found = _find(tmp_path / "a", b"junk" + content + tag + content + bytes(100) + b"TAG" + bytes(125), name)
    first, second = 4, 4 + len(content) + len(tag)
    assert found == [(first, first + len(content)), (second, second + len(content))]


@pytest.mark.parametrize("name", ["aac", "amr"])
def test_many_bytes_that_are_no_frames_are_damage(tmp_path, recordings, name):
    with pytest.raises(DamagedError, match="damaged; 9000 bytes before, between or after its frames are not audio"):
        _find(tmp_path / "a", recordings[name] + b"\x87" * 9000, name)


def test_frames_of_dts_are_found_by_their_size(tmp_path):
    frame = b"\x7f\xfe\x80\x01\xfc\x3c" + bytes([(200 - 1) >> 4, (200 - 1 & 15) << 4]) + bytes(192)
    assert _find(tmp_path / "a", 5 * frame, "dts") == [(0, 1000)]
    with pytest.raises(DamagedError, match="truncated; 50 bytes"):
        _find(tmp_path / "a", (5 * frame)[:-50], "dts")


def test_variants_that_are_not_parsed_are_one_run(tmp_path):
    for name, start in (("amr", b"#!AMR_MC1.0\n"), ("dts", b"\xfe\x7f\x01\x80")):
        assert _find(tmp_path / "a", start + bytes(100), name) == [(0, 100 + len(start))]


@pytest.mark.parametrize("name", [name for name in READERS if name != "amr"])
@given(content=st.binary(min_size=1, max_size=300))
def test_other_content_has_no_frames(scratch, name, content):
    with contextlib.suppress(DamagedError):
        found = _find(scratch / "a", content, name)
        assert found is None or all(0 <= start < end <= len(content) for start, end in found)
