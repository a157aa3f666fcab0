"""SpeechBrain's augmentations as functions of a waveform and a generator."""

import copy
import random

import numpy as np
import pytest
import torch
from speechbrain.augment.preparation import write_csv
from speechbrain.augment.time_domain import (
    AddNoise,
    AddReverb,
    DoClip,
    DropBitResolution,
    DropChunk,
    DropFreq,
    RandAmp,
    SignFlip,
    SpeedPerturb,
)

from antideepfake.augment.speechbrain_augment import Seeded
from antideepfake.errors import InputError

TONES = (500, 1500, 2500, 3500, 4500)  # Hz, one for each noise file: a spectrum tells which was added


@pytest.fixture(scope="module")
def noises(tmp_path_factory, write_audio):
    """A csv of five noises, each a tone, of different lengths."""
    folder = tmp_path_factory.mktemp("noises")
    files = [
        write_audio(folder / f"{tone}.wav", 0.3 * np.sin(2 * np.pi * tone * np.arange(6000 + 4 * tone) / 16000))
        for tone in TONES
    ]
    write_csv([str(file) for file in files], str(folder / "noises.csv"))
    return str(folder / "noises.csv")


@pytest.fixture(scope="module")
def impulse_responses(tmp_path_factory, write_audio):
    """A csv of four impulse responses, each with one echo of another delay."""
    folder = tmp_path_factory.mktemp("responses")
    files = []
    for delay in (400, 800, 1200, 1600):
        response = np.zeros(2000)
        response[[0, delay]] = 0.9, 0.5
        files.append(write_audio(folder / f"{delay}.wav", response))
    write_csv([str(file) for file in files], str(folder / "responses.csv"))
    return str(folder / "responses.csv")


@pytest.fixture(params=["white", "noise", "reverberation", "speed", "frequencies", "chunk", "clip", "bits", "level"])
def make_augment(request, noises, impulse_responses):
    return {
        "white": lambda: AddNoise(snr_low=0, snr_high=20),
        "noise": lambda: AddNoise(noises, snr_low=0, snr_high=20, pad_noise=True),
        "reverberation": lambda: AddReverb(impulse_responses),
        "speed": lambda: SpeedPerturb(16000, [90, 95, 105, 110]),
        "frequencies": DropFreq,
        "chunk": lambda: DropChunk(drop_length_high=400),
        "clip": lambda: DoClip(0.2, 0.8),
        "bits": DropBitResolution,
        "level": lambda: RandAmp(0.1, 2.0),
    }[request.param]


@pytest.fixture
def waveform():
    return 0.1 * torch.randn(8000)


def test_each_call_depends_on_the_generator_alone(make_augment, waveform):
    def run(seeds):
        augment = Seeded(make_augment())
        return {seed: augment(waveform, np.random.default_rng(seed)) for seed in seeds}

    expected = run(range(12))
    torch.manual_seed(77)
    random.seed(77)
    again = run([5, 11, 0, 3, 0, 8])
    assert all(torch.equal(result, expected[seed]) for seed, result in again.items())
    assert len({tuple(result.tolist()) for result in expected.values()}) > 2


def test_the_global_random_state_is_unchanged(make_augment, waveform):
    augment, rng = Seeded(make_augment()), np.random.default_rng(1)
    torch.manual_seed(5)
    random.seed(5)
    expected = torch.rand(1), random.random()
    torch.manual_seed(5)
    random.seed(5)
    augment(waveform, rng)
    assert (torch.rand(1), random.random()) == expected


def test_the_waveform_stays_as_it_is(make_augment, waveform):
    before = waveform.clone()
    result = Seeded(make_augment())(waveform, np.random.default_rng(1))
    assert torch.equal(waveform, before)
    assert result.dim() == 1 and result.dtype == torch.float32 and not torch.equal(result, before)


def test_an_augmentation_in_place_gets_a_copy(waveform):
    class Louder(torch.nn.Module):
        def forward(self, waveforms):
            return waveforms.mul_(2)

    before = waveform.clone()
    assert Seeded(Louder())(waveform, np.random.default_rng(1)).equal(2 * before)
    assert torch.equal(waveform, before)


