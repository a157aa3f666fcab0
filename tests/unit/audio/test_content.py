"""The bytes of recordings, and recordings in tar shards, which are read as files are."""

import io
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.audio.audio_file import open_audio
from antideepfake.audio.content import Entry, find_file, map_content, open_content, parse_entry
from antideepfake.audio.probe import probe
from antideepfake.audio.waveform import read_audio
from antideepfake.errors import InputError

LIBSNDFILE = ["wav", "flac", "ogg", "mp3", "aiff"]
FFMPEG = {"m4a": ("aac", "ipod"), "webm": ("libopus", "webm"), "aac": ("aac", "adts"), "mov": ("pcm_s16le", "mov")}


def pack(path, *files):
    """Put files into a tar; return the entry of each."""
    with tarfile.open(path, "w") as tar:
        for file in files:
            tar.add(file, file.name)
    with tarfile.open(path) as tar:
        return [str(Entry(str(path), member.offset_data, member.size)) for member in tar]


@pytest.fixture(scope="module")
def recordings(tmp_path_factory, write_audio, encode_audio):
    """Files of three seconds in several formats, and their entries in a shard, by suffix."""
    folder = tmp_path_factory.mktemp("recordings")
    samples = 0.1 * np.random.default_rng(1).standard_normal((48000 * 3, 2))
    files = [write_audio(folder / f"a.{suffix}", samples, 48000) for suffix in LIBSNDFILE]
    for suffix, (codec, container) in FFMPEG.items():
        files.append(encode_audio(folder / f"a.{suffix}", samples, 48000, codec, container))
    stream = bytearray((folder / "a.flac").read_bytes())  # a flac file written as a stream does not declare its length
    stream[21:26] = ((int.from_bytes(stream[21:26], "big") >> 36) << 36).to_bytes(5, "big")
    (folder / "stream.flac").write_bytes(stream)
    tagged = folder / "tagged.mp3"
    tagged.write_bytes(b"ID3\3\0\0\0\0\0\x0a" + bytes(10) + (folder / "a.mp3").read_bytes())
    chained = folder / "chained.ogg"
    chained.write_bytes(2 * (folder / "a.ogg").read_bytes())
    files += [folder / "stream.flac", tagged, chained]
    return {file.name: (file, entry) for file, entry in zip(files, pack(folder / "000000.tar", *files), strict=True)}


NAMES = [f"a.{suffix}" for suffix in (*LIBSNDFILE, *FFMPEG)] + ["stream.flac", "tagged.mp3", "chained.ogg"]


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_has_the_samples_of_the_file(recordings, name):
    file, entry = recordings[name]
    assert probe(entry) == probe(file)
    for segment in ((0.0, None), (0.0, 1.0), (1.3, 0.5), (2.5, None)):
        (expected, rate), (found, same_rate) = (read_audio(path, *segment) for path in (file, entry))
        assert rate == same_rate
        np.testing.assert_array_equal(found.numpy(), expected.numpy())


@pytest.mark.parametrize("name", NAMES)
def test_the_attributes_are_those_of_the_file(recordings, name):
    with open_audio(recordings[name][0]) as file, open_audio(recordings[name][1]) as entry:
        for attribute in ("samplerate", "channels", "encoding", "bits", "known_frames", "audio_streams", "has_video"):
            assert getattr(entry, attribute) == getattr(file, attribute)


def test_a_truncated_entry_is_an_error_that_names_it(tmp_path, write_audio):
    for name in ("a.wav", "a.flac", "a.ogg", "a.mp3"):
        torn = write_audio(tmp_path / name)
        torn.write_bytes(torn.read_bytes()[:-1000])
        (entry,) = pack(tmp_path / "000000.tar", torn)
        with pytest.raises(InputError) as expected:
            read_audio(torn)
        with pytest.raises(InputError) as found:
            read_audio(entry)
        assert str(found.value) == str(expected.value).replace(str(torn), entry)


def test_a_protocol_of_other_shards_is_an_error(tmp_path, write_audio):
    """Guards against reading the audio of another utterance."""
    shard = tmp_path / "000000.tar"
    (entry,) = pack(shard, write_audio(tmp_path / "a.wav"))
    (tmp_path / "folder.tar").mkdir()
    _, offset, length = parse_entry(entry)
    for wrong, message in [
        (Entry(str(shard), offset + 512, length), "the shard has no such entry"),
        (Entry(str(shard), offset, length - 2), "the shard has no such entry"),
        (Entry(str(shard), 0, length), "the shard has no such entry"),
        (Entry(str(shard), offset, 10**9), "the shard ends before the end of this entry"),
        (Entry(str(tmp_path / "000001.tar"), offset, length), "no such file"),
        (Entry(str(tmp_path / "folder.tar"), offset, length), "a folder, not an audio file"),
    ]:
        with pytest.raises(InputError, match=message):
            read_audio(str(wrong))


def test_an_empty_entry_and_one_without_audio_are_errors(tmp_path):
    for content in (b"", b"some text"):
        (tmp_path / "a.wav").write_bytes(content)
        (entry,) = pack(tmp_path / "000000.tar", tmp_path / "a.wav")
        with pytest.raises(InputError, match="not an audio or video file"):
            read_audio(entry)


def test_files_are_closed(tmp_path, write_audio):
    (entry,) = pack(tmp_path / "000000.tar", write_audio(tmp_path / "a.wav"))
    with open_audio(entry) as file:
        content = file.file
    assert content.closed and content.file.closed


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.integers(0), st.integers(0))
def test_the_path_of_an_entry_is_parsed(name, offset, length):
    entry = Entry(f"{name}.tar", offset, length)
    assert parse_entry(str(entry)) == entry and str(find_file(str(entry))) == str(find_file(f"{name}.tar"))


@pytest.mark.parametrize("path", ["a.wav", "a.tar", "a.tar#5", "a.tar#5+", "a.tar#-5+7", ".tar#1+2", "a.tar#1+2.wav"])
def test_other_paths_are_files(path):
    assert parse_entry(path) is None and str(find_file(path)) == path


@given(content=st.binary(max_size=2000), start=st.integers(0, 2000), size=st.integers(0, 2000))
def test_any_part_of_an_entry_is_that_of_the_file(scratch, content, start, size):
    file = scratch / "a.bin"
    file.write_bytes(b"!" + content)
    (scratch / "b.bin").write_bytes(b"other")
    _, entry, _ = pack(scratch / "000000.tar", scratch / "b.bin", file, scratch / "b.bin")
    for path in (file, entry):
        opened, length = open_content(path)
        with opened:
            assert length == 1 + len(content)
            opened.seek(start)
            assert opened.read(size) == (b"!" + content)[start : start + size]
            with map_content(opened) as data:
                assert data[start : start + size] == (b"!" + content)[start : start + size] and len(data) == length
                assert opened.seek(0, io.SEEK_END) == length
