"""Recordings that FFmpeg decodes: every container, in place and length, whole and in part, and what is refused."""

import struct

import av
import numpy as np
import pytest
import soundfile

from antideepfake.audio import audio_file, boxes, ffmpeg
from antideepfake.audio.audio_file import open_audio
from antideepfake.audio.containers import identify
from antideepfake.audio.ffmpeg import FFmpegDecoder
from antideepfake.audio.probe import probe
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


@pytest.fixture
def encode(tmp_path, encode_audio):
    """Encode a recording of the table."""

    def encode_one(name: str, signal: np.ndarray | None = None, **changes):
        codec, container, rate, options, *_ = RECORDINGS[name]
        samples = _signal(rate) if signal is None else signal
        return encode_audio(tmp_path / name, samples, rate, codec, container, **options | changes)

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
        with pytest.raises(InputError, match=f"there is no audio stream {missing}; the file has 3"):
            open_audio(path, stream=missing)


def test_a_file_for_libsndfile_has_one_audio_stream(tmp_path, write_audio):
    path = write_audio(tmp_path / "a.wav")
    with open_audio(path) as file:
        assert (file.audio_streams, file.has_video) == (1, False)
    with pytest.raises(InputError, match="there is no audio stream 1; the file has 1"):
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
    if name == "a.opus" and rate != 48_000:
        pytest.skip("FFmpeg decodes Opus at 48 kHz only")
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
