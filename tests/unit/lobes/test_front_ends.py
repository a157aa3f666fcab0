"""Front ends: frames of their own samples only, lengths to match."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.lobes import LogFilterBank

FRONT_END = LogFilterBank(n_filters=40)


@given(st.integers(400, 5000), st.integers(0, 3000))
def test_frames_do_not_see_padding(samples, padding):
    """The last frame of an utterance would depend on what follows it in the batch."""
    generator = torch.Generator().manual_seed(samples)
    waveform = torch.randn(1, samples, generator=generator)
    alone = FRONT_END(waveform)
    noise = 100 * torch.randn(1, padding, generator=generator)
    together = FRONT_END(torch.cat([waveform, noise], 1))
    torch.testing.assert_close(together[:, : alone.shape[1]], alone, atol=1e-5, rtol=1e-5)


@given(st.lists(st.integers(400, 100_000), min_size=1, max_size=5), st.sampled_from([(25.0, 10.0), (20.0, 5.0)]))
def test_frame_lengths_are_the_frames_of_each_alone(lengths, window):
    """Frames of padding would be pooled, or the last frames of a short utterance be lost."""
    front_end = LogFilterBank(10, *window)
    longest = max(lengths)
    total = front_end(torch.zeros(1, longest)).shape[1]
    relative = front_end.frame_lengths(torch.tensor([length / longest for length in lengths]), longest)
    expected = [front_end(torch.zeros(1, length)).shape[1] for length in lengths]
    assert (relative * total).round().int().tolist() == expected
    assert relative.max() <= 1


@pytest.mark.parametrize("frequency", [1000, 4000, 7000])
def test_a_tone_is_where_its_filter_is(frequency):
    """The filters would be shifted, or on another scale than the evenly spaced one that is promised."""
    waveform = torch.from_numpy(np.sin(2 * np.pi * frequency * np.arange(16000) / 16000)).float()[None]
    strongest = FRONT_END(waveform).mean((0, 1)).argmax().item()
    assert (strongest + 1) * 8000 / 41 == pytest.approx(frequency, abs=8000 / 41)


def test_the_receptive_field_gives_one_frame():
    """The least that is asked of a file would give no frame, or two."""
    field = FRONT_END.receptive_field
    assert field == 400
    assert FRONT_END(torch.randn(1, field)).shape == (1, 1, 40)


def test_digital_silence_within_an_utterance_is_finite():
    """The logarithm of a pause of zeros would be minus infinity."""
    frames = FRONT_END(torch.zeros(1, 1000))
    assert torch.isfinite(frames).all()
