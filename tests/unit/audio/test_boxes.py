"""The structure of media files: what is complete, how long it is, what is encrypted."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.audio.audio_file import open_audio
from antideepfake.audio.boxes import ASF_ENCRYPTION, UNKNOWN, DeclaredTiming, read_timing
from antideepfake.audio.segments import DamagedError
from antideepfake.errors import InputError

RATE = 16_000


def _timeline(path, demuxer: str, stream: int = 0) -> DeclaredTiming:
    with open(path, "rb") as file:
        return read_timing(file, demuxer, path.stat().st_size, 0, stream)


@pytest.fixture
def encode(tmp_path, encode_audio):
    """Encode a second and 37 samples of noise."""

    def encode_noise(name: str, codec: str, container: str, **options):
        signal = 0.1 * np.random.default_rng(1).standard_normal(RATE + 37)
        return encode_audio(tmp_path / name, signal, RATE, codec, container, **options)

    return encode_noise


def test_the_tables_of_mp4_give_length_and_step(encode):
    assert _timeline(encode("a.m4a", "aac", "ipod"), "mov") == DeclaredTiming(RATE + 37, RATE, 1024)
    assert _timeline(encode("a.mov", "pcm_s16le", "mov"), "mov") == DeclaredTiming(RATE + 37, RATE, 1)


def test_the_timeline_is_that_of_the_stream(encode):
    path = encode("a.mp4", "aac", "mp4", video="mpeg4", video_first=True, sounds=2)
    assert [_timeline(path, "mov", stream).length for stream in (0, 1)] == [RATE + 37] * 2
    assert _timeline(path, "mov", 2) == UNKNOWN


def test_packets_of_different_length_have_no_step(encode):
    path = encode("a.m4a", "aac", "ipod")
    content = bytearray(path.read_bytes())
    place = content.index(b"stts") + 12
    count, (number, ticks) = content[place - 1], struct.unpack_from(">II", content, place)
    assert count == 2
    struct.pack_into(">IIII", content, place, 3, ticks, number - 2, ticks - 1)
    path.write_bytes(content)
    assert _timeline(path, "mov").step == 0


def test_the_length_of_matroska_is_that_of_the_sound_if_there_is_nothing_else(encode):
    timing = _timeline(encode("a.mkv", "aac", "matroska"), "matroska")
    assert timing.length / timing.rate == pytest.approx(1, abs=0.1)
    assert _timeline(encode("b.mkv", "aac", "matroska", video="mpeg4"), "matroska") == UNKNOWN
    assert _timeline(encode("c.mkv", "aac", "matroska", options={"live": "1"}), "matroska") == UNKNOWN


def test_the_length_of_windows_media_is_that_of_the_sound_if_there_is_nothing_else(encode):
    timing = _timeline(encode("a.wma", "wmav2", "asf", bit_rate=64_000), "asf")
    assert timing.length / timing.rate == pytest.approx(1, abs=0.1)
    path = encode("a.wmv", "wmav2", "asf", bit_rate=64_000, video="wmv2")
    assert _timeline(path, "asf") == UNKNOWN


def _grow(content: bytes, place: int, width: int, added: int, order: str) -> bytes:
    """Add to the size of an element that is written at ``place``."""
    size = int.from_bytes(content[place : place + width], order) + added
    return content[:place] + size.to_bytes(width, order) + content[place + width :]


def test_an_encrypted_track_of_matroska_is_refused(encode):
    """A ContentEncryption element is inserted into the track."""
    path = encode("a.mkv", "aac", "matroska")
    content = path.read_bytes()
    encryption = bytes.fromhex("5035 83 47e1 00")
    encoding = bytes.fromhex("6240") + bytes([0x80 | len(encryption)]) + encryption
    added = bytes.fromhex("6d80") + bytes([0x80 | len(encoding)]) + encoding
    mentioned = content.index(bytes.fromhex("1654ae6b"))  # in the list of elements
    tracks = content.index(bytes.fromhex("1654ae6b"), mentioned + 4) + 4
    width = 9 - content[tracks].bit_length()
    track = content.index(b"\xae", tracks + width) + 1
    track_width = 9 - content[track].bit_length()
    # the checksum and the positions of other elements no longer hold, and nothing here reads them
    for place, size in ((track, track_width), (tracks, width)):
        content = _grow(content, place, size, len(added), "big")
    segment = content.index(bytes.fromhex("18538067")) + 4
    content = _grow(content, segment, 9 - content[segment].bit_length(), len(added), "big")
    place = track + track_width
    path.write_bytes(content[:place] + added + content[place:])
    with pytest.raises(DamagedError, match=r"encrypted; .* key"):
        _timeline(path, "matroska")
    with pytest.raises(InputError, match=r"a\.mkv: encrypted"):
        open_audio(path)


@pytest.mark.parametrize("identifier", sorted(ASF_ENCRYPTION))
def test_encrypted_windows_media_is_refused(encode, identifier):
    path = encode("a.wma", "wmav2", "asf", bit_rate=64_000)
    content = path.read_bytes()
    added = identifier + struct.pack("<Q", 32) + bytes(8)
    content = _grow(content, 16, 8, len(added), "little")
    path.write_bytes(content[:30] + added + content[30:])
    with pytest.raises(InputError, match=r"a\.wma: encrypted"):
        open_audio(path)


def test_a_cluster_with_a_wrong_size_inside_is_damage(encode):
    """Guards against FFmpeg, which then skips to the next cluster in silence."""
    path = encode("a.mkv", "pcm_s16le", "matroska", video="mpeg4")
    content = bytearray(path.read_bytes())
    block = content.index(b"\xa3", content.index(bytes.fromhex("1f43b675")) + 12)
    content[block + 2] ^= 0x30
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged; a cluster"):
        open_audio(path)


@pytest.mark.parametrize(("box", "field"), [(b"stsz", 8), (b"stts", 4), (b"stco", 4), (b"stsc", 4)])
def test_an_index_with_more_samples_than_the_file_can_have_is_refused(encode, box, field):
    """Guards against memory for what an index declares."""
    path = encode("a.m4a", "aac", "ipod")
    content = bytearray(path.read_bytes())
    struct.pack_into(">I", content, content.index(box) + 4 + field, 0x7FFFFFF0)
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged; its index declares 2147483632 samples, too many"):
        open_audio(path)


@pytest.mark.parametrize("number", [0, 1 << 31, 0xFFFFFFFF])
def test_a_track_with_an_impossible_number_is_refused(encode, number):
    """Guards against FFmpeg counting up to it for a minute."""
    path = encode("a.m4a", "aac", "ipod")
    content = bytearray(path.read_bytes())
    struct.pack_into(">I", content, content.index(b"tkhd") + 16, number)
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"damaged; its index has a track with the number {number}"):
        open_audio(path)


@pytest.mark.parametrize(
    ("demuxer", "start"),
    [
        ("mov", b"\0\0\0\x14ftypM4A \0\0\0\0M4A "),
        ("mov", b"\0\0\0\x40moov\0\0\0\x38trak\0\0\0\x30mdia\0\0\0\x20hdlr\0\0\0\0\0\0\0\0soun"),
        ("matroska", bytes.fromhex("1a45dfa380 18538067ff 1654ae6b88 ae86")),
        ("asf", bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c 2e00000000000000 01000000 0102")),
        ("flv", b"FLV\x01\x05\0\0\0\x09\0\0\0\0\x12"),
    ],
)
@given(rest=st.binary(max_size=120))
def test_any_structure_is_read_or_refused(scratch, demuxer, start, rest):
    path = scratch / "a.bin"
    path.write_bytes(start + rest)
    with contextlib.suppress(DamagedError):
        assert _timeline(path, demuxer).length >= 0


def test_other_formats_have_no_timeline(tmp_path):
    path = tmp_path / "a.aac"
    path.write_bytes(b"\xff\xf1")
    assert _timeline(path, "aac") == UNKNOWN
