"""Second branches: from waveforms to an embedding that stands beside that of the front end and the back end.

In a training YAML, ``second_branch: !new:antideepfake.lobes.SpectralFineStructure`` adds one to any detector. The
classifier then takes ``embedding_size`` values more.
"""

import torch

from antideepfake.lobes.back_ends import compute_statistics
from antideepfake.lobes.batch_norm import Standardization
from antideepfake.lobes.masks import length_mask, whole_lengths

HOP = 160  # samples between windows: 10 ms


class SpectralFineStructure(torch.nn.Module):
    """Roughness and flatness of the spectrum in bands, as mean and standard deviation over time.

    Vocoders and neural networks leave the fine structure of a spectrum too smooth or too rough. An encoder with mel
    filters does not see it: a filter averages over it.

    - Roughness: mean absolute difference of the log power of adjacent bins, in 32 bands, of windows of 25 ms.
    - Flatness: mean log power minus log mean power (the spectral flatness of Gray and Markel, 1974), in 16 bands, of
      windows of 32 and of 64 ms.

    The level cancels in all of them, and so do slow changes of the spectrum, such as those by a microphone. Embeddings
    are standardized as in :class:`antideepfake.lobes.LayerStatistics`. Zeros follow an utterance shorter than a window.

    Example
    -------
    >>> branch = SpectralFineStructure().eval()
    >>> branch(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 128])
    """

    embedding_size = 128

    def __init__(self) -> None:
        super().__init__()
        self.roughness = PowerSpectrum(torch.hamming_window(400, periodic=False, dtype=torch.float64), 512)
        self.flatness = torch.nn.ModuleList(
            PowerSpectrum(torch.hann_window(size, periodic=False, dtype=torch.float64), size) for size in (512, 1024)
        )
        self.norm = Standardization(self.embedding_size)

    def forward(self, waveforms: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``waveforms`` ([batch, time], of unit variance) into embeddings ([batch, 128])."""
        samples = whole_lengths(relative_lengths, waveforms.shape[1])
        waveforms = torch.nn.functional.pad(waveforms.float(), (0, 1024))  # at least one window
        # with a waveform of unit variance, 1e-3 is about 50 dB below the average power of a bin
        log_power = torch.log(self.roughness(waveforms) + 1e-3)
        frames = [(log_power[..., 1:] - log_power[..., :-1]).abs().unflatten(2, (32, -1)).mean(3)]
        for spectrum in self.flatness:
            power = (spectrum(waveforms)[..., :-1] + 1e-4).unflatten(2, (16, -1))
            frames.append(power.log().mean(3) - power.mean(3).log())
        sizes = [400, 512, 1024]
        statistics = [_pool(*each, samples) for each in zip(frames, sizes, strict=True)]
        return self.norm(torch.cat(statistics, 1))


class PowerSpectrum(torch.nn.Module):
    """The power spectrum of windows, every 10 ms.

    Arguments
    ---------
    window : torch.Tensor
        Shape [size]; zeros follow up to ``n_fft``.
    n_fft : int
        Points of the Fourier transform, at least the size of the window.
    """

    window: torch.Tensor

    def __init__(self, window: torch.Tensor, n_fft: int) -> None:
        super().__init__()
        self.n_fft = n_fft
        padded = torch.nn.functional.pad(window.float(), (0, n_fft - len(window)))
        self.register_buffer("window", padded, persistent=False)

    def forward(self, waveforms: torch.Tensor) -> torch.Tensor:
        """Turn ``waveforms`` ([batch, time]) into power ([batch, windows, n_fft // 2 + 1])."""
        spectrum = torch.stft(waveforms, self.n_fft, HOP, window=self.window, center=False, return_complex=True)
        return torch.view_as_real(spectrum).square().sum(3).transpose(1, 2)


def _pool(frames: torch.Tensor, size: int, samples: torch.Tensor) -> torch.Tensor:
    """Compute the statistics of the windows of ``size`` within the samples of each utterance, or of the first."""
    counts = (torch.div(samples - size, HOP, rounding_mode="floor") + 1).clamp(min=1)
    mask = length_mask(counts / frames.shape[1], frames.shape[1]).unsqueeze(2)
    return compute_statistics(frames.masked_fill(~mask, 0.0), mask / mask.sum(1, keepdim=True))
