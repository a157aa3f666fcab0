"""Published weights: read, map keys, initialize a detector."""

from antideepfake.checkpoints.initialization import start_from
from antideepfake.checkpoints.key_mapping import Checkpoint, load_front_end, load_pretrained, read_checkpoint
from antideepfake.checkpoints.loading import Weights, fetch_folder, read_weights
from antideepfake.deprecated import moved_names

__all__ = [
    "Checkpoint",
    "Weights",
    "fetch_folder",
    "load_front_end",
    "load_pretrained",
    "read_checkpoint",
    "read_weights",
    "start_from",
]

__getattr__ = moved_names(__name__)
