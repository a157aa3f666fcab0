"""The model card: the README.md of a model folder, in the format of the Hugging Face Hub."""

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

Classifies a whole recording as real speech or as generated or converted speech.

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

`load_detector` reads config.json and model.safetensors, which cannot run code. A hyperparams.yaml can run code: load
only files that you trust.

## Limits

- **Do not rely on this detector alone.** A score is not proof. Error rates are much higher than on test sets when
  recordings differ from the training data, especially on speech of new spoofing systems.
- The table states how the threshold was chosen. On other speakers, channels and spoofing systems, the errors may be
  several times as high: measure them on your own recordings before you use the decisions.
- The threshold determines the decision, not its certainty. Probabilities are {probabilities}.
- Do not test the detector on its training data: {training_corpora}.
"""


def write_model_card(folder: str | os.PathLike, source: str, metadata: ModelMetadata) -> None:
    """Write the README.md of a model folder.

    Arguments
    ---------
    folder : str or Path
        The model folder.
    source : str
        Source from which others load the model: a Hub id or a path.
    metadata : ModelMetadata
        Metadata of the model folder.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> write_model_card(folder, "someone/my-detector", ModelMetadata(license="MIT"))
    >>> (folder / "README.md").read_text().splitlines()[1]
    'license: mit'
    """
    values = {
        "hub_license": spell_for_hub(metadata.license),
        "name": Path(source).name,
        "source": source,
        "provenance": metadata.provenance or "unknown",
        "classes": ", ".join(f"{index} = {name}" for index, name in enumerate(metadata.classes)),
        "threshold": metadata.threshold,
        "threshold_source": metadata.threshold_source,
        "errors": _describe_errors(metadata.threshold_errors),
        "probabilities": "calibrated for speech like that of the calibration data"
        if metadata.calibration
        else "not calibrated",
        "license": metadata.license or "unknown; ask the author of the model",
        "training_corpora": ", ".join(metadata.training_corpora) or "unknown; ask the author of the model",
    }
    with atomic_open(Path(folder) / "README.md") as file:
        file.write(CARD.format(**values))


def spell_for_hub(license: str) -> str:
    """Return the identifier of a license on the Hub; ``other`` if it is unknown or a combination."""
    return {"ODC-By-1.0": "odc-by"}.get(find_spdx(license), find_spdx(license).lower()) or "other"


def _describe_errors(errors: dict[str, float]) -> str:
    if not errors:
        return "not measured"
    return (
        f"{100 * errors['fnr']:.1f} % of real utterances are rejected as fake and {100 * errors['fpr']:.1f} % of fake "
        f"utterances are accepted as real, measured on {errors['real']:.0f} real and "
        f"{errors['fake']:.0f} fake utterances (equal error rate {100 * errors['eer']:.1f} %)"
    )
