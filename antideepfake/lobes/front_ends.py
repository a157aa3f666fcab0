"""The interface of front ends, and front ends without parameters.

A front end turns padded waveforms [batch, time] and their relative lengths [batch] into frames [batch, frames, size]
and the relative lengths of these. Frames of padding may have any value. ``receptive_field`` is the least number of
samples of a waveform, ``hop`` the samples from one frame to the next.
"""

import numpy as np
import torch
import torchaudio

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.errors import InputError
from antideepfake.lobes.masks import length_mask, masked_mean, whole_lengths


class LogFilterBank(torch.nn.Module):
    """Log energies of triangular filters that are evenly spaced in Hz, from a Hamming-windowed power spectrum.

    The spacing is linear rather than on the mel scale, since artifacts of spoofing systems lie in high as often as in
    low frequencies (Sahidullah, Kinnunen, Hanilci 2015 compare the two for spoofing). The first frame begins with the
    first sample and the last one ends within the utterance, so that no frame sees padding. The mean over time of every
    filter is subtracted, which removes the coloration of microphone and channel.

    Arguments
    ---------
    n_filters : int
        Number of filters: the size of a frame.
    window_ms, hop_ms : float
        Length of a frame, and distance between frames, in milliseconds. 25 and 10 are common in speech recognition.
    f_min, f_max : float
        Edges of the lowest and the highest filter, in Hz.

    Raises
    ------
    InputError
        When a setting is out of range.

    Example
    -------
    >>> front_end = LogFilterBank(n_filters=60)
    >>> frames, lengths = front_end(torch.randn(2, 16000), torch.tensor([1.0, 0.5]))
    >>> frames.shape, lengths * 98
    (torch.Size([2, 98, 60]), tensor([98., 48.]))
    """

    filters: torch.Tensor
    window: torch.Tensor

    def __init__(
        self,
        n_filters: int = 80,
        window_ms: float = 25.0,
        hop_ms: float = 10.0,
        f_min: float = 0.0,
        f_max: float = SAMPLE_RATE / 2,
    ) -> None:
        super().__init__()
        if not 1 <= window_ms <= 100:
            raise InputError(f"LogFilterBank: window_ms is {window_ms}; it must be from 1 to 100")
        if not 1 <= hop_ms <= 1000:
            raise InputError(f"LogFilterBank: hop_ms is {hop_ms}; it must be from 1 to 1000")
        if not 0 <= f_min < f_max <= SAMPLE_RATE / 2:
            raise InputError(
                f"LogFilterBank: f_min is {f_min} and f_max {f_max}; they must be 0 <= f_min < f_max <= "
                f"{SAMPLE_RATE // 2}"
            )
        self.receptive_field = round(window_ms * SAMPLE_RATE / 1000)
        self.hop = round(hop_ms * SAMPLE_RATE / 1000)
        self.n_fft = 1 << (self.receptive_field - 1).bit_length()
        if not 1 <= n_filters <= self.n_fft // 2 + 1:
            raise InputError(
                f"LogFilterBank: n_filters is {n_filters}; a window of {window_ms} ms allows 1 to {self.n_fft // 2 + 1}"
            )
        self.n_filters = n_filters
        filters = torchaudio.functional.linear_fbanks(self.n_fft // 2 + 1, f_min, f_max, n_filters, SAMPLE_RATE)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hamming_window(self.receptive_field), persistent=False)

    def forward(self, waveforms: torch.Tensor, relative_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn ``waveforms`` ([batch, time]) into frames ([batch, frames, n_filters]) and their relative lengths."""
        windows = waveforms.float().unfold(1, self.receptive_field, self.hop) * self.window
        power = torch.fft.rfft(windows, self.n_fft).abs().square()
        # With a waveform of unit variance, 1e-6 is about 85 dB below the average frame, near the noise of 16 bits.
        frames = torch.log(power @ self.filters + 1e-6)
        samples = whole_lengths(relative_lengths, waveforms.shape[1])
        counts = torch.div(samples - self.receptive_field, self.hop, rounding_mode="floor") + 1
        lengths = counts / frames.shape[1]
        mask = length_mask(lengths, frames.shape[1]).unsqueeze(2)
        return (frames - masked_mean(frames, lengths)) * mask, lengths


class SincFilterBank(torch.nn.Module):
    """Magnitudes of the outputs of band-pass filters that are evenly spaced on the mel scale, for every sample.

    The filters are windowed sinc functions that touch each other from 0 Hz to 8 kHz, and are not learned: the first
    layer of RawNet2 (Tak, Patino, Todisco, Nautsch, Evans, Larcher, End-to-end anti-spoofing with RawNet2, 2021) and of
    :class:`antideepfake.lobes.AASIST`. The published systems take waveforms that are not normalized.

    Arguments
    ---------
    n_filters : int
        Number of filters: the size of a frame.
    filter_length : int
        Samples of a filter, an odd number.

    Raises
    ------
    InputError
        When ``filter_length`` is even, or a setting is above 1024.

    Example
    -------
    >>> frames, lengths = SincFilterBank()(torch.randn(2, 16000), torch.tensor([1.0, 0.5]))
    >>> frames.shape, lengths * 15872
    (torch.Size([2, 15872, 70]), tensor([15872.,  7872.]))
    """

    filters: torch.Tensor
    hop = 1

    def __init__(self, n_filters: int = 70, filter_length: int = 129) -> None:
        super().__init__()
        if not 1 <= n_filters <= 1024:
            raise InputError(f"SincFilterBank: n_filters is {n_filters}; it must be from 1 to 1024")
        if filter_length % 2 == 0 or not 1 <= filter_length <= 1024:
            raise InputError(f"SincFilterBank: filter_length is {filter_length}; it must be odd and at most 1023")
        self.n_filters, self.receptive_field = n_filters, filter_length
        mels = np.linspace(0, 2595 * np.log10(1 + SAMPLE_RATE / 2 / 700), n_filters + 1)
        cutoffs = 2 * 700 * (10 ** (mels / 2595) - 1) / SAMPLE_RATE  # relative to half the sample rate
        taps = np.arange(filter_length) - filter_length // 2
        low_pass = cutoffs[:, None] * np.sinc(cutoffs[:, None] * taps)
        filters = np.diff(low_pass, axis=0) * np.hamming(filter_length)
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)

    def forward(self, waveforms: torch.Tensor, relative_lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Turn ``waveforms`` ([batch, time]) into frames ([batch, frames, n_filters]) and their relative lengths."""
        outputs = torch.nn.functional.conv1d(waveforms.unsqueeze(1), self.filters.unsqueeze(1))
        counts = whole_lengths(relative_lengths, waveforms.shape[1]) - self.receptive_field + 1
        return outputs.abs().transpose(1, 2), counts / outputs.shape[2]
