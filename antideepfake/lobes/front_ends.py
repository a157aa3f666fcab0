"""Front ends: from waveforms to frames.

A front end is a module whose ``forward(waveforms, relative_lengths)`` gives frames, with a ``frame_lengths`` method
that gives the lengths of these, and ``receptive_field``, the least number of samples that it takes.
"""

import torch
import torchaudio

from antideepfake.dataio import SAMPLE_RATE


class LogFilterBank(torch.nn.Module):
    """Log energies of triangular filters that are evenly spaced in Hz, from a Hamming-windowed power spectrum.

    Evenly spaced and not on the mel scale, since what generators leave behind lies as often high as low (Sahidullah,
    Kinnunen, Hanilci 2015 compare the two for spoofing). Frames begin with the first sample and end within the last, so
    that none sees beyond its utterance.

    Arguments
    ---------
    n_filters : int
        Filters, and so the size of a frame.
    window_ms, hop_ms : float
        Length of a frame, and from one to the next, in milliseconds. 25 and 10 are the custom of speech recognition.
    f_min, f_max : float
        Edges of the lowest and the highest filter, in Hz.

    Example
    -------
    >>> front_end = LogFilterBank(n_filters=60)
    >>> front_end(torch.randn(2, 16000)).shape
    torch.Size([2, 98, 60])
    >>> front_end.frame_lengths(torch.tensor([1.0, 0.5]), 16000) * 98
    tensor([98., 48.])
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
        self.receptive_field = round(window_ms * SAMPLE_RATE / 1000)
        self.hop = round(hop_ms * SAMPLE_RATE / 1000)
        self.n_fft = 1 << (self.receptive_field - 1).bit_length()
        filters = torchaudio.functional.linear_fbanks(self.n_fft // 2 + 1, f_min, f_max, n_filters, SAMPLE_RATE)
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hamming_window(self.receptive_field), persistent=False)

    def forward(self, waveforms: torch.Tensor, relative_lengths: torch.Tensor | None = None) -> torch.Tensor:
        """Turn ``waveforms`` ([batch, time]) into frames ([batch, frames, n_filters]).

        A frame depends on its own samples alone, so the lengths ([batch]) make no difference to this front end.
        """
        frames = waveforms.float().unfold(1, self.receptive_field, self.hop) * self.window
        power = torch.fft.rfft(frames, self.n_fft).abs().square()
        # The waveform has unit variance: 1e-6 lies some 85 dB below the average frame, near the step of a 16-bit file.
        return torch.log(power @ self.filters + 1e-6)

    def frame_lengths(self, relative_lengths: torch.Tensor, samples: int) -> torch.Tensor:
        """Turn lengths relative to ``samples`` into lengths relative to the frames of the padded batch, [batch]."""
        lengths = (relative_lengths * samples).round()
        frames = torch.div(lengths - self.receptive_field, self.hop, rounding_mode="floor") + 1
        return frames / ((samples - self.receptive_field) // self.hop + 1)
