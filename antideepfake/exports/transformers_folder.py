"""A model folder as a folder of transformers, for ``AutoModelForAudioClassification`` and its pipeline."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers

from antideepfake.audio.waveform import SAMPLE_RATE
from antideepfake.errors import InputError
from antideepfake.inference.detector import Detector
from antideepfake.lobes.back_ends import MeanPooling
from antideepfake.lobes.self_supervised import (
    HuBERT,
    SelfSupervisedFrontEnd,
    Wav2Vec2,
    Wav2Vec2BERT,
    WavLM,
)
from antideepfake.model_folder.card import spell_for_hub
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.protocol.table import LABELS

CONFIG = "config.json"
MODELS: dict[type[SelfSupervisedFrontEnd], type[transformers.PreTrainedModel]] = {
    Wav2Vec2: transformers.Wav2Vec2ForSequenceClassification,
    HuBERT: transformers.HubertForSequenceClassification,
    WavLM: transformers.WavLMForSequenceClassification,
    Wav2Vec2BERT: transformers.Wav2Vec2BertForSequenceClassification,
}
CARD = """---
license: {hub_license}
library_name: transformers
pipeline_tag: audio-classification
tags: [audio, speech, deepfake-detection, anti-spoofing]
---

# Detector of generated speech

```python
from transformers import pipeline

detect = pipeline("audio-classification", model="{source}")
detect("recording.wav")
```

| | |
|---|---|
| Provenance | {provenance} |
| Classes | 0 = fake, 1 = real |
| Score | logit of real minus logit of fake; higher means more likely real |
| Threshold | {threshold:g} ({threshold_source}) |
| License of the weights | {license} |

The pipeline prints the softmax of the logits: the score is the logarithm of P(real) / P(fake). Compare the score, not
the probabilities, with the threshold. The feature extractor adds 1e-7 to the variance of a recording, this detector's
own package 1e-5: logits of very quiet recordings (RMS below 0.01 of full scale) differ slightly.

{batches} Recordings must be at 16 kHz. Score long ones in windows of a few seconds.
"""
WITH_MASKS = (
    "Utterances can be scored in a padded batch: pass the attention_mask of the feature extractor to the model."
)
WITHOUT_MASKS = (
    "Score one utterance at a time: in transformers, the group normalization of this encoder's convolutions includes "
    "padding, so the logits of a padded utterance differ."
)


def write_transformers_folder(folder: str | os.PathLike, detector: Detector, source: str = "") -> None:
    """Write a folder that ``AutoModelForAudioClassification.from_pretrained`` loads, with the same logits.

    The classes of transformers have a linear projector before mean pooling and a linear classifier: the projector
    becomes the identity.

    Arguments
    ---------
    folder : str or Path
        Output folder. Its config.json is written last: without it, the folder does not load.
    detector : Detector
        wav2vec 2.0, HuBERT, WavLM or w2v-BERT 2.0 with mean pooling and a linear classifier.
    source : str
        Where others will load the folder from, a Hub id or a path, for its card. By default ``folder``.

    Raises
    ------
    InputError
        When the detector has other parts.

    Example
    -------
    >>> from antideepfake.lobes import UtteranceEncoder, assemble_detector
    >>> front_end = HuBERT(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32)
    >>> modules = assemble_detector(UtteranceEncoder(front_end, MeanPooling()), torch.nn.Linear(16, 2))
    >>> folder = getfixture("tmp_path") / "model"
    >>> write_transformers_folder(folder, Detector(modules, {"metadata": ModelMetadata()}, {"device": "cpu"}))
    >>> transformers.AutoModelForAudioClassification.from_pretrained(folder).config.id2label
    {0: 'fake', 1: 'real'}
    """
    front_end, classifier = _require_parts(detector)
    config = front_end.model.config
    config = type(config).from_dict(
        config.to_dict()
        | {"id2label": dict(enumerate(LABELS)), "label2id": {label: index for index, label in enumerate(LABELS)}}
        | {"classifier_proj_size": config.hidden_size, "use_weighted_layer_sum": False}
    )
    with torch.device("meta"):
        model = MODELS[type(front_end)](config)
    size = config.hidden_size
    bias = torch.zeros(len(LABELS)) if classifier.bias is None else classifier.bias
    state = {f"{model.base_model_prefix}.{name}": value for name, value in front_end.model.state_dict().items()}
    state |= {"projector.weight": torch.eye(size), "projector.bias": torch.zeros(size)}
    state |= {"classifier.weight": classifier.weight, "classifier.bias": bias}
    model.load_state_dict({name: value.detach().cpu() for name, value in state.items()}, assign=True)

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).unlink(missing_ok=True)  # a folder of an older model must not load with new weights
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export.", suffix=".part") as temporary:
        with _no_progress_bar():
            model.save_pretrained(temporary)
        normalize = detector.mods["embedding_model"].normalize
        _make_feature_extractor(front_end, normalize).save_pretrained(temporary)
        card = _format_card(source or os.fspath(folder), front_end, detector.metadata)
        Path(temporary, "README.md").write_text(card, encoding="utf-8")
        for path in sorted(Path(temporary).iterdir(), key=lambda path: path.name == CONFIG):
            os.replace(path, folder / path.name)


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Keep transformers from drawing on standard error."""
    was_enabled = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            transformers.utils.logging.enable_progress_bar()


def _require_parts(detector: Detector) -> tuple[SelfSupervisedFrontEnd, torch.nn.Linear]:
    """Return the front end and the classifier of a detector that transformers can express."""
    encoder: Any = detector.mods["embedding_model"]
    classifier: Any = detector.mods["classifier"]
    parts = [encoder.front_end, encoder.back_end, classifier]
    optional = encoder.layer_aggregation, encoder.fixed_length, encoder.second_branch
    parts += [part for part in optional if part is not None]
    kinds_fit = type(parts[0]) in MODELS and type(parts[1]) is MeanPooling and type(parts[2]) is torch.nn.Linear
    if not kinds_fit or len(parts) > 3:
        names = ", ".join(type(part).__name__ for part in parts)
        kinds = ", ".join(kind.__name__ for kind in MODELS)
        raise InputError(
            f"the detector consists of {names}, which the classes of transformers cannot express; they need a front "
            f"end {kinds}, MeanPooling and torch.nn.Linear; to use this detector elsewhere, try --form onnx"
        )
    return encoder.front_end, classifier


def _make_feature_extractor(front_end: SelfSupervisedFrontEnd, normalize: bool) -> transformers.FeatureExtractionMixin:
    if isinstance(front_end, Wav2Vec2BERT):
        return transformers.SeamlessM4TFeatureExtractor(padding_value=0.0)
    return transformers.Wav2Vec2FeatureExtractor(
        sampling_rate=SAMPLE_RATE, return_attention_mask=True, do_normalize=normalize
    )


def _format_card(source: str, front_end: SelfSupervisedFrontEnd, metadata: ModelMetadata) -> str:
    has_group_norm = getattr(front_end.model.config, "feat_extract_norm", "") == "group"
    return CARD.format(
        hub_license=spell_for_hub(metadata.license),
        source=source,
        provenance=metadata.provenance or "unknown",
        threshold=metadata.threshold,
        threshold_source=metadata.threshold_source,
        license=metadata.license or "unknown; ask the author of the model",
        batches=WITHOUT_MASKS if has_group_norm else WITH_MASKS,
    )
