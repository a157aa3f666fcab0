"""Checkpoints that are whole or not there."""

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from speechbrain.utils.checkpoints import (
    Checkpoint,
    Checkpointer,
    mark_as_loader,
    mark_as_saver,
    register_checkpoint_hooks,
)


@register_checkpoint_hooks
class RandomState:
    """The state of torch's random numbers, so that a resumed run draws as one that was never stopped."""

    @mark_as_saver
    def save(self, path: str | os.PathLike) -> None:
        """Write the state to ``path``."""
        torch.save(torch.get_rng_state(), path)

    @mark_as_loader
    def load(self, path: str | os.PathLike, end_of_epoch: bool) -> None:
        """Take the state from ``path``."""
        torch.set_rng_state(torch.load(path, weights_only=True))


class AtomicCheckpointer(Checkpointer):
    """SpeechBrain's ``Checkpointer``, but a run killed in the middle of a save goes on from the checkpoint before.

    The parent writes the file that makes a folder a checkpoint first and the weights later: half of one stops every
    later run. Here a checkpoint is written in a hidden folder beside the others, and takes its place when it is whole.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.add_recoverable("random_state", RandomState())

    def save_checkpoint(self, *args: Any, **options: Any) -> Checkpoint:
        """Save; arguments as the parent's."""
        final: Path = self.checkpoints_dir  # type: ignore[has-type]
        part = final / ".part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        self.checkpoints_dir = part
        try:
            checkpoint = super().save_checkpoint(*args, **options)
        finally:
            self.checkpoints_dir = final
        path = final / checkpoint.path.name
        while path.exists():  # names are of the second: two saves may share one
            path = path.with_name(path.name + "+")
        os.replace(checkpoint.path, path)
        files = {name: path / file.name for name, file in checkpoint.paramfiles.items()}
        return checkpoint._replace(path=path, paramfiles=files)
