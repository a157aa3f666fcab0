"""Re-synthesis by vocoders."""

import shutil
import sys

import numpy as np
import pytest
import safetensors.torch
import torch
from scipy import signal

from antideepfake.augment.vocoders import load_vocoder, resynthesize
from antideepfake.errors import InputError

RATE = 16000


@pytest.fixture(scope="module")
def speech():
    """A second like a vowel: pulses of 120 Hz through two resonances, swelling and fading."""
    pulses = np.zeros(RATE)
    pulses[:: RATE // 120] = 1.0
    for frequency in (700, 1200):
        pole = 0.97 * np.exp(2j * np.pi * frequency / RATE)
        pulses = signal.lfilter([1.0], [1.0, -2 * pole.real, abs(pole) ** 2], pulses)
    return 0.3 * pulses / np.abs(pulses).max() * np.hanning(RATE)


@pytest.fixture(scope="module")
def speechbrain_model(tmp_path_factory):
    """A HiFi-GAN with random weights, as SpeechBrain keeps one: its factors make a frame of 256 samples."""
    folder = tmp_path_factory.mktemp("hifigan")
    (folder / "hyperparams.yaml").write_text(
        """
generator: !new:speechbrain.lobes.models.HifiGAN.HifiganGenerator
  in_channels: 80
  out_channels: 1
  resblock_type: "2"
  resblock_dilation_sizes: [[1, 3]]
  resblock_kernel_sizes: [3]
  upsample_kernel_sizes: [16, 16]
  upsample_initial_channel: 8
  upsample_factors: [16, 16]
  inference_padding: 0
modules:
  generator: !ref <generator>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
  loadables:
    generator: !ref <generator>
"""
    )
    from speechbrain.lobes.models.HifiGAN import HifiganGenerator

    torch.manual_seed(1)
    torch.save(
        HifiganGenerator(80, 1, "2", [[1, 3]], [3], [16, 16], 8, [16, 16], 0).state_dict(), folder / "generator.ckpt"
    )
    return folder


@pytest.fixture(scope="module")
def transformers_model(tmp_path_factory):
    """SpeechT5's HiFi-GAN with random weights; its factors make a frame of 256 samples."""
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    torch.manual_seed(1)
    sizes = {"upsample_initial_channel": 8, "upsample_rates": [16, 16], "upsample_kernel_sizes": [32, 32]}
    config = SpeechT5HifiGanConfig(**sizes, resblock_kernel_sizes=[3], resblock_dilation_sizes=[[1]])
    folder = tmp_path_factory.mktemp("speecht5")
    SpeechT5HifiGan(config).save_pretrained(folder)
    return folder


def spectral_distance(first, second):
    """Mean distance of smoothed log spectra, in dB, where the first is not silent."""
    spectra = [np.abs(signal.stft(wave, RATE, nperseg=512)[2]) ** 2 for wave in (first, second)]
    smooth = [10 * np.log10(signal.convolve2d(power, np.ones((9, 1)) / 9, "same") + 1e-7) for power in spectra]
    loud = smooth[0] > smooth[0].max() - 40
    return np.abs(smooth[0] - smooth[1])[loud].mean()


@pytest.mark.parametrize("name", ["world", "griffin_lim"])
def test_reconstruction_is_close_to_the_input(name, speech):
    if name == "world":
        pytest.importorskip("pyworld")
    again, rate = resynthesize(load_vocoder(name), speech, RATE, seed=1)
    assert rate == RATE and spectral_distance(speech, again) < 4
    assert np.corrcoef(again, speech)[0, 1] < 0.999  # and yet it is another waveform
    assert spectral_distance(speech, np.random.default_rng(1).permutation(speech)) > 10


@pytest.mark.parametrize("name", ["world", "griffin_lim", "speechbrain", "transformers"])
@pytest.mark.parametrize("rate", [8000, RATE, 22050])
def test_level_and_length_do_not_reveal_the_vocoder(name, rate, speech, speechbrain_model, transformers_model):
    if name == "world":
        pytest.importorskip("pyworld")
    folder = {"speechbrain": speechbrain_model, "transformers": transformers_model}.get(name)
    vocoder = load_vocoder(f"{name}:{folder}" if folder else name)
    source = 0.2 * signal.resample(speech, rate)
    again, ours = resynthesize(vocoder, source, rate, seed=1)
    assert ours == (16000 if folder else rate)
    assert len(again) == ours and np.isfinite(again).all()  # a second
    assert np.abs(again).max() <= 0.99
    if np.abs(again).max() < 0.98:
        assert np.mean(again**2) == pytest.approx(np.mean(source**2), rel=1e-6)


@pytest.mark.parametrize("name", ["world", "griffin_lim", "speechbrain", "transformers"])
def test_very_short_recordings(name, speechbrain_model, transformers_model):
    if name == "world":
        pytest.importorskip("pyworld")
    folder = {"speechbrain": speechbrain_model, "transformers": transformers_model}.get(name)
    vocoder = load_vocoder(f"{name}:{folder}" if folder else name)
    for samples in (1, 200, 700):
        again, _ = resynthesize(vocoder, 0.1 * np.ones(samples), RATE, seed=1)
        assert len(again) == samples and np.isfinite(again).all()


def test_a_neural_vocoder_gets_its_own_mel_spectrogram(speech, speechbrain_model, transformers_model):
    heard = {}
    for name, folder in (("speechbrain", speechbrain_model), ("transformers", transformers_model)):
        vocoder = load_vocoder(f"{name}:{folder}")
        model = vocoder.model.mods["generator"].conv_pre if name == "speechbrain" else vocoder.model
        model.register_forward_pre_hook(lambda _, given, name=name: heard.update({name: given[0]}))
        vocoder(speech, RATE, 0)
    brain, t5 = heard["speechbrain"][0], heard["transformers"][0].T
    assert brain.shape[0] == t5.shape[0] == 80  # bands
    assert abs(brain.shape[1] - RATE // 256) <= 1 and abs(t5.shape[1] - RATE // 256) <= 1  # frames
    assert brain.min() == pytest.approx(np.log(1e-5), abs=0.1) or brain.min() > np.log(1e-5)  # natural logarithm
    assert t5.min() >= -10.1 and t5.max() < 3  # logarithm to the base of ten
    # both are loudest where the vowel is, in the middle and around its first resonance
    for spectrogram in (brain, t5):
        assert 0.3 < int(spectrogram.mean(0).argmax()) / spectrogram.shape[1] < 0.7
        assert 10 < int(spectrogram.mean(1).argmax()) < 45


def test_the_seed_decides(speech):
    vocoder = load_vocoder("griffin_lim")
    state = torch.get_rng_state()
    first, again, other = (resynthesize(vocoder, speech, RATE, seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", ["melgan", "speechbrain:", "transformers:/no/such/folder"])
def test_unknown_vocoders(name):
    with pytest.raises(InputError, match="vocoder"):
        load_vocoder(name)


def test_weights_of_another_model(transformers_model, tmp_path):
    """Guards against a vocoder that runs with random weights."""
    shutil.copytree(transformers_model, tmp_path / "model")
    path = tmp_path / "model" / "model.safetensors"
    safetensors.torch.save_file(
        {f"x.{k}": v for k, v in safetensors.torch.load_file(path).items()}, path, {"format": "pt"}
    )
    with pytest.raises(InputError, match="do not match the model"):
        load_vocoder(f"transformers:{tmp_path / 'model'}")


def test_world_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(InputError, match="pyworld-prebuilt"):
        load_vocoder("world")(np.zeros(1000), RATE, 0)
