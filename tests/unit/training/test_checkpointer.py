"""Checkpoints are whole or not there, and hold the random numbers."""

import pytest
import torch

from antideepfake.training import AtomicCheckpointer


def _new(folder, layer):
    return AtomicCheckpointer(folder, {"layer": layer})


def test_a_save_that_dies_leaves_the_one_before(tmp_path, monkeypatch):
    """A kill in the middle of a save would stop every later run on half a checkpoint."""
    layer = torch.nn.Linear(2, 2)
    _new(tmp_path, layer).save_checkpoint(meta={"EER": 0.2})
    kept = layer.weight.detach().clone()

    def die(*_):
        raise KeyboardInterrupt

    with torch.no_grad():
        layer.weight.add_(1)
    dying = _new(tmp_path, layer)
    dying.add_recoverable("last", object(), custom_save_hook=die, custom_load_hook=die)
    with pytest.raises(KeyboardInterrupt):
        dying.save_checkpoint(meta={"EER": 0.1})
    found = _new(tmp_path, layer).recover_if_possible(min_key="EER")
    assert found.meta["EER"] == 0.2
    torch.testing.assert_close(layer.weight, kept)


def test_two_saves_within_a_second_are_two(tmp_path):
    """Checkpoints are named by the second: the later would fail, or replace the better."""
    checkpointer = _new(tmp_path, torch.nn.Linear(2, 2))
    for eer in (0.3, 0.1, 0.2):
        checkpointer.save_checkpoint(meta={"EER": eer})
    assert sorted(found.meta["EER"] for found in checkpointer.list_checkpoints()) == [0.1, 0.2, 0.3]
    assert all(path.is_file() for found in checkpointer.list_checkpoints() for path in found.paramfiles.values())


def test_random_numbers_go_on(tmp_path):
    """Dropout would draw anew after a resume, and the run end elsewhere."""
    checkpointer = _new(tmp_path, torch.nn.Linear(2, 2))
    checkpointer.save_checkpoint()
    expected = torch.rand(5)
    checkpointer.recover_if_possible()
    torch.testing.assert_close(torch.rand(5), expected)
