"""The one path from a file to a waveform."""

import os

import av
import numpy as np
import pytest
import torch

from antideepfake.audio.probe import probe
from antideepfake.audio.waveform import (
    SilentError,
    WaveformNormalizer,
    make_waveform,
    read_audio,
    read_waveform,
    to_mono_16k,
)
from antideepfake.errors import InputError

RATES = [8000, 11025, 16000, 22050, 44100, 48000, 16001, 15990, 32003]


def _sine(frequency: float, rate: int, seconds: float = 2.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def _frequency(waveform: torch.Tensor, near: float) -> float:
    """Frequency of a sine, in Hz at 16 kHz, from how its phase moves against one of the frequency ``near``."""
    middle = waveform.double().numpy()[1600:-1600]
    beat = middle * np.exp(-2j * np.pi * near * np.arange(len(middle)) / 16000)
    size = len(beat) // 16
    phases = np.unwrap(np.angle([(part * np.hanning(size)).sum() for part in beat[: 16 * size].reshape(16, size)]))
    return near + np.polyfit(np.arange(16) * size / 16000, phases, 1)[0] / (2 * np.pi)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_every_rate_and_channel_count_keeps_length_and_loudness(tmp_path, write_audio, rate, channels):
    signal = np.tile(_sine(1000, rate)[:, None], (1, channels))
    waveform = to_mono_16k(*read_audio(write_audio(tmp_path / "a.wav", signal, rate)))
    assert waveform.shape == (len(waveform),)
    assert len(waveform) == pytest.approx(32000, abs=40)
    assert waveform[1600:-1600].std().item() == pytest.approx(0.5 / 2**0.5, rel=0.01)


@pytest.mark.parametrize("rate", RATES)
def test_a_sine_keeps_its_frequency(rate):
    waveform = to_mono_16k(torch.from_numpy(_sine(1000, rate)).float(), rate)
    assert _frequency(waveform, 1000) == pytest.approx(1000, rel=5e-4 if rate in (16001, 32003) else 1e-5)


def test_resampling_leaves_no_alias():
    waveform = to_mono_16k(torch.from_numpy(_sine(11000, 44100)).float(), 44100)
    assert waveform[1600:-1600].abs().max() < 0.01


def test_mono_is_the_mean_of_the_channels():
    signal = torch.tensor([[0.2, 0.4], [-0.6, 0.0]])
    torch.testing.assert_close(to_mono_16k(signal, 16000), torch.tensor([0.3, -0.3]))


@pytest.mark.parametrize(("name", "tolerance"), [("a.wav", 0), ("a.flac", 0), ("a.ogg", 1e-4), ("a.mp3", 1e-4)])
@pytest.mark.parametrize(("start", "duration"), [(0.0, 0.25), (0.3, 0.5), (1.7, None), (1.9, 1.0)])
def test_a_segment_equals_that_segment_of_the_whole(tmp_path, write_audio, name, tolerance, start, duration):
    path = write_audio(tmp_path / name, 0.1 * np.random.default_rng(1).standard_normal(32000))
    whole, _ = read_audio(path)
    part, _ = read_audio(path, start, duration)
    end = None if duration is None else round((start + duration) * 16000)
    torch.testing.assert_close(part, whole[round(start * 16000) : end], atol=tolerance, rtol=0)


def test_read_waveform_is_what_speechbrain_calls(tmp_path, write_audio):
    path = write_audio(tmp_path / "a.wav", 0.1 * np.random.default_rng(1).standard_normal((22050, 2)), 22050)
    torch.testing.assert_close(read_waveform(path), WaveformNormalizer()(*read_audio(path)), atol=0, rtol=0)


def _head_and_half(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize("reader", [read_audio, read_waveform])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.opus"])
def test_truncated_files_are_reported(tmp_path, write_audio, name, reader):
    options = {"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}
    path = write_audio(tmp_path / name, 0.1 * np.random.default_rng(1).standard_normal(32000), **options)
    _head_and_half(path)
    with pytest.raises(InputError) as told:
        reader(path)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


def _chunk_size(content: bytes, name: bytes) -> int:
    return content.index(name) + len(name)


@pytest.mark.parametrize(
    "size",
    [
        *(0, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 2_000_000_000, 0xFFFFFFFF - 36, 0xFFFFFFFF - 8, 0xFFFFFFFF),
        *(0x7FFFFFFF - 36, 0xFFFFF000, 0x7F000000, 4_000_000_000),
    ],
)
def test_a_wav_written_as_a_stream_is_read_to_its_end(tmp_path, write_audio, size):
    path = write_audio(tmp_path / "a.wav", 0.1 * np.random.default_rng(1).standard_normal(8000))
    whole = read_waveform(path)
    content = bytearray(path.read_bytes())
    field = _chunk_size(content, b"data")
    content[field : field + 4] = size.to_bytes(4, "little")
    content[4:8] = min(size + 36, 0xFFFFFFFF).to_bytes(4, "little")
    path.write_bytes(content)
    torch.testing.assert_close(read_waveform(path), whole, atol=0, rtol=0)
    assert probe(path)["Duration"] == 0.5


@pytest.mark.parametrize(
    ("name", "options", "field", "width"),
    [
        ("a.w64", {}, 96, 8),
        ("a.rf64", {"format": "RF64"}, 28, 8),
        ("a.aiff", {}, 42, 4),
        ("a.au", {}, 8, 4),
    ],
)
def test_streams_in_other_containers_are_read_to_their_end(tmp_path, write_audio, name, options, field, width):
    path = write_audio(tmp_path / name, 0.1 * np.random.default_rng(1).standard_normal(8000), **options)
    whole = read_waveform(path)
    content = bytearray(path.read_bytes())
    content[field : field + width] = b"\xff" * width
    path.write_bytes(content)
    torch.testing.assert_close(read_waveform(path), whole, atol=0, rtol=0)


@pytest.mark.parametrize("knows_less", [True, False])
def test_a_flac_file_written_as_a_stream_is_read_to_its_end(tmp_path, write_audio, knows_less):
    path = write_audio(tmp_path / "a.flac", 0.1 * np.random.default_rng(1).standard_normal(30_000))
    whole = read_waveform(path)
    part = read_waveform(path, 1.0, 0.5)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    if knows_less:
        content[12:18] = bytes(6)  # sizes of frames
        content[26:42] = bytes(16)  # MD5 sum
    path.write_bytes(content)
    torch.testing.assert_close(read_waveform(path), whole, atol=0, rtol=0)
    torch.testing.assert_close(read_waveform(path, 1.0, 0.5), part, atol=0, rtol=0)
    assert probe(path)["Duration"] == round(30_000 / 16_000, 2)
    path.write_bytes(content[:-100])
    with pytest.raises(InputError, match="truncated"):
        read_waveform(path)


@pytest.mark.parametrize("total", [1, 4096, 200_000, (1 << 36) - 1])
def test_a_wrong_total_in_a_flac_file_is_refused(tmp_path, write_audio, total):
    """Guards against memory for what a header declares, and against accepting half of a recording as the whole."""
    path = write_audio(tmp_path / "a.flac", 0.1 * np.random.default_rng(1).standard_normal(30_000))
    content = bytearray(path.read_bytes())
    content[21:26] = (int.from_bytes(content[21:26], "big") >> 36 << 36 | total).to_bytes(5, "big")
    path.write_bytes(content)
    for reader in (read_waveform, probe):
        with pytest.raises(InputError, match=r"a\.flac: (damaged|truncated)"):
            reader(path)


@pytest.mark.parametrize("rate", [1, 999, 64_000_000])
def test_a_sample_rate_of_no_recording_is_refused(tmp_path, write_audio, rate):
    path = write_audio(tmp_path / "a.wav", 0.1 * np.random.default_rng(1).standard_normal(8000))
    content = bytearray(path.read_bytes())
    content[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(content)
    for reader in (read_waveform, probe):
        with pytest.raises(InputError, match=f"its header declares {rate} Hz"):
            reader(path)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((f"a.{suffix}", {}) for suffix in ("wav", "flac", "ogg", "mp3", "aiff", "w64", "au", "caf")),
        *(("a.rf64", {"format": "RF64"}), ("a.aifc", {"format": "AIFF", "subtype": "ULAW"})),
        ("a.opus", {"format": "OGG", "subtype": "OPUS"}),
    ],
)
def test_a_file_that_is_cut_short_is_refused(tmp_path, write_audio, name, options):
    path = write_audio(tmp_path / name, 0.1 * np.random.default_rng(1).standard_normal(40_000), **options)
    content = path.read_bytes()
    for share in np.random.default_rng(1).uniform(0.01, 0.93, 12):
        path.write_bytes(content[: round(len(content) * share)])
        for reader in (read_waveform, probe):
            with pytest.raises(InputError, match=name):
                reader(path)


@pytest.mark.parametrize("name", ["a.ogg", "a.opus"])
def test_recordings_chained_in_an_ogg_file_are_read_one_after_the_other(tmp_path, write_audio, name):
    options = {"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}
    rng = np.random.default_rng(1)
    paths = [write_audio(tmp_path / part / name, 0.1 * rng.standard_normal(16_000), **options) for part in "xy"]
    joined = tmp_path / name
    joined.write_bytes(b"".join(path.read_bytes() for path in paths))
    whole = torch.cat([read_audio(path)[0] for path in paths])
    torch.testing.assert_close(read_audio(joined)[0], whole, atol=0, rtol=0)
    torch.testing.assert_close(read_audio(joined, 1.25, 0.5)[0], whole[20_000:28_000], atol=1e-4, rtol=0)
    assert probe(joined)["Duration"] == 2.0
    other = write_audio(tmp_path / "other.ogg", 0.1 * rng.standard_normal((8000, 2)), **options)
    joined.write_bytes(joined.read_bytes() + other.read_bytes())
    with pytest.raises(InputError, match="number of channels changes"):
        read_audio(joined)


def test_wav_files_that_were_joined_are_refused(tmp_path, write_audio):
    """Guards against judging a file by its beginning."""
    path = write_audio(tmp_path / "a.wav")
    path.write_bytes(2 * path.read_bytes())
    for reader in (read_waveform, probe):
        with pytest.raises(InputError, match="several recordings"):
            reader(path)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("2.m4a", b"\0\0\0\x1cftypM4A \0\0\0\0", "truncated; its index"),
        ("a.wav", b"#!AMR-WB\n\x7f\xff", "cannot be read: damaged or truncated AMR file|are not audio|no samples"),
        ("a.webm", b"\x1aE\xdf\xa3\x01\0\0\0", "damaged or truncated WebM or Matroska file"),
        ("a.wma", b"0&\xb2u\x8ef\xcf\x11\xa6\xd9", "damaged or truncated Windows Media file"),
        ("a.silk", b"#!SILK_V3", "SILK audio, which cannot be decoded; convert it to wav or flac"),
        ("a.amr", b"#! a text by that name", "cannot be read: not an audio or video file"),
    ],
)
def test_damage_and_what_cannot_be_decoded_are_told_apart(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content + bytes(200))
    with pytest.raises(InputError, match=said):
        read_waveform(tmp_path / name)


def test_a_codec_that_libsndfile_does_not_know_is_decoded_otherwise(tmp_path):
    path = tmp_path / "a.wav"
    samples = (3000 * np.sin(2 * np.pi * 200 * np.arange(16_000) / 8000)).astype(np.int16)[None]
    with av.open(path, "w", format="wav") as container:
        stream = container.add_stream("adpcm_swf", rate=22_050, layout="mono")
        stream.codec_context.format = "s16"
        for start in range(0, 16_000 - 4096, 4096):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + 4096]), "s16", "mono")
            frame.rate = 22_050
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    signal, rate = read_audio(path)
    assert rate == 22_050
    torch.testing.assert_close(read_audio(path, 0.1, 0.2)[0], signal[2205 : 2205 + 4410], atol=0, rtol=0)
    assert 0.05 < signal.abs().max() < 0.12
    assert len(read_waveform(path, 0.3, 0.2)) == 3200  # the first block ends before
    assert probe(path)["Duration"] == round(len(signal) / rate, 2)


