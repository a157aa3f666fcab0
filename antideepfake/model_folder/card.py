"""The model card: what a model folder says to people, as the README.md of a hub repository."""

import os
from pathlib import Path

from antideepfake.files import atomic_open
from antideepfake.model_folder.license import find_spdx
from antideepfake.model_folder.metadata import ModelMetadata

CARD = """---
license: {hub_license}
library_name: speechbrain
pipeline_tag: audio-classification
tags: [audio, speech, deepfake-detection, anti-spoofing, speechbrain]
---

# {name}

Classifies speech as real or as generated or converted, for a whole recording at a time.

| | |
|---|---|
| Provenance | {provenance} |
| Classes | {classes} |
| Score | logit of real minus logit of fake; higher means more likely real |
| Threshold | {threshold:g} ({threshold_source}) |
| Errors at the threshold | {errors} |
| License of the weights | {license} |

## Use

```python
from antideepfake.inference import load_detector

detector = load_detector("{source}")
for result in detector.score_files(["recording.wav"]):
    print(result.path, result.decision, result.score, result.probability)
```

or, with SpeechBrain alone (its hyperparams.yaml names classes of the package antideepfake, which must be installed):

```python
from speechbrain.inference.classifiers import EncoderClassifier

classifier = EncoderClassifier.from_hparams(source="{source}", savedir="pretrained")
logits, score, index, label = classifier.classify_file("recording.wav")
```

`load_detector` reads config.json and model.safetensors, which cannot run code. A hyperparams.yaml can: load only those
that you trust.

## Limits

- **It is not a detector to rely on** by itself. A score is no proof. Error rates on recordings unlike the training
  data, above all on speech of new spoofing systems, are much higher than on test sets.
- The threshold was chosen as the table says. On other speakers, channels and spoofing systems its errors differ, often
  by several times: measure them on recordings of your own before you use a decision.
- The threshold says where the decision falls, not how certain it is; probabilities are {probabilities}.
- Trained on, and so not to be tested on: {training_corpora}.
"""


def write_model_card(folder: str | os.PathLike, source: str, metadata: ModelMetadata) -> None:
    """Write the README.md of a model folder.

    Arguments
    ---------
    folder : str or Path
        The model folder.
    source : str
        Where others will load it from: a hub id or a path.
    metadata : ModelMetadata
        What the folder remembers.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> write_model_card(folder, "someone/my-detector", ModelMetadata(license="MIT"))
    >>> (folder / "README.md").read_text().splitlines()[1]
    'license: mit'
    """
    values = {
        "hub_license": _spell_for_hub(metadata.license),
        "name": Path(source).name,
        "source": source,
        "provenance": metadata.provenance or "unknown",
        "classes": ", ".join(f"{index} = {name}" for index, name in enumerate(metadata.classes)),
        "threshold": metadata.threshold,
        "threshold_source": metadata.threshold_source,
        "errors": _describe_errors(metadata.threshold_errors),
        "probabilities": "calibrated, for speech like that of the calibration"
        if metadata.calibration
        else "not calibrated",
        "license": metadata.license or "unknown: ask whoever made them",
        "training_corpora": ", ".join(metadata.training_corpora) or "unknown corpora: ask whoever made it",
    }
    with atomic_open(Path(folder) / "README.md") as file:
        file.write(CARD.format(**values))


def _spell_for_hub(license: str) -> str:
    """Give a license as the hub spells it: SPDX in lower case, but for one; ``other`` where it is not one license."""
    return {"ODC-By-1.0": "odc-by"}.get(find_spdx(license), find_spdx(license).lower()) or "other"


def _describe_errors(errors: dict[str, float]) -> str:
    if not errors:
        return "not measured"
    return (
        f"{100 * errors['fnr']:.1f} % of real speech is called fake and {100 * errors['fpr']:.1f} % of fake speech is "
        f"called real, measured on {errors['real']:.0f} real and {errors['fake']:.0f} fake utterances (equal error "
        f"rate {100 * errors['eer']:.1f} %)"
    )
