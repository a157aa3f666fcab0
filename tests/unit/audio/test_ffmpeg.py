"""Recordings that FFmpeg decodes: every container, in place and length, whole and in part, and what is refused."""

import av
import numpy as np
import pytest

from antideepfake.audio import audio_file, ffmpeg, headers
from antideepfake.audio.audio_file import open_audio
from antideepfake.audio.containers import identify
from antideepfake.audio.ffmpeg import FFmpegDecoder, scale_integers
from antideepfake.audio.probe import probe
from antideepfake.audio.segments import DamagedError
from antideepfake.errors import InputError

SECONDS = 2.0
# file, codec, container, rate, options of encode_audio, and then: encoding, lag in samples and samples that are added.
# A lag is the delay of an encoder that the container does not declare; nothing can tell it from silence. The length of
# a lossy recording is a multiple of its frames if the container does not declare it.
RECORDINGS = {
    "a.m4a": ("aac", "ipod", 44_100, {}, "AAC", 0, 0),
    "alac.m4a": ("alac", "ipod", 44_100, {}, "ALAC", 0, 0),
    "video.mp4": ("aac", "mp4", 48_000, {"video": "mpeg4"}, "AAC", 0, 0),
    "opus.mp4": ("libopus", "mp4", 48_000, {}, "OPUS", 0, 0),
    "mp3.mp4": ("libmp3lame", "mp4", 44_100, {}, "MP3", 0, 50),
    "stream.mp4": ("aac", "mp4", 48_000, {"options": {"movflags": "frag_keyframe+empty_moov"}}, "AAC", 1024, 2048),
    "a.mov": ("aac", "mov", 16_000, {"video": "mpeg4", "video_first": True}, "AAC", 0, 0),
    "pcm.mov": ("pcm_s16le", "mov", 44_100, {}, "PCM_S", 0, 0),
    "a.3gp": ("libopencore_amrnb", "3gp", 8000, {"bit_rate": 12_200}, "AMR_NB", -10, 8),
    "a.amr": ("libopencore_amrnb", "amr", 8000, {"bit_rate": 12_200}, "AMR_NB", 40, 320),
    "pauses.amr": ("libopencore_amrnb", "amr", 8000, {"codec_options": {"dtx": "1"}}, "AMR_NB", 40, 320),
    "a.webm": ("libopus", "webm", 48_000, {}, "OPUS", 0, 0),
    "video.webm": ("libopus", "webm", 48_000, {"video": "libvpx"}, "OPUS", 0, 0),
    "live.webm": ("libopus", "webm", 48_000, {"options": {"live": "1"}}, "OPUS", 0, 400),
    "a.mkv": ("aac", "matroska", 44_100, {}, "AAC", 0, 1024),
    "flac.mkv": ("flac", "matroska", 16_000, {}, "FLAC", 0, 0),
    "a.aac": ("aac", "adts", 44_100, {}, "AAC", 1024, 2048),
    "a.latm": ("aac", "latm", 44_100, {}, "AAC", 1024, 2048),
    # FFmpeg's decoder drops two frames, as Microsoft's encoder delays; FFmpeg's encoder delays one
    "a.wma": ("wmav2", "asf", 44_100, {"bit_rate": 128_000}, "WMAV2", -2048, 2048),
    "video.wmv": ("wmav1", "asf", 22_050, {"bit_rate": 64_000, "video": "wmv2"}, "WMAV1", -1024, 2048),
    "a.opus": ("libopus", "ogg", 48_000, {}, "OPUS", 0, 0),
    "a.aiff": ("pcm_s16be", "aiff", 44_100, {}, "PCM_S", 0, 0),
    "a.caf": ("alac", "caf", 44_100, {}, "ALAC", 0, 0),
    "video.avi": ("libmp3lame", "avi", 44_100, {"video": "mpeg4"}, "MP3", 1105, 2304),
    "pcm.avi": ("pcm_s16le", "avi", 44_100, {}, "PCM_S", 0, 0),
    "video.flv": ("libmp3lame", "flv", 44_100, {"video": "flv"}, "MP3", 1105, 2304),
    "a.flv": ("aac", "flv", 44_100, {}, "AAC", 1024, 2048),
    "a.ts": ("aac", "mpegts", 44_100, {}, "AAC", 1024, 2048),
    "video.mpg": ("mp2", "mpeg", 44_100, {"video": "mpeg2video"}, "MP2", 481, 1152),
    "a.ac3": ("ac3", "ac3", 44_100, {}, "AC3", 256, 1792),
    "a.eac3": ("eac3", "eac3", 44_100, {}, "EAC3", 256, 1792),
    "a.wv": ("wavpack", "wv", 44_100, {}, "WAVPACK", 0, 0),
    "a.tta": ("tta", "tta", 16_000, {}, "TTA", 0, 0),
    "a.rm": ("ac3", "rm", 44_100, {}, "AC3", 256, 1792),
    "a.nut": ("aac", "nut", 44_100, {}, "AAC", 1024, 2048),
}


