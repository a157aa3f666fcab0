"""The second branch: its values, without padding, beside any front end, in a model folder."""

import numpy as np
import pytest
import torch

from antideepfake.errors import InputError
from antideepfake.inference.detector import load_detector
from antideepfake.lobes import FixedLength, LogFilterBank, MeanPooling, SpectralRoughness, UtteranceEncoder
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata

YAML = """
front_end: !new:antideepfake.lobes.LogFilterBank {n_filters: 20}
back_end: !new:antideepfake.lobes.MeanPooling
second_branch: !new:antideepfake.lobes.SpectralRoughness {n_bands: 8}
classifier: !new:torch.nn.Linear {in_features: 36, out_features: 2}
"""


def test_values_are_those_of_the_definition(rng):
    samples = rng.standard_normal(1000).astype(np.float32)
    found = SpectralRoughness(8).eval()(torch.from_numpy(samples)[None], torch.ones(1))[0]
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(float), 400)[::160] * np.hamming(400)
    log_power = np.log(np.abs(np.fft.rfft(frames, 512)) ** 2 + 1e-3)
    bands = np.abs(np.diff(log_power)).reshape(len(frames), 8, 32).mean(2)
    np.testing.assert_allclose(found, np.concatenate([bands.mean(0), bands.std(0)]), atol=1e-3)


def test_padding_has_no_influence(rng):
    encoder = UtteranceEncoder(LogFilterBank(20), MeanPooling(), second_branch=SpectralRoughness()).eval()
    waveforms = torch.from_numpy(rng.standard_normal((3, 9000))).float()
    lengths = torch.tensor([9000, 4321, 400])
    padded = waveforms.masked_fill(torch.arange(9000) >= lengths[:, None], float("nan"))
    together = encoder(padded, lengths / 9000)
    for waveform, length, embedding in zip(waveforms, lengths, together, strict=True):
        torch.testing.assert_close(encoder(waveform[None, :length], torch.ones(1))[0], embedding, atol=1e-5, rtol=1e-5)


def test_a_quieter_noise_is_as_rough_and_an_impulse_is_smooth(rng):
    branch = SpectralRoughness().eval()
    noise = torch.from_numpy(rng.standard_normal((1, 16000))).float()
    ones = torch.ones(1)
    torch.testing.assert_close(branch(noise, ones), branch(0.5 * noise, ones), atol=0.02, rtol=0)
    impulse = torch.zeros(1, 16000)
    impulse[:, ::400] = 20.0  # one in each window
    assert (branch(impulse, ones)[0, :32] < 0.01).all()


def test_it_sees_the_waveform_before_its_length_is_fixed(rng):
    waveforms, ones = torch.from_numpy(rng.standard_normal((1, 3000))).float(), torch.ones(1)
    whole = UtteranceEncoder(LogFilterBank(20), MeanPooling(), second_branch=SpectralRoughness()).eval()
    fixed = UtteranceEncoder(
        LogFilterBank(20), MeanPooling(), fixed_length=FixedLength(9000), second_branch=SpectralRoughness()
    ).eval()
    assert whole.min_samples == fixed.min_samples == 400
    assert torch.equal(whole(waveforms, ones)[:, 20:], fixed(waveforms, ones)[:, 20:])


def test_a_model_folder_has_it(rng, tmp_path):
    encoder = UtteranceEncoder(LogFilterBank(20), MeanPooling(), second_branch=SpectralRoughness(8))
    modules = {"embedding_model": encoder, "classifier": torch.nn.Linear(36, 2)}
    encoder.second_branch.norm.fit(torch.randn(9, 16))
    write_model_folder(tmp_path, YAML, modules, ModelMetadata())
    detector = load_detector(tmp_path)
    samples = rng.standard_normal(5000).astype(np.float32)
    waveform = torch.from_numpy((samples - samples.mean()) / samples.std())[None]
    fake, real = modules["classifier"](encoder.eval()(waveform, torch.ones(1)))[0].tolist()
    assert detector.score_batch([samples], False)[0].logits == pytest.approx((fake, real), abs=1e-4)


@pytest.mark.parametrize("n_bands", [0, 3, 257])
def test_bands_of_unequal_width_are_refused(n_bands):
    with pytest.raises(InputError, match=f"n_bands is {n_bands}; it must divide 256"):
        SpectralRoughness(n_bands)
