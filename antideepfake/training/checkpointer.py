"""Checkpoints that are whole or not there."""

import os
import shutil
from pathlib import Path
from typing import Any

from speechbrain.utils.checkpoints import Checkpoint, Checkpointer


class AtomicCheckpointer(Checkpointer):
    """SpeechBrain's ``Checkpointer``, but a run killed in the middle of a save goes on from the checkpoint before.

    The parent writes the file that makes a folder a checkpoint first and the weights later: half of one stops every
    later run. Here a checkpoint is written in a hidden folder beside the others, and takes its place when it is whole.
    """

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
        os.replace(checkpoint.path, path)
        files = {name: path / file.name for name, file in checkpoint.paramfiles.items()}
        return checkpoint._replace(path=path, paramfiles=files)
