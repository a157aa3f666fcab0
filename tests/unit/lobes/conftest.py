"""Reference values of published back ends, and what every back end must satisfy."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

FOLDER = Path(__file__).parents[2] / "fixtures" / "back_ends"


@pytest.fixture(scope="session")
def read_vectors() -> Callable[[str], tuple[dict, dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]]:
    """Read the configuration, the weights, and the inputs and outputs of each case."""

    def read(name):
        with safe_open(FOLDER / f"{name}.weights.safetensors", "pt") as file:
            config = json.loads(file.metadata()["config"])
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        with safe_open(FOLDER / f"{name}.io.safetensors", "pt") as file:
            values = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        cases: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in values.items():
            number, _, name = key.partition("/")
            cases.setdefault(number, {})[name] = value
        return config, weights, list(cases.values())

    return read


@pytest.fixture(scope="session")
def load() -> Callable[[torch.nn.Module, dict[str, torch.Tensor]], torch.nn.Module]:
    """Load published weights, which lack the counters of batch normalization; a module for evaluation."""

    def load_strictly(module, weights):
        missing, unexpected = module.load_state_dict(weights, strict=False)
        assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
        return module.eval()

    return load_strictly


@pytest.fixture(scope="session")
def check_back_end() -> Callable[[torch.nn.Module, tuple[int, ...]], None]:
    """Check a back end, or an aggregation of layers, whose input is ``shape`` ([frames, size] or with layers before).

    An utterance gives the same alone and in a batch, whatever the padding; in training, also in a batch of one, every
    parameter and the front end get a finite gradient.
    """

    def check(module, shape):
        module.eval()
        frames = shape[-2]
        with torch.no_grad():
            for weight in module.parameters():  # as if trained
                weight += 0.1 * torch.randn(weight.shape)
        for count in {1, 2, frames // 2, frames - 1, frames}:
            utterance = torch.randn(1, *shape)[..., :count, :]
            batch = torch.randn(3, *shape)
            batch[1, ..., :count, :] = utterance
            lengths = torch.tensor([frames, count, max(frames - 2, 1)]) / frames
            with torch.no_grad():
                alone = module(utterance, torch.ones(1))
                for value in (0.0, -1e5, torch.nan):
                    batch[1, ..., count:, :] = value
                    found = module(batch, lengths)[1:2]
                    if found.dim() == 3:  # frames: those of padding may have any value
                        found = found[:, :count]
                    torch.testing.assert_close(found, alone, atol=2e-5, rtol=2e-5)
        module.train()
        for size in (4, 1):
            module.zero_grad()
            states = torch.randn(size, *shape, requires_grad=True)
            module(states, torch.linspace(1, 0.5, size)).square().sum().backward()
            assert torch.isfinite(states.grad).all() and states.grad.any()
            for name, weight in module.named_parameters():
                assert weight.grad is not None and torch.isfinite(weight.grad).all(), name
                assert size == 1 or weight.grad.any() or name.endswith("bias"), name

    return check
