"""Checkpoints that are complete or absent."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

from speechbrain.utils.checkpoints import Checkpoint, Checkpointer
from speechbrain.utils.distributed import ddp_barrier, if_main_process

from antideepfake.files import explain_write_errors


class AtomicCheckpointer(Checkpointer):
    """SpeechBrain's ``Checkpointer``, except that a run killed during a save resumes from the previous checkpoint.

    The parent first writes the file that makes a folder a checkpoint and then the weights: an incomplete checkpoint
    makes every later run fail. Here a checkpoint is written to a hidden folder and moved to its place when it is
    complete. An outdated one is moved to the hidden folder before it is deleted.
    """

    def save_checkpoint(self, *args: Any, **options: Any) -> Checkpoint | None:
        """Save; arguments as for the parent. All processes call it, the first one writes."""
        final: Path = self.checkpoints_dir  # type: ignore[has-type]
        part = final / ".part"
        if if_main_process():
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        self.checkpoints_dir = part
        try:
            with explain_write_errors(part, RuntimeError):  # of torch.save
                checkpoint = super().save_checkpoint(*args, **options)
        finally:
            self.checkpoints_dir = final
        if checkpoint is None:
            return None
        path = final / checkpoint.path.name
        while path.exists():  # names have a resolution of one second
            path = path.with_name(path.name + "+")
        os.replace(checkpoint.path, path)
        files = {name: path / file.name for name, file in checkpoint.paramfiles.items()}
        return checkpoint._replace(path=path, paramfiles=files)

    def save_and_keep_only(self, meta: dict[str, Any] | None = None, end_of_epoch: bool = True, **_: Any) -> None:
        """Save a checkpoint; of the older ones, keep only the best."""
        self.save_checkpoint(meta or {}, end_of_epoch, verbosity=logging.DEBUG)
        if if_main_process():
            self._remove_others()
        ddp_barrier()  # no process may look for a checkpoint before the outdated ones are gone

    def _remove_others(self) -> None:
        hidden: Path = self.checkpoints_dir / ".part"
        kept = (self.find_checkpoint(), self.find_best())
        for checkpoint in self.list_checkpoints():
            if checkpoint not in kept:
                shutil.rmtree(hidden, ignore_errors=True)
                os.replace(checkpoint.path, hidden)
        shutil.rmtree(hidden, ignore_errors=True)

    def find_best(self) -> Checkpoint | None:
        """Find the checkpoint with the lowest validation EER; among equals, the one with the lowest validation loss."""
        validated = [checkpoint for checkpoint in self.list_checkpoints() if "EER" in checkpoint.meta]
        return min(validated, key=lambda item: (item.meta["EER"], item.meta["loss"], item.meta["step"]), default=None)
