"""AASIST: the outputs of an independent implementation, and no influence of a batch."""

import json
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from antideepfake.checkpoints.aasist import LEFT_OUT, rename
from antideepfake.errors import InputError
from antideepfake.lobes import AASIST, SSLAASIST, FixedLength, SincFilterBank, UtteranceEncoder
from antideepfake.lobes.aasist import GraphPool

FIXTURES = Path(__file__).parents[2] / "fixtures" / "back_ends"


def read_vectors(name):
    """Give the weights by this project's names, inputs and outputs, and the configuration."""
    state = load_file(FIXTURES / f"{name}.weights.safetensors")
    unused = [key for key in state if any(re.fullmatch(pattern, key) for pattern in LEFT_OUT)]
    state = {rename(key): value for key, value in state.items() if key not in unused}
    path = FIXTURES / f"{name}.io.safetensors"
    with safe_open(path, "pt") as file:
        return state, load_file(path), json.loads(file.metadata()["config"])


def load(state, back_end):
    """Load the weights into a back end and a classifier."""
    modules = torch.nn.ModuleDict({"back_end": back_end, "classifier": torch.nn.Linear(40, 2)})
    modules.load_state_dict(state)
    return modules.eval()


def channels(*pairs):
    return [pairs[index][1] for index in (0, 1, 2, 3, 3, 3)]


@pytest.fixture(scope="module")
def raw():
    state, vectors, config = read_vectors("aasist")
    ratios, temperatures = config["pool_ratios"], config["temperatures"]
    back_end = AASIST(70, channels(*config["filts"][1:]), *config["gat_dims"], *ratios[:3], *temperatures[:3])
    return load(state, back_end), vectors


@pytest.fixture(scope="module")
def ssl():
    state, vectors, c = read_vectors("ssl_aasist")
    sizes = channels((1, c["f1"]), (c["f1"], c["f1"]), (c["f1"], c["f2"]), (c["f2"], c["f2"]))
    return load(state, SSLAASIST(c["D"], c["F"], sizes, c["g1"], c["g2"], c["att"])), vectors


def check(modules, frames, vectors, index, suffix, tolerance):
    embeddings = modules["back_end"](frames, torch.ones(len(frames)))
    logits = modules["classifier"](embeddings)
    for found, name in ((embeddings, "last_hidden"), (logits, "logits")):
        expected = vectors[f"{index}/{name}{suffix}"]
        assert (found - expected).abs().max() <= tolerance * max(1, expected.abs().max())


@pytest.mark.parametrize("index", [0, 1, 2])
@torch.no_grad()
def test_raw_outputs_are_those_of_the_reference(raw, index):
    modules, vectors = raw
    front_end = SincFilterBank()
    waveforms = vectors[f"{index}/wave_int16"].float() / 32768
    check(modules, front_end(waveforms, torch.ones(len(waveforms)))[0], vectors, index, "", 1e-5)
    front_end.double(), modules.double()
    frames, _ = front_end(waveforms.double(), torch.ones(len(waveforms)))
    check(modules, frames, vectors, index, "64", 2e-5)
    front_end.filters = vectors["filters"].double()
    frames, _ = front_end(waveforms.double(), torch.ones(len(waveforms)))
    check(modules, frames, vectors, index, "64", 1e-12)
    modules.float()


@pytest.mark.parametrize("index", [0, 1, 2])
@torch.no_grad()
def test_ssl_outputs_are_those_of_the_reference(ssl, index):
    modules, vectors = ssl
    features = vectors[f"{index}/features"]
    check(modules, features, vectors, index, "", 1e-5)
    check(modules.double(), features.double(), vectors, index, "64", 1e-12)
    modules.float()


@torch.no_grad()
def test_with_a_fixed_length_a_score_depends_on_nothing_else_in_the_batch(raw, rng):
    encoder = UtteranceEncoder(SincFilterBank(), raw[0]["back_end"], fixed_length=FixedLength(6000)).eval()
    lengths = [100, 3000, 6000, 9000]
    waveforms = [torch.from_numpy(rng.standard_normal(length)).float() for length in lengths]
    batch = torch.full((4, 9000), torch.nan)
    for row, waveform in zip(batch, waveforms, strict=True):
        row[: len(waveform)] = waveform
    together = encoder(batch, torch.tensor(lengths) / 9000)
    alone = torch.cat([encoder(waveform[None], torch.ones(1)) for waveform in waveforms])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["raw", "ssl"])
def test_a_padded_batch_and_too_few_frames_are_refused(kind, request):
    back_end = request.getfixturevalue(kind)[0]["back_end"]
    size = {"raw": 70, "ssl": 32}[kind]
    with pytest.raises(InputError, match="set fixed_length of the detector to FixedLength"):
        back_end(torch.zeros(2, 3000, size), torch.tensor([1.0, 0.5]))
    with pytest.raises(InputError, match=r"needs at least \d+ frames, not 2"):
        back_end(torch.zeros(2, 2, size), torch.ones(2))


def test_a_pool_keeps_nodes_in_descending_order_and_at_least_one():
    nodes = torch.randn(3, 90, 4)
    pool = GraphPool(4, 0.7).eval()
    scores = pool.score(pool(nodes) / torch.sigmoid(pool.score(nodes)).sort(1, descending=True).values[:, :62])
    assert scores.shape == (3, 62, 1)  # 90 * 0.7 is 62.99... in binary
    assert (scores.diff(dim=1) <= 1e-6).all()
    assert GraphPool(4, 0.01)(nodes).shape == (3, 1, 4)


@pytest.mark.parametrize("settings", [{"temporal_ratio": 0.0}, {"branch_ratio": 1.5}, {"branch_temperature": 0.0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(InputError, match="must be above 0"):
        AASIST(**settings)


@pytest.mark.parametrize("kind", ["raw", "ssl"])
def test_every_weight_learns(kind, request):
    back_end = request.getfixturevalue(kind)[0]["back_end"].train()
    back_end(torch.rand(2, 9000, 70) if kind == "raw" else torch.randn(2, 60, 32), torch.ones(2)).sum().backward()
    back_end.eval()
    still = [name for name, weight in back_end.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert [name for name in still if not name.endswith("bias")] == []


def test_sizes_of_the_published_variants():
    small = {"channels": [32, 32, 24, 24, 24, 24], "graph_size": 24}
    for back_end, expected in ((AASIST(), 297_866 - 512), (AASIST(**small), 85_306 - 272)):
        assert sum(weight.numel() for weight in back_end.parameters()) + 322 == expected
    ssl = SSLAASIST(1024)
    unused = 2 * (32 + 32 + 64 + 64 + 64)
    assert sum(weight.numel() for weight in ssl.parameters()) + 322 == 447_242 - unused