def _signal(rate: int, seconds: float = SECONDS) -> np.ndarray:
    """A chirp with noise, of a length that is no multiple of any frame."""
    time = np.arange(int(rate * seconds) + 37) / rate
    noise = 0.02 * np.random.default_rng(1).standard_normal(len(time))
    return 0.3 * np.sin(2 * np.pi * (200 * time + 300 * time**2)) + noise


@pytest.fixture(scope="module")
def encoded() -> dict[str, bytes]:
    """The content of recordings that were encoded before."""
    return {}


@pytest.fixture
def encode(tmp_path, encode_audio, encoded):
    """Encode a recording of the table."""

    def encode_one(name: str, signal: np.ndarray | None = None, **changes):
        codec, container, rate, options, *_ = RECORDINGS[name]
        path, key = tmp_path / name, f"{name} {changes}"
        if signal is None and key in encoded:
            path.write_bytes(encoded[key])
            return path
        container = changes.pop("container", container)
        encode_audio(path, _signal(rate) if signal is None else signal, rate, codec, container, **options | changes)
        if signal is None:
            encoded[key] = path.read_bytes()
        return path

    return encode_one


def _read(path, *segment, stream: int = 0) -> np.ndarray:
    with open_audio(path, stream) as file:
        return np.concatenate(list(file.blocks(*segment)))


def _lag(signal: np.ndarray, decoded: np.ndarray) -> int:
    """How many samples later the decoded signal is, by cross-correlation."""
    size = 1 << (len(signal) + len(decoded)).bit_length()
    product = np.fft.irfft(np.conj(np.fft.rfft(signal, size)) * np.fft.rfft(decoded, size), size)
    peak = int(np.argmax(product))
    return peak if peak < size // 2 else peak - size


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_container_is_decoded_in_place_and_length(encode, name):
    codec, _, rate, options, encoding, lag, added = RECORDINGS[name]
    path, signal = encode(name), _signal(rate)
    decoded = _read(path)
    assert decoded.dtype == np.float32 and decoded.shape[1] == 1
    assert _lag(signal, decoded[:, 0]) == pytest.approx(lag, abs=2)
    # of WMA, a frame is lost
    assert (-2048 if "wma" in codec else 0) <= len(decoded) - len(signal) <= added
    assert np.std(decoded) == pytest.approx(np.std(signal), rel=0.15)  # a codec may drop noise
    with open_audio(path) as file:
        assert (file.samplerate, file.audio_streams, file.has_video) == (rate, 1, "video" in options)
        assert file.count_frames() == len(decoded)
    header = probe(path)
    assert (header["AudioEncoding"], header["SampleRate"], header["AudioChannel"]) == (encoding, rate, 1)
    assert header["Duration"] == round(len(decoded) / rate, 2)


@pytest.mark.parametrize("name", RECORDINGS)
def test_content_decides_and_not_the_name(encode, name, tmp_path):
    path = encode(name)
    renamed = path.rename(tmp_path / "http:concat|x.wav.raw")
    assert len(_read(renamed)) > 0


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize(("start", "frames"), [(0, 100), (5000, 1234), (14_000, None), (10**7, None)])
def test_a_segment_has_the_samples_of_the_whole(encode, name, start, frames):
    """AAC is encoded without noise substitution: its decoder draws that noise again."""
    path = encode(name, **({"codec_options": {"aac_pns": "0"}} if RECORDINGS[name][0] == "aac" else {}))
    whole = _read(path)
    with open_audio(path) as file:
        segment = np.concatenate([np.empty((0, 1)), *file.blocks(start, frames)])
    expected = whole[start : None if frames is None else start + frames]
    assert segment.shape == expected.shape
    np.testing.assert_allclose(segment, expected, atol=1e-3 if "opus" in RECORDINGS[name][0] else 0)


