"""The model card: what a model folder says to people, as the README.md of a hub repository."""

import os
from pathlib import Path

from antideepfake.files import atomic_open
from antideepfake.metadata import ModelMetadata

# As the hub spells the licences that occur.
HUB_LICENCES = {"CC BY-NC-SA 4.0": "cc-by-nc-sa-4.0", "Apache-2.0": "apache-2.0", "MIT": "mit"}

CARD = """---
license: {hub_licence}
library_name: speechbrain
pipeline_tag: audio-classification
tags: [audio, speech, deepfake-detection, anti-spoofing, speechbrain]
---

# {name}

Tells real speech from generated or converted speech, for a whole recording at a time.

| | |
|---|---|
| Made of | {provenance} |
| Classes | {classes} |
| Score | logit of real minus logit of fake; higher means more likely real |
| Threshold | {threshold:g} ({threshold_source}) |
| Licence of the weights | {licence} |

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

- A score is no proof. Error rates on recordings unlike the training data, on new generators above all, are much higher
  than on test sets.
- The threshold says where the decision falls, not how sure it is; probabilities are {probabilities}.
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
    >>> write_model_card(folder, "someone/my-detector", ModelMetadata(licence="MIT"))
    >>> (folder / "README.md").read_text().splitlines()[1]
    'license: mit'
    """
    values = {
        "hub_licence": HUB_LICENCES.get(metadata.licence, "other"),
        "name": Path(source).name,
        "source": source,
        "provenance": metadata.provenance or "unknown",
        "classes": ", ".join(f"{index} = {name}" for index, name in enumerate(metadata.classes)),
        "threshold": metadata.threshold,
        "threshold_source": metadata.threshold_source,
        "probabilities": "calibrated, for speech like that of the calibration"
        if metadata.calibration
        else "not calibrated",
        "licence": metadata.licence or "unknown: ask whoever made them",
        "training_corpora": ", ".join(metadata.training_corpora) or "unknown corpora: ask whoever made it",
    }
    with atomic_open(Path(folder) / "README.md") as file:
        file.write(CARD.format(**values))
