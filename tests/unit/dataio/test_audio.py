"""The one path from a file to a waveform."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.dataio import SilentError, WaveformNormalizer, normalise, read_audio, read_waveform, to_mono_16k
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
    """Recordings at other rates or with more channels would be refused, stretched or summed to a louder signal."""
    signal = np.tile(_sine(1000, rate)[:, None], (1, channels))
    waveform = to_mono_16k(*read_audio(write_audio(tmp_path / "a.wav", signal, rate)))
    assert waveform.shape == (len(waveform),)
    assert len(waveform) == pytest.approx(32000, abs=40)
    assert waveform[1600:-1600].std().item() == pytest.approx(0.5 / 2**0.5, rel=0.01)


@pytest.mark.parametrize("rate", RATES)
def test_a_sine_keeps_its_frequency(rate):
    """Speech would be raised or lowered by resampling, which a detector may take for a generator's trace.

    Rates in use are kept exactly; of odd ones the code promises 0.05 %.
    """
    waveform = to_mono_16k(torch.from_numpy(_sine(1000, rate)).float(), rate)
    assert _frequency(waveform, 1000) == pytest.approx(1000, rel=5e-4 if rate in (16001, 32003) else 1e-5)


def test_resampling_leaves_no_alias():
    """What lies above 8 kHz in a recording at 44.1 kHz would be folded into the speech band."""
    waveform = to_mono_16k(torch.from_numpy(_sine(11000, 44100)).float(), 44100)
    assert waveform[1600:-1600].abs().max() < 0.01


def test_mono_is_the_mean_of_the_channels():
    """One channel would be dropped."""
    signal = torch.tensor([[0.2, 0.4], [-0.6, 0.0]])
    torch.testing.assert_close(to_mono_16k(signal, 16000), torch.tensor([0.3, -0.3]))


@pytest.mark.parametrize(("name", "tolerance"), [("a.wav", 0), ("a.flac", 0), ("a.ogg", 1e-4), ("a.mp3", 1e-4)])
@pytest.mark.parametrize(("start", "duration"), [(0.0, 0.25), (0.3, 0.5), (1.7, None), (1.9, 1.0)])
def test_a_part_is_that_part_of_the_whole(tmp_path, write_audio, name, tolerance, start, duration):
    """Seeking would give training other samples than reading the whole file."""
    path = write_audio(tmp_path / name, 0.1 * np.random.default_rng(1).standard_normal(32000))
    whole, _ = read_audio(path)
    part, _ = read_audio(path, start, duration)
    end = None if duration is None else round((start + duration) * 16000)
    torch.testing.assert_close(part, whole[round(start * 16000) : end], atol=tolerance, rtol=0)


@given(st.floats(0.1, 30), st.floats(-3, 3), st.integers(2, 3000))
def test_normalised_has_no_level_and_no_offset(gain, offset, size):
    """A score would depend on the gain of the recording, or on the offset of its converter."""
    signal = torch.randn(size, generator=torch.Generator().manual_seed(size))
    signal = signal / signal.std(correction=0)
    result = normalise(gain * signal + offset)
    assert result.mean().abs() < 1e-3
    assert result.std(correction=0).item() == pytest.approx(1, abs=2e-3)
    torch.testing.assert_close(result, normalise(signal), atol=5e-3, rtol=0)


def test_read_waveform_is_what_speechbrain_calls(tmp_path, write_audio):
    """SpeechBrain's classify_file would score another waveform than training and scoring saw."""
    path = write_audio(tmp_path / "a.wav", 0.1 * np.random.default_rng(1).standard_normal((22050, 2)), 22050)
    torch.testing.assert_close(read_waveform(path), WaveformNormalizer()(*read_audio(path)), atol=0, rtol=0)


def _head_and_half(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize("reader", [read_audio, read_waveform])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.opus"])
def test_truncated_files_are_told(tmp_path, write_audio, name, reader):
    """Half of a recording would be scored as if it were the whole, or the program would crash on it."""
    options = {"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}
    path = write_audio(tmp_path / name, 0.1 * np.random.default_rng(1).standard_normal(32000), **options)
    _head_and_half(path)
    with pytest.raises(InputError) as told:
        reader(path)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_wave_of_unknown_length_is_read(tmp_path, write_audio, size):
    """What ffmpeg writes into a pipe has no length in its header, and would be refused as truncated."""
    path = write_audio(tmp_path / "a.wav", 0.1 * np.random.default_rng(1).standard_normal(8000))
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    content[place : place + 4] = size.to_bytes(4, "little")
    content[4:8] = size.to_bytes(4, "little")
    path.write_bytes(content)
    if size == 0:  # libsndfile takes 0 at its word; told, not crashed
        with pytest.raises(InputError, match="holds no sample"):
            read_waveform(path)
    else:
        assert len(read_waveform(path)) == 8000


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
    """One wrong file would end a run over a corpus with a traceback."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said) as told:
        read_waveform(tmp_path / name)
    assert name in str(told.value)


def test_a_folder_is_told(tmp_path):
    """A folder named like a recording would end in a traceback."""
    (tmp_path / "a.wav").mkdir()
    with pytest.raises(InputError, match="a folder"):
        read_waveform(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("level", [0.0, 0.25])
def test_silence_is_told(tmp_path, write_audio, rate, level):
    """Silence, with or without an offset, would get a score that means nothing."""
    path = write_audio(tmp_path / "a.wav", np.full(rate, level), rate)
    with pytest.raises(SilentError, match="silent"):
        read_waveform(path)


def test_a_whisper_is_not_silence(tmp_path, write_audio):
    """A quiet recording of a few quantisation steps would be refused."""
    path = write_audio(tmp_path / "a.wav", 4 / 32768 * np.random.default_rng(1).standard_normal(8000))
    assert len(read_waveform(path)) == 8000


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("rate", [8000, 16000])
def test_samples_that_are_no_numbers_are_told(tmp_path, write_audio, value, rate):
    """One NaN in a file would make NaN of every weight in training."""
    signal = np.random.default_rng(1).standard_normal(rate)
    signal[100] = value
    path = write_audio(tmp_path / "a.wav", signal, rate, subtype="FLOAT")
    with pytest.raises(InputError, match="not numbers"):
        read_waveform(path)


@pytest.mark.parametrize(("samples", "enough"), [(399, False), (400, True)])
def test_the_receptive_field_is_the_least(tmp_path, write_audio, samples, enough):
    """A file of less than a frame would crash the front end; one of exactly a frame would be refused."""
    path = write_audio(tmp_path / "a.wav", np.random.default_rng(1).uniform(-0.1, 0.1, samples))
    if enough:
        assert len(read_waveform(path, min_samples=400)) == 400
    else:
        with pytest.raises(InputError, match=r"too short; 399 samples .* at least 400"):
            read_waveform(path, min_samples=400)


def test_reading_beyond_the_end_is_told(tmp_path, write_audio):
    """A protocol whose Duration is wrong would end in a crash."""
    path = write_audio(tmp_path / "a.wav", np.random.default_rng(1).uniform(-0.1, 0.1, 8000))
    with pytest.raises(InputError, match=r"holds no sample after 3\.00 s"):
        read_waveform(path, start=3.0, duration=1.0)