def test_a_segment_with_noise_substitution_is_in_its_place(encode):
    path = encode("a.m4a")
    whole = _read(path)
    segment = _read(path, 50_000, 20_000)
    assert np.std(segment - whole[50_000:70_000]) < 0.1 * np.std(whole)
    assert _lag(whole[50_000:70_000, 0], segment[:, 0]) == 0


@pytest.mark.parametrize("name", ["a.m4a", "a.mov", "opus.mp4"])
def test_a_segment_of_a_long_recording_does_not_decode_the_whole(encode, monkeypatch, name):
    path = encode(name, _signal(RECORDINGS[name][2], 20))
    decoded = []
    decode = FFmpegDecoder._decode

    def count(self, container, audio):
        for frame in decode(self, container, audio):
            decoded.append(frame.samples)
            yield frame

    with open_audio(path) as file:
        monkeypatch.setattr(FFmpegDecoder, "_decode", count)
        assert sum(map(len, file.blocks(15 * file.samplerate, file.samplerate))) == file.samplerate
        assert file.samplerate < sum(decoded) < 2.5 * file.samplerate


def test_a_recording_is_decoded_in_blocks(encode, monkeypatch):
    monkeypatch.setattr(ffmpeg, "BLOCK", 10_000)
    with open_audio(encode("a.mkv")) as file:
        assert max(map(len, file.blocks())) < 12_000


@pytest.mark.parametrize(("codec", "container"), [("aac", "mp4"), ("libopus", "matroska"), ("libopus", "ogg")])
def test_any_audio_stream_can_be_chosen(tmp_path, encode_audio, codec, container):
    path = encode_audio(tmp_path / "a", _signal(48_000), 48_000, codec, container, sounds=3)
    with open_audio(path) as file:
        assert (file.audio_streams, file.has_video) == (3, False)
    first = np.std(_read(path))
    assert [round(first / np.std(_read(path, stream=stream)), 1) for stream in range(3)] == [1, 2, 4]
    for missing in (3, -1):
        with pytest.raises(InputError, match=f"has no audio stream {missing + 1}; it has 3"):
            open_audio(path, stream=missing)


def test_a_file_for_libsndfile_has_one_audio_stream(tmp_path, write_audio):
    path = write_audio(tmp_path / "a.wav")
    with open_audio(path) as file:
        assert (file.audio_streams, file.has_video) == (1, False)
    with pytest.raises(InputError, match="has no audio stream 2; it has 1"):
        open_audio(path, stream=1)


def test_a_cover_picture_is_no_video(tmp_path, encode_audio):
    signal = _signal(16_000)
    path = encode_audio(tmp_path / "a.m4a", signal, 16_000, "aac", "mp4", video="png", cover=True)
    with open_audio(path) as file:
        assert (file.has_video, file.audio_streams, file.known_frames) == (False, 1, len(signal))


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        *((f"a.{suffix}", {}, 0) for suffix in ("wav", "flac", "aiff", "au", "w64", "caf")),
        *((name, {"subtype": subtype}, 0) for name in ("a.wav", "a.flac") for subtype in ("PCM_24",)),
        *(("a.wav", {"subtype": subtype}, 0) for subtype in ("PCM_U8", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")),
        ("a.ogg", {"format": "OGG", "subtype": "VORBIS"}, 1e-5),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}, 5e-3),
        ("a.mp3", {}, 1e-4),
    ],
)
@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_ffmpeg_decodes_what_libsndfile_decodes(tmp_path, write_audio, name, options, tolerance, rate):
    rate = 48_000 if name == "a.opus" else rate  # FFmpeg decodes Opus at no other rate
    signal = np.stack([_signal(rate), -0.5 * _signal(rate)[::-1]], 1)
    path = write_audio(tmp_path / name, signal, rate, **options)
    expected = _read(path)
    with open(path, "rb") as file:
        decoder = FFmpegDecoder(file, [(0, path.stat().st_size)], identify(path.read_bytes()[:1024]))
        decoded = np.concatenate(list(decoder.read()))
    assert decoded.shape == expected.shape
    np.testing.assert_allclose(decoded, expected, atol=tolerance)


