"""Second branches: from waveforms to an embedding that stands beside that of the front end and the back end.

In a training YAML, ``second_branch: !new:antideepfake.lobes.SpectralRoughness`` adds one to any detector. The
classifier then takes ``embedding_size`` values more.
"""

import torch

from antideepfake.errors import InputError
from antideepfake.lobes.back_ends import compute_statistics
from antideepfake.lobes.batch_norm import Standardization
from antideepfake.lobes.masks import length_mask, whole_lengths


class SpectralRoughness(torch.nn.Module):
    """Mean and standard deviation over time of how much the log spectrum changes from bin to bin, in bands.

    Vocoders and neural networks leave the fine structure of a spectrum too smooth or too rough. An encoder with mel
    filters does not see it: a filter averages over it. The value of a band is the mean absolute difference of the log
    power of adjacent bins, in 257 bins of windows of 25 ms, every 10 ms. The level cancels, and so do slow changes of
    the spectrum, such as those by a microphone. Embeddings are standardized as in
    :class:`antideepfake.lobes.LayerStatistics`.

    Arguments
    ---------
    n_bands : int
        Bands of equal width from 0 to 8 kHz; a divisor of 256. The embedding has twice as many values.

    Example
    -------
    >>> branch = SpectralRoughness().eval()
    >>> branch(torch.randn(2, 16000), torch.tensor([1.0, 0.5])).shape
    torch.Size([2, 64])
    """

    basis: torch.Tensor
    receptive_field, hop, n_fft = 400, 160, 512

    def __init__(self, n_bands: int = 32) -> None:
        super().__init__()
        if not 1 <= n_bands <= self.n_fft // 2 or self.n_fft // 2 % n_bands:
            raise InputError(f"SpectralRoughness: n_bands is {n_bands}; it must divide {self.n_fft // 2}")
        self.n_bands, self.embedding_size = n_bands, 2 * n_bands
        # a convolution with a Fourier basis, because ONNX has no transform of overlapping windows
        steps = torch.arange(self.receptive_field, dtype=torch.float64)
        angles = 2 * torch.pi / self.n_fft * torch.arange(self.n_fft // 2 + 1)[:, None] * steps
        window = torch.hamming_window(self.receptive_field, periodic=False, dtype=torch.float64)
        basis = torch.cat([angles.cos(), angles.sin()]) * window
        self.register_buffer("basis", basis.float().unsqueeze(1), persistent=False)
        self.norm = Standardization(self.embedding_size)

    def forward(self, waveforms: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``waveforms`` ([batch, time], of unit variance) into embeddings ([batch, embedding_size])."""
        spectrum = torch.nn.functional.conv1d(waveforms.float().unsqueeze(1), self.basis, stride=self.hop)
        real, imaginary = spectrum.transpose(1, 2).chunk(2, 2)
        # with a waveform of unit variance, 1e-3 is about 50 dB below the average power of a bin
        log_power = torch.log(real.square() + imaginary.square() + 1e-3)
        change = (log_power[:, :, 1:] - log_power[:, :, :-1]).abs()
        frames = change.unflatten(2, (self.n_bands, -1)).mean(3)
        samples = whole_lengths(relative_lengths, waveforms.shape[1])
        counts = torch.div(samples - self.receptive_field, self.hop, rounding_mode="floor") + 1
        mask = length_mask(counts / frames.shape[1], frames.shape[1]).unsqueeze(2)
        return self.norm(compute_statistics(frames.masked_fill(~mask, 0.0), mask / mask.sum(1, keepdim=True)))
