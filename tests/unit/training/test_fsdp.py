"""Sharded training: the files are those of training without it, and every process gets its part."""

import multiprocessing

import pytest
import torch
from torch import distributed
from torch.distributed.tensor import DTensor

from antideepfake.lobes import MeanPooling, UtteranceEncoder, Wav2Vec2
from antideepfake.lobes.detector import compute_logits
from antideepfake.training.adaptation import add_lora, parameter_groups
from antideepfake.training.fsdp import broadcast, load_sharded, load_whole, save_sharded, shard

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONVOLUTIONS = {"conv_dim": [8, 8], "conv_kernel": [10, 8], "conv_stride": [5, 4], "num_conv_pos_embeddings": 8}


def _modules(seed=1, lora=False):
    torch.manual_seed(seed)
    front_end = Wav2Vec2(**TINY, **CONVOLUTIONS, num_conv_pos_embedding_groups=2)
    if lora:
        add_lora(front_end, 2)
    return {"embedding_model": UtteranceEncoder(front_end, MeanPooling()), "classifier": torch.nn.Linear(16, 2)}


def _optimizer(modules):
    return torch.optim.AdamW(parameter_groups(modules, lr=0.01, layer_decay=0.8))


def _step(modules, optimizer, seed=3):
    waveforms = torch.randn(2, 4000, generator=torch.Generator().manual_seed(seed))
    torch.nn.functional.cross_entropy(compute_logits(modules, waveforms, torch.ones(2)), torch.arange(2)).backward()
    optimizer.step()
    optimizer.zero_grad()


def _save(modules, optimizer, folder):
    folder.mkdir()
    for name, value in {**modules, "optimizer": optimizer}.items():
        save_sharded(value, folder / name)


def _load(modules, optimizer, folder):
    for name, value in {**modules, "optimizer": optimizer}.items():
        load_sharded(value, folder / name)


def _assert_same_files(one, other):
    for path in one.iterdir():
        states = [torch.load(folder / path.name, weights_only=True) for folder in (one, other)]
        torch.testing.assert_close(dict(states[1]), dict(states[0]), rtol=0, atol=0)


@pytest.fixture
def group(tmp_path):
    """The process group of one process."""
    distributed.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("lora", [False, True])
def test_checkpoints_are_those_without_sharding(group, tmp_path, lora):
    plain, sharded = _modules(lora=lora), _modules(lora=lora)
    shard(sharded, "cpu")
    assert all(isinstance(weight, DTensor) for module in sharded.values() for weight in module.parameters())
    optimizers = [_optimizer(modules) for modules in (plain, sharded)]
    for _ in range(2):
        _step(plain, optimizers[0])
        _step(sharded, optimizers[1])
    _save(sharded, optimizers[1], tmp_path / "sharded")
    (tmp_path / "plain").mkdir()
    for name, value in {**plain, "optimizer": optimizers[0]}.items():
        torch.save(value.state_dict(), tmp_path / "plain" / name)
    _assert_same_files(tmp_path / "plain", tmp_path / "sharded")

    resumed = _modules(2, lora)
    shard(resumed, "cpu")
    optimizer = _optimizer(resumed)
    _load(resumed, optimizer, tmp_path / "plain")
    _step(plain, optimizers[0], 4)
    _step(resumed, optimizer, 4)
    _save(resumed, optimizer, tmp_path / "resumed")
    for name, value in {**plain, "optimizer": optimizers[0]}.items():
        torch.save(value.state_dict(), tmp_path / "plain" / name)
    _assert_same_files(tmp_path / "plain", tmp_path / "resumed")


def test_whole_modules_are_those_that_were_not_sharded(group, tmp_path):
    plain, sharded = _modules(), _modules()
    empty = shard(sharded, "cpu")
    save_sharded(sharded["embedding_model"], tmp_path / "weights")
    module = empty["embedding_model"]
    assert {weight.device.type for weight in module.parameters()} == {"meta"}
    load_whole(module, tmp_path / "weights")
    kinds = [[type(part).__name__ for part in one.modules()] for one in (module, plain["embedding_model"])]
    assert kinds[0] == kinds[1]
    assert [weight.requires_grad for weight in module.parameters()] == [
        weight.requires_grad for weight in plain["embedding_model"].parameters()
    ]
    inputs = torch.randn(2, 4000), torch.tensor([1.0, 0.5])
    assert torch.equal(module.eval()(*inputs), plain["embedding_model"].eval()(*inputs))
    before = (tmp_path / "weights").read_bytes()
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
    assert (tmp_path / "weights").read_bytes() == before


def _process(rank, folder, results):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=2)
    modules = _modules(rank)
    shard(modules, "cpu")
    optimizer = _optimizer(modules)
    weights = [weight for module in modules.values() for weight in module.parameters()]
    for number, weight in enumerate(weights):
        weight.grad = torch.full_like(weight, number)
    optimizer.step()
    _save(modules, optimizer, folder / f"first{rank}")
    distributed.barrier()
    parts = [weight.to_local().numel() for weight in weights]
    resumed = _modules(rank + 2)
    shard(resumed, "cpu")
    other = _optimizer(resumed)
    _load(resumed, other, folder / "first0")
    moments = [state["exp_avg"].to_local() for state in other.state.values()]
    sizes = [moment.untyped_storage().nbytes() // 4 for moment in moments]
    _save(resumed, other, folder / f"second{rank}")
    buffer = torch.tensor([float(rank)])
    broadcast([buffer])
    results.put((rank, parts, sum(sizes) == sum(parts), buffer.item()))
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_share_the_weights(tmp_path):
    context = multiprocessing.get_context("spawn")  # forked processes cannot use torch's threads of this one
    results = context.Queue()
    children = [context.Process(target=_process, args=(rank, tmp_path, results)) for rank in range(2)]
    for child in children:
        child.start()
    try:
        (_, first, *same), (_, second, *same_too) = sorted(results.get(timeout=300) for _ in children)
    finally:
        for child in children:
            child.join(10)
            child.kill()
    assert same == same_too == [True, 0.0]
    plain = _modules(0)
    sizes = [weight.numel() for module in plain.values() for weight in module.parameters()]
    assert [one + other for one, other in zip(first, second, strict=True)] == sizes
    assert 0 in second  # of a weight of one row
    _assert_same_files(tmp_path / "first0", tmp_path / "second0")
    assert not list((tmp_path / "first1").iterdir())  # only the first process writes
    optimizer = _optimizer(plain)
    for number, weight in enumerate(weight for module in plain.values() for weight in module.parameters()):
        weight.grad = torch.full_like(weight, number)
    optimizer.step()
    state = torch.load(tmp_path / "first0" / "embedding_model", weights_only=True)
    torch.testing.assert_close(state, dict(plain["embedding_model"].state_dict()))