def _encode_32_bit_flac(path, samples: np.ndarray) -> None:
    with av.open(str(path), "w", format="flac") as output:
        stream = output.add_stream("flac", rate=16_000, layout="mono", options={"strict": "-2"})
        stream.codec_context.format = "s32"
        for start in range(0, len(samples), 4608):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 4608].copy(), "s32", "mono")
            frame.rate = 16_000
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))


def test_32_bit_flac_is_decoded(tmp_path):
    samples = (2.0**31 * _signal(16_000)).astype(np.int32)
    path = tmp_path / "a.flac"
    _encode_32_bit_flac(path, samples)
    with open_audio(path) as file:
        assert (file.known_frames, file.encoding, file.bits) == (len(samples), "FLAC", 32)
    np.testing.assert_allclose(_read(path)[:, 0], samples / 2.0**31, atol=1e-7)


def _insert(path, content: bytes, share: float = 0.5) -> int:
    """Insert bytes between two FLAC frames; return the offset."""
    whole = path.read_bytes()
    place = whole.index(b"\xff\xf8", int(share * len(whole)))
    path.write_bytes(whole[:place] + content + whole[place:])
    return place


@pytest.mark.parametrize("segment", [(0, None), (5000, 60_000), (50_000, None)])
def test_flac_goes_on_with_ffmpeg_where_libsndfile_loses_sync(tmp_path, write_audio, segment):
    path = write_audio(tmp_path / "a.flac", _signal(44_100), 44_100)
    whole = _read(path)
    _insert(path, b"not audio" * 4)
    start, frames = segment
    with open_audio(path) as file:
        assert file.streams  # libsndfile opens it
        assert file.known_frames == len(whole)
    expected = whole[start : None if frames is None else start + frames]
    np.testing.assert_array_equal(_read(path, start, frames), expected)
    assert probe(path)["Duration"] == round(len(whole) / 44_100, 2)


def test_ffmpeg_does_not_conceal_damage_in_flac(tmp_path, write_audio):
    path = write_audio(tmp_path / "a.flac", _signal(16_000), 16_000)
    whole = path.read_bytes()
    first = whole.index(b"\xff\xf8")
    for place in np.random.default_rng(1).integers(first, len(whole), 30):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(InputError, match=r"a\.flac: .*(damaged|truncated)"):
            _read(path)


def test_a_flac_frame_that_is_missing_is_found_before_the_end_is_reached(tmp_path, write_audio):
    """Guards against a segment in another place than the protocol says."""
    path = write_audio(tmp_path / "a.flac", _signal(44_100, 6), 44_100)
    place = _insert(path, b"not audio" * 4, 0.3)
    whole = path.read_bytes()
    begin = whole.index(b"\xff\xf8", place + 40)
    end = whole.index(b"\xff\xf8", begin + 2)
    path.write_bytes(whole[:begin] + whole[end:])
    with open(path, "rb") as file, pytest.raises(DamagedError, match="one of its FLAC frames is missing"):
        list(FFmpegDecoder(file, [(0, path.stat().st_size)], identify(b"fLaC")).read(150_000, 1000))