@pytest.mark.parametrize("error", [MemoryError, ValueError, RuntimeError, TypeError, OverflowError, OSError])
def test_any_error_of_a_decoder_is_that_of_its_file(tmp_path, write_audio, monkeypatch, error):
    path = write_audio(tmp_path / "a.wav")

    def fail(*arguments, **options):
        raise error("told by a decoder")

    monkeypatch.setattr("soundfile.SoundFile.read", fail)
    with pytest.raises(InputError, match=r"a\.wav: cannot be read"):
        read_waveform(path)


@pytest.mark.parametrize("name", ["a" * 300 + ".wav", "", "a\0.wav"])
def test_names_that_no_file_can_have_are_refused(tmp_path, name):
    with pytest.raises(InputError):
        read_waveform(name and f"{tmp_path}/{name}")


def test_other_than_regular_files_are_refused(tmp_path):
    """Guards against waiting for ever on a named pipe."""
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(InputError, match="not a regular file"):
        read_waveform(tmp_path / "a.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
def test_a_recording_over_the_limit_is_read_in_segments_only(tmp_path, write_audio, monkeypatch, name):
    monkeypatch.setattr("antideepfake.audio.samples.MAX_SECONDS", 1)
    rng = np.random.default_rng(1)
    path = write_audio(tmp_path / name, 0.1 * rng.standard_normal(32_000))
    for reader in (read_audio, read_waveform):
        with pytest.raises(InputError, match="cut it into shorter files"):
            reader(path)
    assert len(read_waveform(path, 0.5, 1.0)) == 16_000
    assert probe(path)["Duration"] == pytest.approx(2, abs=0.1)
    assert len(read_waveform(write_audio(tmp_path / name, 0.1 * rng.standard_normal(12_000)))) >= 12_000


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("missing.wav", None, "no such file"),
        ("empty.wav", b"", "is empty"),
        ("text.wav", b"no audio at all\n" * 40, "cannot be read"),
        ("head.wav", b"RIFF\x24\x00\x00\x00WAVE", "cannot be read"),
        ("bytes.raw", bytes(range(256)) * 40, "cannot be read"),
        ("noextension", bytes(range(256)) * 40, "cannot be read"),
    ],
)
def test_files_that_are_no_audio(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as told:
        read_waveform(tmp_path / name)
    assert name in str(told.value)


def test_a_folder_is_refused(tmp_path):
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(InputError, match="a folder"):
        read_waveform(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("level", [0.0, 0.25])
def test_silence_is_refused(tmp_path, write_audio, rate, level):
    path = write_audio(tmp_path / "a.wav", np.full(rate, level), rate)
    with pytest.raises(SilentError, match="silent"):
        read_waveform(path)


def test_a_whisper_is_not_silence(tmp_path, write_audio):
    path = write_audio(tmp_path / "a.wav", 4 / 32768 * np.random.default_rng(1).standard_normal(8000))
    assert len(read_waveform(path)) == 8000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_samples_that_are_not_numbers_are_refused(tmp_path, write_audio, value, rate):
    signal = np.random.default_rng(1).standard_normal(rate)
    signal[100] = value
    path = write_audio(tmp_path / "a.wav", signal, rate, subtype="FLOAT")
    with pytest.raises(InputError, match="not finite numbers"):
        read_waveform(path)


@pytest.mark.parametrize(("samples", "enough"), [(399, False), (400, True)])
def test_the_receptive_field_is_the_least(tmp_path, write_audio, samples, enough):
    path = write_audio(tmp_path / "a.wav", np.random.default_rng(1).uniform(-0.1, 0.1, samples))
    if enough:
        assert len(read_waveform(path, min_samples=400)) == 400
    else:
        with pytest.raises(InputError, match=r"too short; it has 399 samples .* at least 400"):
            read_waveform(path, min_samples=400)


def test_reading_beyond_the_end_is_reported(tmp_path, write_audio):
    path = write_audio(tmp_path / "a.wav", np.random.default_rng(1).uniform(-0.1, 0.1, 8000))
    with pytest.raises(InputError, match=r"contains no samples after 3\.00 s"):
        read_waveform(path, start=3.0, duration=1.0)


@pytest.mark.parametrize("difference", [0.0, 0.05])
def test_channels_that_cancel_each_other_are_reported(tmp_path, write_audio, difference):
    """Guards against calling a file silent that is not, and against judging what little is left."""
    rng = np.random.default_rng(1)
    one = 0.1 * rng.standard_normal(16_000)
    path = write_audio(tmp_path / "a.wav", np.stack([one, -one + difference * 0.1 * rng.standard_normal(16_000)], 1))
    for reader in (read_waveform, lambda path: WaveformNormalizer()(*read_audio(path))):
        with pytest.raises(InputError, match="channels cancel each other") as told:
            reader(path)
        assert not isinstance(told.value, SilentError)


@pytest.mark.parametrize("channels", [2, 8, 32])
def test_sound_in_one_channel_of_many_is_kept(channels):
    signal = torch.zeros(16_000, channels)
    signal[:, 1] = 0.1 * torch.randn(16_000)
    assert len(WaveformNormalizer()(signal, 16_000)) == 16_000


@pytest.mark.parametrize(
    ("signal", "said"),
    [
        (torch.zeros(16_000), "silent"),
        (torch.full((16_000, 2), 0.3), "silent"),
        (torch.full((16_000,), float("nan")), "not finite numbers"),
        (1e30 * torch.randn(16_000), "above 1e"),
        (torch.randn(1, 16_000), r"shape \[1, 16000\]; use \[time\] or \[time, channels\]"),
        (torch.randn(2, 16_000), r"shape \[2, 16000\]"),
    ],
)
def test_the_normalizer_of_a_model_folder_refuses_what_scoring_refuses(signal, said):
    with pytest.raises(InputError, match=said):
        WaveformNormalizer()(signal, 16_000)


def test_samples_on_the_scale_of_16_bit_integers_are_read():
    signal = 0.1 * torch.randn(16_000)
    expected = make_waveform(signal, 16_000, "a")
    torch.testing.assert_close(make_waveform(32_768 * signal, 16_000, "a"), expected, atol=5e-3, rtol=0)


@pytest.mark.parametrize("rate", [16_000.5, 0, -8000, float("nan"), 10**9])
def test_a_rate_that_no_recording_has_is_refused(rate):
    with pytest.raises(InputError, match="sample rate"):
        make_waveform(torch.randn(16_000), rate, "a")
