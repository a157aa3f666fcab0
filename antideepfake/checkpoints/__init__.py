"""Weights in and out."""

from antideepfake.checkpoints.model_folder import (
    FILES,
    ModelFolderPretrainer,
    ModelMetadata,
    load_weights,
    write_model_folder,
)

__all__ = ["FILES", "ModelFolderPretrainer", "ModelMetadata", "load_weights", "write_model_folder"]
