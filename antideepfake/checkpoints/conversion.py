"""From a published detector to a model folder."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from antideepfake.checkpoints.key_mapping import Checkpoint, map_weights
from antideepfake.checkpoints.loading import read_weights
from antideepfake.checkpoints.systems import MappedSystem, map_system
from antideepfake.errors import InputError
from antideepfake.lobes.back_ends import MeanPooling
from antideepfake.lobes.detector import UtteranceEncoder
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.published import PublishedDetector

# The architecture of the released AntiDeepfake detectors; the front end names its own settings.
DETECTOR = """
front_end: !new:antideepfake.lobes.{kind}
back_end: !new:antideepfake.lobes.MeanPooling
classifier: !new:torch.nn.Linear
  in_features: {size}
  out_features: 2
"""
THRESHOLD_SOURCE = "equal probabilities, P(real) = 0.5, as published; not calibrated"


def find_published(source: str, published: Mapping[str, PublishedDetector]) -> PublishedDetector | None:
    """Tell by its name which published detector a file, folder or Hub id is; None when it is none.

    Example
    -------
    >>> from antideepfake.model_folder.published import read_published_detectors
    >>> find_published("nii-yamagishilab/mms-300m-anti-deepfake", read_published_detectors()).parameters
    317
    """
    path = Path(source)
    name = (path.stem if path.is_file() else path.name).lower().replace("_", "-")
    return published.get(name)


def convert_checkpoint(
    source: str,
    output: str | os.PathLike,
    published: PublishedDetector | None = None,
    num_attention_heads: int | None = None,
    hub_id: str = "",
) -> tuple[Checkpoint | MappedSystem, ModelMetadata]:
    """Write the model folder of a released AntiDeepfake detector, or of another published one.

    Arguments
    ---------
    source : str
        Checkpoint, folder that contains one, or Hub id.
    output : str or Path
        Model folder to write.
    published : PublishedDetector, optional
        Which published detector it is: the folder then names its corpora and license.
    num_attention_heads : int, optional
        Of an encoder whose size was never published.
    hub_id : str
        Where others will load the folder from, for its card; by default the folder itself.

    Returns
    -------
    checkpoint : Checkpoint or MappedSystem
        What was read: every tensor is used, or left out for a reason. A MappedSystem is a detector of other authors.
    metadata : ModelMetadata
        What the folder records.

    Raises
    ------
    InputError
        When the checkpoint is not that of a detector, or a tensor is missing, unknown or of the wrong shape.
    """
    weights = read_weights(source)
    checkpoint = map_system(weights, num_attention_heads) or map_weights(weights, num_attention_heads)
    if isinstance(checkpoint, Checkpoint) and not checkpoint.classifier:
        raise InputError(
            f"{source}: a self-supervised model, not a detector: it has no classifier (proj_fc). To train one on it, "
            "load it with antideepfake.checkpoints.load_pretrained"
        )
    metadata = ModelMetadata(provenance=f"converted from {checkpoint.provenance}")
    if published:
        metadata.training_corpora = list(published.corpora)
        metadata.provenance = f"{published.id} ({published.paper}), {metadata.provenance}"
        metadata.license = published.license
    modules: dict[str, Any]
    if isinstance(checkpoint, MappedSystem):
        metadata.windows = checkpoint.windows()
        modules, settings = checkpoint.build(), checkpoint.settings()
    else:
        metadata.threshold_source = THRESHOLD_SOURCE
        size = checkpoint.settings["hidden_size"]
        classifier = torch.nn.Linear(size, 2)
        classifier.load_state_dict(checkpoint.classifier)
        modules = {"embedding_model": UtteranceEncoder(checkpoint.build(), MeanPooling()), "classifier": classifier}
        settings = DETECTOR.format(kind=checkpoint.kind.__name__, size=size)
    write_model_folder(output, settings, modules, metadata, hub_id or os.fspath(output))
    return checkpoint, metadata
