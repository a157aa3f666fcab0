"""Checkpoints are whole or not there; the last and the best are kept."""

import shutil

import pytest
import torch

from antideepfake.training.checkpointer import AtomicCheckpointer


def _new(folder, layer):
    return AtomicCheckpointer(folder, {"layer": layer})


def _meta(eer, step, loss=0.5):
    return {"EER": eer, "loss": loss, "step": step}


def test_a_save_that_dies_leaves_the_one_before(tmp_path, monkeypatch):
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


def test_a_full_disk_is_an_error_of_the_system(tmp_path, small_disk):
    with pytest.raises(OSError, match="File too large"):
        _new(tmp_path, torch.nn.Linear(400, 400)).save_checkpoint()


def test_two_saves_within_a_second_are_two(tmp_path):
    checkpointer = _new(tmp_path, torch.nn.Linear(2, 2))
    for eer in (0.3, 0.1, 0.2):
        checkpointer.save_checkpoint(meta={"EER": eer})
    assert sorted(found.meta["EER"] for found in checkpointer.list_checkpoints()) == [0.1, 0.2, 0.3]
    assert all(path.is_file() for found in checkpointer.list_checkpoints() for path in found.paramfiles.values())


def test_the_last_and_the_best_are_kept(tmp_path):
    checkpointer = _new(tmp_path, torch.nn.Linear(2, 2))
    for step, eer in enumerate((0.3, 0.1, 0.2), 1):
        checkpointer.save_and_keep_only(_meta(eer, step))
    checkpointer.save_and_keep_only({"between": True}, end_of_epoch=False)  # between two validations
    assert checkpointer.find_best().meta["step"] == 2
    assert "between" in checkpointer.find_checkpoint().meta
    assert len(checkpointer.list_checkpoints()) == 2
    assert not (tmp_path / ".part").exists()


def test_of_equal_errors_the_lowest_loss_is_best(tmp_path):
    checkpointer = _new(tmp_path, torch.nn.Linear(2, 2))
    for step, loss in enumerate((0.3, 0.1, 0.2), 1):
        checkpointer.save_checkpoint(_meta(0.0, step, loss))
    assert checkpointer.find_best().meta["step"] == 2


def test_a_removal_that_dies_leaves_no_half_checkpoint(tmp_path, monkeypatch):
    checkpointer = _new(tmp_path, torch.nn.Linear(2, 2))
    checkpointer.save_and_keep_only(_meta(0.1, 1))
    checkpointer.save_and_keep_only(_meta(0.3, 2))
    remove = shutil.rmtree

    def die(path, ignore_errors=False):
        files = list(path.glob("*.ckpt"))
        if files:
            files[0].unlink()
            raise KeyboardInterrupt
        remove(path, ignore_errors=True)

    monkeypatch.setattr(shutil, "rmtree", die)
    with pytest.raises(KeyboardInterrupt):
        checkpointer.save_and_keep_only(_meta(0.2, 3))
    monkeypatch.setattr(shutil, "rmtree", remove)
    assert sorted(found.meta["step"] for found in checkpointer.list_checkpoints()) == [1, 3]
    checkpointer.save_and_keep_only(_meta(0.4, 4))
    assert sorted(found.meta["step"] for found in checkpointer.list_checkpoints()) == [1, 4]


def test_without_a_validation_there_is_no_best(tmp_path):
    checkpointer = _new(tmp_path, torch.nn.Linear(2, 2))
    checkpointer.save_checkpoint({"between": True})
    assert checkpointer.find_best() is None
