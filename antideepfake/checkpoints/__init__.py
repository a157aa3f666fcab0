"""Weights in and out."""

from antideepfake.checkpoints.model_folder import (
    ModelFolderPretrainer,
    ModelMetadata,
    load_weights,
    write_model_folder,
)

__all__ = ["ModelFolderPretrainer", "ModelMetadata", "load_weights", "write_model_folder"]
