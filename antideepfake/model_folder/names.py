"""Names of the files of a model folder."""

import os
from fnmatch import fnmatch
from pathlib import Path

from antideepfake.files import TEMPORARIES
from antideepfake.protocol import LABELS

FILES = {"model": "model.safetensors", "label_encoder": "label_encoder.txt", "metadata": "metadata.json"}
OOD_DETECTOR = "out_of_distribution.safetensors"
OLD_OOD_DETECTOR = "typicality.safetensors"  # its name in version 0.1
# The format of SpeechBrain's CategoricalEncoder.
LABEL_ENCODER = "".join(f"'{label}' => {index}\n" for index, label in enumerate(LABELS))
LABEL_ENCODER += "================\n'starting_index' => 0\n"


def is_unfinished(folder: str | os.PathLike) -> bool:
    """Return whether a folder is empty or has only files of an interrupted :func:`write_model_folder`.

    Example
    -------
    >>> folder = getfixture("tmp_path")
    >>> (folder / "label_encoder.txt").touch()
    >>> is_unfinished(folder)
    True
    >>> (folder / "notes.txt").touch()
    >>> is_unfinished(folder)
    False
    """
    names = {path.name for path in Path(folder).iterdir()}
    temporary = {name for name in names if any(fnmatch(name, pattern) for pattern in TEMPORARIES)}
    return names - temporary <= {*FILES.values(), "README.md", "config.json"}
