"""Weights in and out."""

from antideepfake.checkpoints.model_card import write_model_card
from antideepfake.checkpoints.model_folder import (
    FILES,
    ModelFolderPretrainer,
    build_modules,
    is_unfinished,
    load_label_encoder,
    load_weights,
    write_model_folder,
)
from antideepfake.checkpoints.names import Checkpoint, load_front_end, load_pretrained, read_checkpoint
from antideepfake.checkpoints.reading import Weights, fetch_folder, read_weights
from antideepfake.checkpoints.start import start_from
from antideepfake.metadata import ModelMetadata

__all__ = [
    "FILES",
    "Checkpoint",
    "ModelFolderPretrainer",
    "ModelMetadata",
    "Weights",
    "build_modules",
    "fetch_folder",
    "is_unfinished",
    "load_front_end",
    "load_label_encoder",
    "load_pretrained",
    "load_weights",
    "read_checkpoint",
    "read_weights",
    "start_from",
    "write_model_card",
    "write_model_folder",
]
