"""The second branch: its values, without padding, beside any front end, in a model folder."""

import numpy as np
import pytest
import torch

from antideepfake.inference.detector import load_detector
from antideepfake.lobes import FixedLength, LogFilterBank, MeanPooling, SpectralFineStructure, UtteranceEncoder
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata

YAML = """
front_end: !new:antideepfake.lobes.LogFilterBank {n_filters: 20}
back_end: !new:antideepfake.lobes.MeanPooling
second_branch: !new:antideepfake.lobes.SpectralFineStructure
classifier: !new:torch.nn.Linear {in_features: 148, out_features: 2}
"""


def statistics(frames):
    return np.concatenate([frames.mean(0), np.sqrt(frames.var(0) + 1e-6)])


def test_values_are_those_of_the_definition(rng):
    samples = rng.standard_normal(2000)
    samples[1:] += 0.5 * samples[:-1]
    found = SpectralFineStructure().eval()(torch.from_numpy(samples).float()[None], torch.ones(1))[0]
    windows = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160] * np.hamming(400)
    log_power = np.log(np.abs(np.fft.rfft(windows, 512)) ** 2 + 1e-3)
    expected = [statistics(np.abs(np.diff(log_power)).reshape(len(windows), 32, 8).mean(2))]
    for size in (512, 1024):
        windows = np.lib.stride_tricks.sliding_window_view(samples, size)[::160] * np.hanning(size)
        power = (np.abs(np.fft.rfft(windows)[:, :-1]) ** 2 + 1e-4).reshape(len(windows), 16, -1)
        expected.append(statistics(np.log(power).mean(2) - np.log(power.mean(2))))
    np.testing.assert_allclose(found, np.concatenate(expected), atol=2e-3)


def test_padding_has_no_influence(rng):
    encoder = UtteranceEncoder(LogFilterBank(20), MeanPooling(), second_branch=SpectralFineStructure()).eval()
    waveforms = torch.from_numpy(rng.standard_normal((3, 9000))).float()
    lengths = torch.tensor([9000, 4321, 400])  # the last is shorter than two of the windows
    padded = waveforms.masked_fill(torch.arange(9000) >= lengths[:, None], float("nan"))
    together = encoder(padded, lengths / 9000)
    for waveform, length, embedding in zip(waveforms, lengths, together, strict=True):
        torch.testing.assert_close(encoder(waveform[None, :length], torch.ones(1))[0], embedding, atol=1e-5, rtol=1e-5)


def test_a_quieter_noise_is_as_rough_and_an_impulse_is_smooth(rng):
    branch = SpectralFineStructure().eval()
    noise = torch.from_numpy(rng.standard_normal((1, 16000))).float()
    ones = torch.ones(1)
    torch.testing.assert_close(branch(noise, ones), branch(0.5 * noise, ones), atol=0.03, rtol=0)
    impulse = torch.zeros(1, 16000)
    impulse[:, ::400] = 20.0  # one in each window
    assert (branch(impulse, ones)[0, :32] < 0.01).all()


def test_it_sees_the_waveform_before_its_length_is_fixed(rng):
    waveforms, ones = torch.from_numpy(rng.standard_normal((1, 3000))).float(), torch.ones(1)
    whole = UtteranceEncoder(LogFilterBank(20), MeanPooling(), second_branch=SpectralFineStructure()).eval()
    fixed = UtteranceEncoder(
        LogFilterBank(20), MeanPooling(), fixed_length=FixedLength(9000), second_branch=SpectralFineStructure()
    ).eval()
    assert torch.equal(whole(waveforms, ones)[:, 20:], fixed(waveforms, ones)[:, 20:])


def test_a_model_folder_has_it(rng, tmp_path):
    encoder = UtteranceEncoder(LogFilterBank(20), MeanPooling(), second_branch=SpectralFineStructure())
    modules = {"embedding_model": encoder, "classifier": torch.nn.Linear(148, 2)}
    encoder.second_branch.norm.fit(torch.randn(9, 128))
    write_model_folder(tmp_path, YAML, modules, ModelMetadata())
    detector = load_detector(tmp_path)
    samples = rng.standard_normal(5000).astype(np.float32)
    waveform = torch.from_numpy((samples - samples.mean()) / samples.std())[None]
    fake, real = modules["classifier"](encoder.eval()(waveform, torch.ones(1)))[0].tolist()
    assert detector.score_batch([samples], False)[0].logits == pytest.approx((fake, real), abs=1e-4)
