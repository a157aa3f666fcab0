"""Checkpoints that are whole or not there."""

import logging
import os
import shutil
from pathlib import Path
from typing import Any

from speechbrain.utils.checkpoints import Checkpoint, Checkpointer
from speechbrain.utils.distributed import ddp_barrier, if_main_process


class AtomicCheckpointer(Checkpointer):
    """SpeechBrain's ``Checkpointer``, but a run killed in the middle of a save goes on from the checkpoint before.

    The parent writes the file that makes a folder a checkpoint first and the weights later: half of one stops every
    later run. Here a checkpoint is written in a hidden folder beside the others, and takes its place when it is whole.
    One that is not needed any more is hidden before it is removed.
    """

    def save_checkpoint(self, *args: Any, **options: Any) -> Checkpoint | None:
        """Save; arguments as the parent's. All processes call it, the first writes."""
        final: Path = self.checkpoints_dir  # type: ignore[has-type]
        part = final / ".part"
        if if_main_process():
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        self.checkpoints_dir = part
        try:
            checkpoint = super().save_checkpoint(*args, **options)
        finally:
            self.checkpoints_dir = final
        if checkpoint is None:
            return None
        path = final / checkpoint.path.name
        while path.exists():  # names are of the second: two saves may share one
            path = path.with_name(path.name + "+")
        os.replace(checkpoint.path, path)
        files = {name: path / file.name for name, file in checkpoint.paramfiles.items()}
        return checkpoint._replace(path=path, paramfiles=files)

    def save_and_keep_only(self, meta: dict[str, Any] | None = None, end_of_epoch: bool = True, **_: Any) -> None:
        """Save, and keep of the others only the best."""
        self.save_checkpoint(meta or {}, end_of_epoch, verbosity=logging.DEBUG)
        if if_main_process():
            self._remove_others()
        ddp_barrier()  # before another process looks for one to load

    def _remove_others(self) -> None:
        hidden: Path = self.checkpoints_dir / ".part"
        kept = (self.find_checkpoint(), self.find_best())
        for checkpoint in self.list_checkpoints():
            if checkpoint not in kept:
                shutil.rmtree(hidden, ignore_errors=True)
                os.replace(checkpoint.path, hidden)
        shutil.rmtree(hidden, ignore_errors=True)

    def find_best(self) -> Checkpoint | None:
        """Find the checkpoint with the lowest validation EER; of equals, that with the lowest validation loss."""
        validated = [checkpoint for checkpoint in self.list_checkpoints() if "EER" in checkpoint.meta]
        return min(validated, key=lambda item: (item.meta["EER"], item.meta["loss"], item.meta["step"]), default=None)
