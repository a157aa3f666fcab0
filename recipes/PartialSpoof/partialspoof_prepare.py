#!/usr/bin/env python
"""PartialSpoof: ASVspoof 2019 LA, with spans of its utterances replaced by spans of others.

Zhang, Wang, Cooper, Evans, Yamagishi: The PartialSpoof Database and Countermeasures for the Detection of Short Fake
Speech Segments Embedded in an Utterance. IEEE/ACM Transactions on Audio, Speech, and Language Processing 31, 2023.

source      https://zenodo.org/records/5766198
license     see its page
languages   English
hours       unknown

PartialSpoof/database/
  protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.{train,dev,eval}.trl.txt
  segment_labels/{train,dev,eval}_seglab_0.01.npy
  {train,dev,eval}/con_wav/CON_T_0000000.wav, LA_T_1000137.wav ...

The labels of segments are pickled dictionaries, which numpy.load reads with allow_pickle=True only, as they could then
run code. This program reads dictionaries and arrays from them and refuses everything else.
"""

import pickle
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from antideepfake.cli.preparation import run_preparation
from antideepfake.cli.program import run_program
from antideepfake.corpora.lists import read_list, translate
from antideepfake.corpora.prepare import prepare_corpus
from antideepfake.errors import InputError

if TYPE_CHECKING:
    import numpy as np

PUBLISHED = {
    "train": {"real": 2580, "fake": 22800},
    "valid": {"real": 2548, "fake": 22296},
    "test": {"real": 7355, "fake": 63882},
}
SPLITS = {"train": "train", "dev": "valid", "eval": "test"}
FRAME = 0.01  # seconds: the finest of the published resolutions
FAKE = "0"  # label of a fake frame; 1 is bona fide


class LabelUnpickler(pickle.Unpickler):
    """Read dictionaries and arrays of numbers or texts from a pickle, and refuse everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the three objects that an array consists of, whatever numpy calls its modules."""
        import numpy as np  # here, as --help does not need it

        array = {"_reconstruct": np.empty(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}
        if module.partition(".")[0] != "numpy" or name not in array:
            raise InputError(f"contains a {module}.{name}, which could run code; download the file again")
        return array[name]


def read_labels(path: Path) -> dict[str, "np.ndarray"]:
    """Read the label of every frame, 0 or 1 as text, of the utterances of a split."""
    import numpy as np

    try:
        with open(path, "rb") as file:
            labels = read_object(file)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; unpack database_segment_labels_v1.2.tar.gz") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise InputError(f"{path}: not a file of labels ({error}); download it again") from None
    if not isinstance(labels, dict):
        raise InputError(f"{path}: contains no dictionary of labels; download it again")
    return {key: np.asarray(values).astype(str) for key, values in labels.items()}


def read_object(file: BinaryIO) -> Any:
    """Read the object of an .npy file."""
    import numpy as np

    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    loaded = LabelUnpickler(file).load()
    return loaded.item() if isinstance(loaded, np.ndarray) else loaded


def find_segments(labels: "np.ndarray") -> list[tuple[float, float, str]]:
    """Find the fake segments, whose ends may lie beyond the end of the utterance.

    The number of labels and the duration may differ by a frame. A segment that ends with the last label lasts to the
    end of the utterance, which is where preparation cuts it off.
    """
    import numpy as np

    bounds = np.flatnonzero(np.diff(np.concatenate([[False], labels == FAKE, [False]]).astype(int))).tolist()
    return [
        (round(start * FRAME, 6), float("inf") if end == len(labels) else round(end * FRAME, 6), "fake")
        for start, end in zip(bounds[::2], bounds[1::2], strict=True)
    ]


def describe(split: str, labels: dict[str, "np.ndarray"], speaker: str, key: str, attack: str, label: str) -> Mapping:
    """Describe a line of a list: the speaker, the utterance, -, CON for a concatenated one, and the label."""
    if key not in labels:
        raise InputError(f"there are no labels of segments of {key}")
    segments = find_segments(labels[key])
    if bool(segments) == (label == "bonafide"):
        raise InputError(f"{key} is {label}, but the labels of its segments say something else")
    return {
        "ID": f"PartialSpoof-{key}",
        "Label": translate(label, {"bonafide": "real", "spoof": "fake"}),
        "Path": f"database/{split}/con_wav/{key}.wav",
        "Attack": attack,
        "Speaker": speaker,
        "Proportion": SPLITS[split],
        "Language": "EN",
        "Segments": segments,
    }


def list_utterances(corpus: Path) -> Iterator[Mapping[str, Any]]:
    """List the utterances in the order of the three lists."""
    for split in SPLITS:
        labels = read_labels(corpus / f"database/segment_labels/{split}_seglab_{FRAME}.npy")
        path = corpus / f"database/protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.{split}.trl.txt"
        yield from read_list(path, "speaker key - attack label", partial(describe, split, labels))


prepare_partialspoof = partial(prepare_corpus, list_utterances, corpus_folder="PartialSpoof")
main = partial(run_preparation, prepare_partialspoof, __doc__, published=PUBLISHED)

if __name__ == "__main__":
    run_program(main)