@pytest.mark.parametrize("length", [400, 16000])
@pytest.mark.parametrize("amplitude", [1e-4, 1.0, 30.0])
def test_short_quiet_and_loud_clips_stay_finite(make_augment, length, amplitude):
    result = Seeded(make_augment())(amplitude * torch.randn(length), np.random.default_rng(1))
    assert len(result) >= 0.9 * length and torch.isfinite(result).all()


def test_a_copy_does_the_same(make_augment, waveform):
    augment = Seeded(make_augment())
    augment(waveform, np.random.default_rng(1))
    expected = augment(waveform, np.random.default_rng(2))
    assert torch.equal(copy.deepcopy(augment)(waveform, np.random.default_rng(2)), expected)


def test_every_noise_file_is_as_likely(noises):
    augment, rng = Seeded(AddNoise(noises, snr_low=0, snr_high=0)), np.random.default_rng(1)
    waveform = 0.001 * torch.randn(4000)
    peaks = [torch.fft.rfft(augment(waveform, rng)).abs().argmax().item() * 4 for _ in range(300)]
    counts = [sum(abs(peak - tone) <= 4 for peak in peaks) for tone in TONES]
    assert sum(counts) == 300
    assert min(counts) > 35, counts


def test_the_ratio_of_speech_to_noise_is_within_its_range(noises, waveform):
    augment, rng = Seeded(AddNoise(noises, snr_low=5, snr_high=15, pad_noise=True)), np.random.default_rng(1)
    ratios = []
    for _ in range(50):
        noisy = augment(waveform, rng)
        scale = (noisy @ waveform) / (waveform @ waveform)
        ratios.append(20 * torch.log10(scale * waveform.norm() / (noisy - scale * waveform).norm()).item())
    assert 4 < min(ratios) < 7 and 13 < max(ratios) < 16


def test_every_impulse_response_is_used(impulse_responses):
    augment, rng = Seeded(AddReverb(impulse_responses)), np.random.default_rng(1)
    click = torch.zeros(4000)
    click[100] = 1
    echoes = {augment(click, rng)[150:].argmax().item() + 50 for _ in range(40)}
    assert echoes == {400, 800, 1200, 1600}


def test_noise_of_another_sample_rate_is_resampled(tmp_path, write_audio, waveform):
    tone = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000)
    write_csv([str(write_audio(tmp_path / "tone.wav", tone, 8000))], str(tmp_path / "noise.csv"))
    augment = Seeded(AddNoise(str(tmp_path / "noise.csv"), snr_low=-40, snr_high=-40, noise_sample_rate=8000))
    spectrum = torch.fft.rfft(augment(waveform, np.random.default_rng(1))).abs()
    assert spectrum.argmax().item() * 2 == pytest.approx(1000, abs=4)


def test_lengths_are_passed_to_augmentations_that_take_them(waveform):
    rng = np.random.default_rng(1)
    assert Seeded(SignFlip(flip_prob=1.0))(waveform, rng).equal(-waveform)
    assert Seeded(DropChunk(drop_start=10, drop_end=20))(waveform, rng)[:200].eq(0).any()


@pytest.mark.parametrize("text", ["", "ID,duration,wav,wav_format,wav_opts\n", "a,b\n1,2\n"])
@pytest.mark.parametrize("augment", [AddNoise, AddReverb])
def test_a_list_that_is_none_is_named_at_once(augment, text, tmp_path):
    path = tmp_path / "noise.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=r"noise\.csv: .*needs the columns ID, duration, wav"):
        Seeded(augment(str(path)))


def test_missing_files_are_named_at_once(tmp_path):
    path = tmp_path / "noise.csv"
    with pytest.raises(InputError, match=r"noise\.csv: .*No such file"):
        Seeded(AddNoise(str(path)))
    path.write_text(f"ID,duration,wav,wav_format,wav_opts\na,1.0,{tmp_path}/gone.wav,wav,\n")
    with pytest.raises(InputError, match=r"noise\.csv: .*gone\.wav"):
        Seeded(AddNoise(str(path)))