@pytest.mark.parametrize("name", ["a.tta", "a.wv", "flac.mkv"])
def test_damage_that_a_checksum_shows_is_refused(encode, name):
    path = encode(name)
    whole = path.read_bytes()
    for place in np.random.default_rng(1).integers(len(whole) // 4, len(whole) - 200, 10):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(InputError, match="damaged"):
            _read(path)


# Cut anywhere, a transport or program stream is still one: it declares neither its size nor its length.
DECLARING = [name for name in RECORDINGS if name not in ("a.ts", "video.mpg")]


@pytest.mark.parametrize("name", DECLARING)
def test_a_recording_that_is_cut_short_is_refused(encode, name):
    path = encode(name)
    whole = path.read_bytes()
    # cut between two frames or tags, these look like shorter recordings
    declares_nothing = name.endswith(
        (".aac", ".amr", ".nut", ".ac3", ".eac3", ".latm", ".flv", "live.webm", "stream.mp4")
    )
    accepted = 0
    for share in np.random.default_rng(1).uniform(0.05, 0.95, 12):
        path.write_bytes(whole[: round(share * len(whole))])
        for reader in (_read, probe):
            try:
                reader(path)
                accepted += 1
            except InputError as error:
                assert any(word in str(error) for word in ("damaged", "truncated"))
    assert accepted <= (4 if declares_nothing else 0)


@pytest.mark.parametrize("name", ["a.m4a", "video.mp4", "a.mov", "a.3gp"])
def test_a_recording_with_its_index_first_that_is_cut_short_is_refused(encode, name):
    path = encode(name, options={"movflags": "faststart"})
    whole = path.read_bytes()
    assert whole.index(b"moov") < whole.index(b"mdat")
    path.write_bytes(whole[: len(whole) * 3 // 4])
    for reader in (_read, probe):
        with pytest.raises(InputError, match=r"truncated; \d+ bytes are missing at its end"):
            reader(path)


def test_samples_that_the_index_declares_and_the_file_does_not_have_are_missed(encode):
    """Guards against a size of 0, which means that the last box goes up to the end of the file."""
    path = encode("a.m4a", options={"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    place = content.index(b"mdat") - 4
    content[place : place + 4] = bytes(4)
    path.write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(InputError, match=r"damaged or truncated MP4 file|truncated; its header declares"):
        _read(path)


def test_a_length_in_the_header_that_is_not_reached_is_refused(encode):
    path = encode("a.mkv")
    content = path.read_bytes()
    place = content.index(b"\x44\x89\x88") + 3
    path.write_bytes(content[:place] + np.array([9000.0]).astype(">f8").tobytes() + content[place + 8 :])
    with pytest.raises(InputError, match=r"truncated; its header declares 9.00 s, it ends after 2.0. s"):
        _read(path)


def test_a_video_may_last_longer_than_its_sound(tmp_path, encode_audio):
    """Guards against comparing the sound with the length of the whole file."""
    for name, container in (("a.mkv", "matroska"), ("a.mp4", "mp4")):
        path = encode_audio(tmp_path / name, _signal(48_000), 48_000, "aac", container, video="mpeg4", video_seconds=4)
        assert len(_read(path)) / 48_000 == pytest.approx(SECONDS, abs=0.03)


@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.wma", "pcm.avi", "a.aac", "a.amr", "video.flv", "a.aiff"])
def test_bytes_after_the_end_are_ignored(encode, name):
    path = encode(name)
    whole = _read(path)
    path.write_bytes(path.read_bytes() + b"\x90\x17 some other bytes \xfe\x01\x80")
    np.testing.assert_array_equal(_read(path), whole)


ID3 = b"ID3\x04\0\0\0\0\0\x0a" + b"TIT2 title"


@pytest.mark.parametrize(
    ("name", "before"),
    [
        *(
            (name, before)
            for name in ("a.aac", "a.mp3")
            for before in (ID3, b"junk!", ID3 + b"\xff\xf1 junk", bytes(300))
        ),
        *((name, ID3) for name in ("a.latm", "a.ac3")),
    ],
)
def test_bytes_before_the_first_frame_are_ignored(encode, tmp_path, write_audio, name, before):
    path = write_audio(tmp_path / name, _signal(44_100), 44_100) if name == "a.mp3" else encode(name)
    whole = _read(path)
    path.write_bytes(before + path.read_bytes())
    np.testing.assert_allclose(_read(path.rename(tmp_path / "b.bin")), whole, atol=0)


def _with(changes: dict[bytes, bytes], content: bytes) -> bytes:
    for old, new in changes.items():
        assert content.count(old)
        content = content.replace(old, new)
    return content


KEY = {"encryption_key": "76a6c65c5ea762046bd749a2e632ccbb", "encryption_kid": "a7e61c373e219033c21091fa607bf3b8"}


def test_encrypted_recordings_are_told(encode, tmp_path):
    path = encode("a.m4a", container="mp4", options={"encryption_scheme": "cenc-aes-ctr", **KEY})
    for reader in (_read, probe):
        with pytest.raises(InputError, match=r"a\.m4a: encrypted; .* key"):
            reader(path)


@pytest.mark.parametrize(("container", "video"), [("mp4", "mpeg4"), ("webm", "libvpx"), ("avi", "mpeg4")])
def test_a_video_without_sound_is_told(tmp_path, container, video):
    path = tmp_path / "a.bin"
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(video, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for index in range(10):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24").reformat(format="yuv420p")
            picture.pts = index
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    with pytest.raises(InputError, match="has no audio stream"):
        _read(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"no audio at all\n" * 40, "not an audio or video file"),
        ("\ufeffein Text".encode("utf-16-le") * 40, "not an audio or video file"),
        (b"\xff\xf1 \0" * 40, "not an audio or video file"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/hostname\n", "not an audio or video file"),
        (b"ffconcat version 1.0\nfile a.wav\n", "not an audio or video file"),
        (b"\x1aE\xdf\xa3" + bytes(300), "damaged or truncated WebM or Matroska file"),
        (b"0&\xb2u\x8ef\xcf\x11" + bytes(300), "damaged or truncated Windows Media file"),
        (b"\0\0\0\x1cftypM4A " + bytes(16), "truncated; its index"),
        (b"#!AMR\n", "contains no samples|damaged or truncated AMR file"),
        (b"#!SILK_V3" + bytes(100), "SILK audio, which cannot be decoded"),
        (b"MThd" + bytes(100), "MIDI .* cannot be decoded"),
    ],
)
def test_other_content_is_named(tmp_path, content, said):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    for reader in (_read, probe):
        with pytest.raises(InputError, match=said):
            reader(path)


def test_a_playlist_does_not_open_other_files(tmp_path, write_audio):
    write_audio(tmp_path / "secret.wav")
    for name, content in {
        "a.m3u8": "#EXTM3U\n#EXTINF:1,\nsecret.wav\n#EXT-X-ENDLIST\n",
        "a.mp4": "ffconcat version 1.0\nfile secret.wav\n",
        "a.wav": "v=0\no=- 0 0 IN IP4 127.0.0.1\n",
    }.items():
        (tmp_path / name).write_text(content)
        with pytest.raises(InputError, match="not an audio or video file"):
            open_audio(tmp_path / name)


def test_a_recording_longer_than_a_day_is_refused(encode, tmp_path, write_audio, monkeypatch):
    """Guards against a small file that expands without bound, whether it declares its length or not."""
    for module in (audio_file, headers):
        monkeypatch.setattr(module, "LONGEST", 1)
    for path in (encode("a.m4a"), write_audio(tmp_path / "a.flac", _signal(16_000)), encode("a.webm"), encode("a.aac")):
        for reader in (_read, probe):
            with pytest.raises(InputError, match="longer than 24 hours"):
                reader(path)
    assert len(_read(encode("a.webm"), 0, 24_000)) == 24_000


def test_more_channels_than_the_limit_are_refused(encode, monkeypatch):
    monkeypatch.setattr(ffmpeg, "MAX_CHANNELS", 1)
    path = encode("a.m4a", np.stack([_signal(44_100)] * 2, 1))
    with pytest.raises(InputError, match="has 2 channels; at most 1 are decoded"):
        open_audio(path)


def test_both_channels_are_kept_in_order(encode):
    signal = np.stack([_signal(44_100), 0.25 * _signal(44_100)], 1)
    for name in ("a.m4a", "a.mkv", "pcm.mov", "a.wma"):
        decoded = _read(encode(name, signal))
        assert decoded.shape[1] == 2
        assert np.std(decoded[:, 1]) == pytest.approx(0.25 * np.std(decoded[:, 0]), rel=0.1)


def test_an_edit_list_drops_the_delay_of_the_encoder_and_its_absence_keeps_it(encode):
    path = encode("a.m4a")
    whole = _read(path)
    path.write_bytes(_with({b"edts": b"free"}, path.read_bytes()))
    with open_audio(path) as file:
        assert file.known_frames == len(whole) + 1024
    np.testing.assert_array_equal(_read(path)[1024:], whole)


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.int32])
def test_integers_are_scaled_to_the_range_of_audio(kind):
    limits = np.iinfo(kind)
    scaled = scale_integers(np.array([limits.min, limits.max], kind))
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [-1, 1], atol=0.01)


def test_a_damaged_recording_prints_nothing(encode, capfd):
    path = encode("a.m4a")
    content = bytearray(path.read_bytes())
    middle = content.index(b"mdat") + 4000
    content[middle : middle + 2000] = bytes(range(250)) * 8
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged or truncated MP4 file"):
        _read(path)
    assert capfd.readouterr() == ("", "")
