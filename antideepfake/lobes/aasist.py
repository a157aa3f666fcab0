"""AASIST: two graphs of a spectrogram-like image, one over time and one over frequency, and attention between them.

Jung, Heo, Tak, Shim, Chung, Lee, Yu, Evans, AASIST: audio anti-spoofing using integrated spectro-temporal graph
attention networks (ICASSP 2022), and its form on self-supervised features: Tak, Todisco, Wang, Jung, Yamagishi, Evans,
Automatic speaker verification spoofing and deepfake detection using wav2vec 2.0 and data augmentation (Odyssey 2022).
"""

import torch

from antideepfake.errors import InputError
from antideepfake.lobes.masks import whole_lengths

ATTENTION_DROPOUT = 0.2  # of the nodes that enter an attention, and of those that leave a branch; as published
POOL_DROPOUT = 0.3  # of the nodes that a pool rates
EMBEDDING_DROPOUT = 0.5
WIDTH = 3  # max pooling: bands or frames that become one


class ResidualBlock(torch.nn.Module):
    """Two convolutions over frequency and time with a residual connection, then max pooling over time.

    Arguments
    ---------
    in_channels, out_channels : int
        Channels before and after.
    pool : int
        Frames that become one; 1 keeps all.
    """

    def __init__(self, in_channels: int, out_channels: int, pool: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(in_channels, out_channels, (2, 3), padding=(1, 1))
        self.norm = torch.nn.BatchNorm2d(out_channels)
        self.conv2 = torch.nn.Conv2d(out_channels, out_channels, (2, 3), padding=(0, 1))
        self.shortcut: torch.nn.Module = torch.nn.Identity()
        if in_channels != out_channels:
            self.shortcut = torch.nn.Conv2d(in_channels, out_channels, (1, 3), padding=(0, 1))
        self.pool = torch.nn.MaxPool2d((1, pool))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``x``, [batch, channels, bands, frames]."""
        y = self.conv2(torch.selu(self.norm(self.conv1(x))))
        return self.pool(y + self.shortcut(x))


def make_encoder(channels: list[int], pool: int) -> torch.nn.Sequential:
    """Make the blocks of an encoder from the channels after each, for an image of one channel."""
    pairs = zip([1, *channels[:-1]], channels, strict=True)
    return torch.nn.Sequential(*(ResidualBlock(before, after, pool) for before, after in pairs))


class GraphAttention(torch.nn.Module):
    """Attention between all pairs of nodes of a graph.

    Arguments
    ---------
    in_size, out_size : int
        Size of a node before and after.
    temperature : float
        Divides the scores of pairs before the softmax: the higher, the more equal the weights.
    """

    def __init__(self, in_size: int, out_size: int, temperature: float) -> None:
        super().__init__()
        self.temperature = _require_positive("temperature", temperature)
        self.dropout = torch.nn.Dropout(ATTENTION_DROPOUT)
        self.pair = torch.nn.Linear(in_size, out_size)
        self.pair_score = _make_score(out_size)
        self.attended = torch.nn.Linear(in_size, out_size)
        self.direct = torch.nn.Linear(in_size, out_size)
        self.norm = torch.nn.BatchNorm1d(out_size)

    def forward(self, nodes: torch.Tensor) -> torch.Tensor:
        """Map ``nodes``, [batch, nodes, size]."""
        nodes = self.dropout(nodes)
        scores = _compare_pairs(nodes, self.pair) @ self.pair_score
        weights = (scores.squeeze(3) / self.temperature).softmax(2)
        updated = self.attended(weights @ nodes) + self.direct(nodes)
        return torch.selu(self.norm(updated.transpose(1, 2))).transpose(1, 2)


class GraphPool(torch.nn.Module):
    """Keep the nodes with the highest scores, in descending order.

    Arguments
    ---------
    size : int
        Of a node.
    ratio : float
        Fraction of the nodes to keep, in (0, 1]; rounded down to whole nodes, but at least one.
    """

    def __init__(self, size: int, ratio: float) -> None:
        super().__init__()
        if not 0 < ratio <= 1:
            raise InputError(f"the fraction of nodes to keep is {ratio}; it must be above 0 and at most 1")
        self.ratio = ratio
        self.dropout = torch.nn.Dropout(POOL_DROPOUT)
        self.score = torch.nn.Linear(size, 1)

    def forward(self, nodes: torch.Tensor) -> torch.Tensor:
        """Map ``nodes``, [batch, nodes, size]; each is multiplied by its score."""
        scores = torch.sigmoid(self.score(self.dropout(nodes)))
        # the order matters: two branches are compared node by node
        best = scores.topk(max(int(nodes.shape[1] * self.ratio), 1), dim=1).indices
        return (nodes * scores).gather(1, best.expand(-1, -1, nodes.shape[2]))


class HeterogeneousAttention(torch.nn.Module):
    """Attention between all pairs of nodes of two graphs, and a master node that sums them up.

    Arguments
    ---------
    in_size, out_size, temperature :
        As for :class:`GraphAttention`.
    """

    def __init__(self, in_size: int, out_size: int, temperature: float) -> None:
        super().__init__()
        self.temperature = _require_positive("temperature", temperature)
        self.dropout = torch.nn.Dropout(ATTENTION_DROPOUT)
        self.temporal = torch.nn.Linear(in_size, in_size)
        self.spectral = torch.nn.Linear(in_size, in_size)
        self.pair = torch.nn.Linear(in_size, out_size)
        # for two temporal nodes, one of each kind, two spectral nodes
        self.pair_scores = torch.nn.ParameterList([_make_score(out_size) for _ in range(3)])
        self.attended = torch.nn.Linear(in_size, out_size)
        self.direct = torch.nn.Linear(in_size, out_size)
        self.norm = torch.nn.BatchNorm1d(out_size)
        self.master_pair = torch.nn.Linear(in_size, out_size)
        self.master_score = _make_score(out_size)
        self.master_attended = torch.nn.Linear(in_size, out_size)
        self.master_direct = torch.nn.Linear(in_size, out_size)

    def forward(
        self, temporal: torch.Tensor, spectral: torch.Tensor, master: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Map temporal and spectral nodes ([batch, nodes, size]) and the master node ([batch or 1, 1, size])."""
        count = temporal.shape[1]
        nodes = self.dropout(torch.cat([self.temporal(temporal), self.spectral(spectral)], 1))

        is_spectral = (torch.arange(nodes.shape[1], device=nodes.device) >= count).long()
        kinds = is_spectral.unsqueeze(0) + is_spectral.unsqueeze(1)
        scores = _compare_pairs(nodes, self.pair) @ torch.cat(list(self.pair_scores), 1)
        scores = scores.gather(3, kinds[None, :, :, None].expand(nodes.shape[0], -1, -1, -1)).squeeze(3)
        weights = (scores / self.temperature).softmax(2)
        updated = self.attended(weights @ nodes) + self.direct(nodes)
        updated = torch.selu(self.norm(updated.transpose(1, 2))).transpose(1, 2)

        scores = torch.tanh(self.master_pair(nodes * master)) @ self.master_score
        weights = (scores / self.temperature).softmax(1)
        master = self.master_attended((weights * nodes).sum(1, keepdim=True)) + self.master_direct(master)
        return updated[:, :count], updated[:, count:], master


class GraphBranch(torch.nn.Module):
    """Two layers of attention between temporal and spectral nodes, with pools between them.

    Arguments
    ---------
    in_size, out_size : int
        Size of a node before and after.
    ratio : float
        As for :class:`GraphPool`.
    temperature : float
        As for :class:`GraphAttention`.
    """

    def __init__(self, in_size: int, out_size: int, ratio: float, temperature: float) -> None:
        super().__init__()
        self.master = torch.nn.Parameter(torch.randn(1, 1, in_size))
        self.first = HeterogeneousAttention(in_size, out_size, temperature)
        self.temporal_pool = GraphPool(out_size, ratio)
        self.spectral_pool = GraphPool(out_size, ratio)
        self.second = HeterogeneousAttention(out_size, out_size, temperature)
        self.dropout = torch.nn.Dropout(ATTENTION_DROPOUT)

    def forward(self, temporal: torch.Tensor, spectral: torch.Tensor) -> list[torch.Tensor]:
        """Give temporal, spectral and master nodes."""
        temporal, spectral, master = self.first(temporal, spectral, self.master)
        nodes = self.temporal_pool(temporal), self.spectral_pool(spectral), master
        return [self.dropout(node + update) for node, update in zip(nodes, self.second(*nodes), strict=True)]


class SpectroTemporalGraph(torch.nn.Module):
    """From spectral and temporal nodes to an embedding, the second half of AASIST.

    Arguments
    ---------
    bands : int
        Number of spectral nodes.
    channels : int
        Size of a node.
    graph_size, branch_size : int
        Size of a node in the graphs of one kind, and in the branches over both.
    ratios : tuple of float
        Fractions of nodes that the pools keep: spectral, temporal, in the branches.
    temperatures : tuple of float
        Of the attentions: spectral, temporal, in the branches.
    """

    def __init__(
        self,
        bands: int,
        channels: int,
        graph_size: int,
        branch_size: int,
        ratios: tuple[float, float, float],
        temperatures: tuple[float, float, float],
    ) -> None:
        super().__init__()
        self.position = torch.nn.Parameter(torch.randn(1, bands, channels))
        self.spectral_attention = GraphAttention(channels, graph_size, temperatures[0])
        self.temporal_attention = GraphAttention(channels, graph_size, temperatures[1])
        self.spectral_pool = GraphPool(graph_size, ratios[0])
        self.temporal_pool = GraphPool(graph_size, ratios[1])
        self.branches = torch.nn.ModuleList(
            GraphBranch(graph_size, branch_size, ratios[2], temperatures[2]) for _ in range(2)
        )
        self.dropout = torch.nn.Dropout(EMBEDDING_DROPOUT)

    def forward(self, spectral: torch.Tensor, temporal: torch.Tensor) -> torch.Tensor:
        """Turn ``spectral`` ([batch, channels, bands]) and ``temporal`` ([batch, channels, frames]) into embeddings."""
        spectral = self.spectral_pool(self.spectral_attention(spectral.transpose(1, 2) + self.position))
        temporal = self.temporal_pool(self.temporal_attention(temporal.transpose(1, 2)))
        results = [branch(temporal, spectral) for branch in self.branches]
        temporal, spectral, master = (torch.maximum(*pair) for pair in zip(*results, strict=True))
        graphs = [part for nodes in (temporal, spectral) for part in (nodes.abs().amax(1), nodes.mean(1))]
        return self.dropout(torch.cat([*graphs, master.squeeze(1)], 1))


class AASIST(torch.nn.Module):
    """AASIST on the outputs of a fixed filter bank: the back end for :class:`antideepfake.lobes.SincFilterBank`.

    It is defined for 64,600 samples, about 4 s: wrap the front end in :class:`antideepfake.lobes.FixedLength`. All
    utterances of a batch then have the same length, and a score does not depend on the batch. Other lengths are
    possible for one utterance at a time, or for a batch without padding; a padded batch is refused.

    The defaults are those of AASIST (297,354 parameters with the classifier). AASIST-L has ``channels`` [32, 32, 24,
    24, 24, 24], ``graph_size`` 24, ``spectral_ratio`` 0.4, ``temporal_ratio`` 0.5 and ``branch_ratio`` 0.7 (85,034).

    Arguments
    ---------
    n_features : int
        Number of filters. Max pooling makes a third of them bands.
    channels : list of int
        Channels after each block of the encoder, which also keeps a third of the frames.
    graph_size, branch_size : int
        Size of a node in the graphs of one kind, and in the branches over both. The embedding has five times the
        latter.
    spectral_ratio, temporal_ratio, branch_ratio : float
        Fractions of nodes that the pools keep, in (0, 1].
    spectral_temperature, temporal_temperature, branch_temperature : float
        Divide the scores of the attentions: the higher, the more equal the weights. The defaults are the paper's.

    Raises
    ------
    InputError
        When a setting is out of range; in ``forward``, when utterances differ in length or are too short.

    Example
    -------
    >>> from antideepfake.lobes import SincFilterBank
    >>> frames, lengths = SincFilterBank()(torch.randn(2, 16000), torch.ones(2))
    >>> AASIST().eval()(frames, lengths).shape
    torch.Size([2, 160])
    """

    def __init__(
        self,
        n_features: int = 70,
        channels: list[int] = (32, 32, 64, 64, 64, 64),  # type: ignore[assignment]
        graph_size: int = 64,
        branch_size: int = 32,
        spectral_ratio: float = 0.5,
        temporal_ratio: float = 0.7,
        branch_ratio: float = 0.5,
        spectral_temperature: float = 2.0,
        temporal_temperature: float = 2.0,
        branch_temperature: float = 100.0,
    ) -> None:
        super().__init__()
        self.n_frames = WIDTH ** (len(channels) + 1)  # of the shortest utterance that leaves a temporal node
        self.norm = torch.nn.BatchNorm2d(1)
        self.encoder = make_encoder(list(channels), pool=WIDTH)
        self.graph = SpectroTemporalGraph(
            n_features // WIDTH,
            channels[-1],
            graph_size,
            branch_size,
            (spectral_ratio, temporal_ratio, branch_ratio),
            (spectral_temperature, temporal_temperature, branch_temperature),
        )

    def forward(self, frames: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``frames`` ([batch, frames, n_features]) into embeddings ([batch, 5 branch_size])."""
        _require_whole("AASIST", frames, relative_lengths, self.n_frames)
        image = self.encoder(_make_image(frames, self.norm)).abs()
        return self.graph(image.amax(3), image.amax(2))


class SSLAASIST(torch.nn.Module):
    """AASIST on the features of a self-supervised encoder.

    The published systems take 64,600 samples, about 4 s, that are not normalized: wrap the front end in
    :class:`antideepfake.lobes.FixedLength`, and see :class:`AASIST` about batches of other lengths.

    Arguments
    ---------
    n_features : int
        Size of a frame.
    projection_size : int
        Size that a linear layer reduces frames to. Max pooling makes a third of them bands.
    channels, graph_size, branch_size :
        As for :class:`AASIST`; the encoder keeps all frames that the first max pooling leaves, a third.
    attention_size : int
        Of the hidden layer of the attention that weighs bands and frames.
    pool_ratio : float
        Fraction of nodes that each pool keeps, in (0, 1].

    Raises
    ------
    InputError
        As :class:`AASIST`.

    Example
    -------
    >>> SSLAASIST(n_features=1024).eval()(torch.randn(2, 201, 1024), torch.ones(2)).shape
    torch.Size([2, 160])
    """

    def __init__(
        self,
        n_features: int,
        projection_size: int = 128,
        channels: list[int] = (32, 32, 64, 64, 64, 64),  # type: ignore[assignment]
        graph_size: int = 64,
        branch_size: int = 32,
        attention_size: int = 128,
        pool_ratio: float = 0.5,
    ) -> None:
        super().__init__()
        self.projection = torch.nn.Linear(n_features, projection_size)
        self.norm = torch.nn.BatchNorm2d(1)
        self.encoder = make_encoder(list(channels), pool=1)
        self.encoder_norm = torch.nn.BatchNorm2d(channels[-1])
        self.attention = torch.nn.Sequential(
            torch.nn.Conv2d(channels[-1], attention_size, 1),
            torch.nn.SELU(),
            torch.nn.BatchNorm2d(attention_size),
            torch.nn.Conv2d(attention_size, channels[-1], 1),
        )
        self.graph = SpectroTemporalGraph(
            projection_size // WIDTH, channels[-1], graph_size, branch_size, (pool_ratio,) * 3, (2.0, 2.0, 100.0)
        )

    def forward(self, frames: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
        """Turn ``frames`` ([batch, frames, n_features]) into embeddings ([batch, 5 branch_size])."""
        _require_whole("SSLAASIST", frames, relative_lengths, WIDTH)
        projected = self.projection(frames.to(self.projection.weight.dtype))
        image = torch.selu(self.encoder_norm(self.encoder(_make_image(projected, self.norm))))
        weights = self.attention(image)
        return self.graph((image * weights.softmax(3)).sum(3), (image * weights.softmax(2)).sum(2))


def _require_whole(owner: str, frames: torch.Tensor, relative_lengths: torch.Tensor, least: int) -> None:
    """Refuse padding, which convolutions and attention would see, and utterances that leave no frame."""
    if frames.shape[1] < least:
        raise InputError(f"{owner} needs at least {least} frames, not {frames.shape[1]}; use FixedLength")
    # lengths are known neither on the meta device nor in an export, where FixedLength makes them equal
    if relative_lengths.is_meta or torch.compiler.is_exporting():
        return
    if (whole_lengths(relative_lengths, frames.shape[1]) < frames.shape[1]).any():
        raise InputError(
            f"{owner} cannot tell padding from speech, and the utterances of this batch differ in length; set "
            "fixed_length of the detector to FixedLength, or pass one utterance at a time"
        )


def _make_image(frames: torch.Tensor, norm: torch.nn.Module) -> torch.Tensor:
    """Turn frames ([batch, frames, size]) into an image, a third of it wide and high: [batch, 1, bands, frames]."""
    image = torch.nn.functional.max_pool2d(frames.transpose(1, 2).unsqueeze(1), WIDTH)
    return torch.selu(norm(image))


def _compare_pairs(nodes: torch.Tensor, pair: torch.nn.Module) -> torch.Tensor:
    """Map the product of each pair of nodes ([batch, nodes, size]): [batch, nodes, nodes, out_size]."""
    return torch.tanh(pair(nodes.unsqueeze(2) * nodes.unsqueeze(1)))


def _make_score(size: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.nn.init.xavier_normal_(torch.empty(size, 1)))


def _require_positive(name: str, value: float) -> float:
    if value <= 0:
        raise InputError(f"the {name} is {value}; it must be above 0")
    return value
