"""Front ends: frames of their own samples only, lengths to match."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.errors import InputError
from antideepfake.lobes.front_ends import LogFilterBank, SincFilterBank

FRONT_END = LogFilterBank(n_filters=40)


@given(st.integers(400, 5000), st.integers(0, 3000))
def test_frames_do_not_see_padding(samples, padding):
    generator = torch.Generator().manual_seed(samples)
    waveform = torch.randn(1, samples, generator=generator)
    alone, _ = FRONT_END(waveform, torch.ones(1))
    noise = 100 * torch.randn(1, padding, generator=generator)
    together, _ = FRONT_END(torch.cat([waveform, noise], 1), torch.tensor([samples / (samples + padding)]))
    torch.testing.assert_close(together[:, : alone.shape[1]], alone, atol=1e-5, rtol=1e-5)


@given(st.lists(st.integers(400, 100_000), min_size=1, max_size=5), st.sampled_from([(25.0, 10.0), (20.0, 5.0)]))
def test_frame_lengths_are_the_frames_of_each_alone(lengths, window):
    front_end = LogFilterBank(10, *window)
    longest = max(lengths)
    batch = torch.zeros(len(lengths), longest)
    frames, relative = front_end(batch, torch.tensor([length / longest for length in lengths]))
    expected = [front_end(torch.zeros(1, length), torch.ones(1))[0].shape[1] for length in lengths]
    assert (relative * frames.shape[1]).round().int().tolist() == expected
    assert relative.max() <= 1


@pytest.mark.parametrize("frequency", [1000, 4000, 7000])
def test_a_tone_is_where_its_filter_is(frequency):
    waveform = torch.from_numpy(np.sin(2 * np.pi * frequency * np.arange(16000) / 16000)).float()[None]
    waveform[:, :8000] *= 0.01  # each filter's mean over time is taken away: the tone must come and go
    frames, _ = FRONT_END(waveform, torch.ones(1))
    strongest = frames[0, -1].argmax().item()
    assert (strongest + 1) * 8000 / 41 == pytest.approx(frequency, abs=8000 / 41)


def test_the_receptive_field_gives_one_frame():
    field = FRONT_END.receptive_field
    assert field == 400
    assert FRONT_END(torch.randn(1, field), torch.ones(1))[0].shape == (1, 1, 40)


def test_digital_silence_within_an_utterance_is_finite():
    frames, _ = FRONT_END(torch.zeros(1, 1000), torch.ones(1))
    assert torch.isfinite(frames).all()


def test_the_tint_of_the_channel_is_removed():
    generator = torch.Generator().manual_seed(1)
    waveform = torch.randn(1, 8000, generator=generator)
    first, lengths = FRONT_END(waveform, torch.tensor([0.6]))
    second, _ = FRONT_END(30 * waveform, torch.tensor([0.6]))
    torch.testing.assert_close(first, second, atol=1e-3, rtol=1e-3)
    count = round(lengths.item() * first.shape[1])
    torch.testing.assert_close(first[0, :count].mean(0), torch.zeros(40), atol=1e-4, rtol=0)
    assert not first[0, count:].any()


def test_magnitudes_of_sinc_filters_do_not_see_padding():
    front_end, waveform = SincFilterBank(), torch.randn(1, 700)
    alone, _ = front_end(waveform, torch.ones(1))
    batch = torch.cat([waveform, torch.randn(1, 300)], 1)
    together, lengths = front_end(batch, torch.tensor([0.7]))
    assert (lengths * together.shape[1]).round().item() == alone.shape[1] == 700 - 128
    torch.testing.assert_close(together[:, : alone.shape[1]], alone)


def test_sinc_filters_together_pass_everything_once():
    filters = SincFilterBank().filters
    impulse = torch.zeros(129)
    impulse[64] = 1
    torch.testing.assert_close(filters.sum(0), impulse, atol=1e-6, rtol=0)


def test_a_tone_is_loudest_in_its_sinc_filter():
    waveform = torch.sin(2 * torch.pi * 1000 * torch.arange(8000) / 16000)[None]
    frames, _ = SincFilterBank()(waveform, torch.ones(1))
    edges = 700 * (10 ** (torch.linspace(0, 2840.0230, 71) / 2595) - 1)
    strongest = frames.mean(1).argmax().item()
    assert edges[strongest] <= 1000 <= edges[strongest + 1]


@pytest.mark.parametrize("settings", [{"filter_length": 128}, {"filter_length": 2001}, {"n_filters": 0}])
def test_sinc_filters_out_of_range_are_refused(settings):
    with pytest.raises(InputError, match=f"SincFilterBank: {next(iter(settings))} is .*; it must be"):
        SincFilterBank(**settings)
