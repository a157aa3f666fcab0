"""What a file is by its first bytes, and whether the rest is there."""

import contextlib
import io

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.audio.containers import FORMATS, SHARED, check_size, find_links, identify, is_placeholder
from antideepfake.audio.segments import DamagedError

STARTS = [
    b"RIFF____AVI ",
    b"FRM8" + bytes(8) + b"DSD ",
    b"RIFF",
    b"RIFX",
    b"RF64",
    b"FORM____AIFF",
    b"riff" + bytes(36),
    b"caff\0\1\0\0",
    b".snd",
    b"NIST_1A\n   1024\n",
]


@pytest.mark.parametrize("size", [1, 44, 32_000, 10**8 + 2, 0x10000000, 0x70000000, 3_456_789_012])
def test_real_sizes_are_not_placeholders(size):
    assert not is_placeholder(size)


@given(st.sampled_from(STARTS), st.binary(max_size=200))
def test_any_header_is_understood_or_refused(start, rest):
    content = start + rest
    with contextlib.suppress(DamagedError):
        check_size(io.BytesIO(content), len(content))


@given(st.lists(st.one_of(st.binary(max_size=60), st.just(b"OggS" + bytes(22) + b"\1\5hello")), min_size=1))
def test_any_pages_are_understood_or_refused(scratch, pages):
    path = scratch / "a.ogg"
    content = b"OggS" + b"".join(pages)
    path.write_bytes(content)
    with open(path, "rb") as file:
        try:
            links = find_links(file, len(content))
        except DamagedError:
            return
    assert all(0 <= start < end <= len(content) for start, end in links)


@given(st.binary(max_size=64))
def test_the_first_bytes_decide_on_the_format(noise):
    for start in (b"RIFF____WAVE", b"fLaC", b"OggS", b"\xff\xfb", b"\xff\xf3", b"FORM____AIFF"):
        assert identify(start + noise).demuxer in SHARED
    assert identify(b"no audio at all" + noise) is None


def test_every_format_is_one_that_ffmpeg_reads():
    for _, _, demuxer, _ in FORMATS:
        assert not demuxer or av.format.ContainerFormat(demuxer, "r").is_input


def test_a_transport_stream_is_told_from_text_that_begins_with_the_same_letter():
    packets = (b"G" + bytes(187)) * 3
    assert identify(packets).demuxer == identify((bytes(4) + b"G" + bytes(187)) * 3).demuxer == "mpegts"
    assert identify(b"Guten Tag" + bytes(600)) is None


def test_a_changed_byte_in_an_ogg_file_is_damage(tmp_path, write_audio):
    path = write_audio(tmp_path / "a.ogg")
    content = bytearray(path.read_bytes())
    for place in (28, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with open(path, "rb") as file, pytest.raises(DamagedError, match="checksum"):
            find_links(file, len(content))
