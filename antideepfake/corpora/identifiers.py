"""Unique IDs, and files that are in no list, for corpora of any size."""

import os
from array import array
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from antideepfake.corpora.walk import AUDIO_SUFFIXES


class Identifiers:
    """The IDs and files of a corpus, in sixteen bytes an utterance: a corpus may have ten million.

    Arguments
    ---------
    utterances : iterable of (str, str)
        ID and path of each.

    Example
    -------
    >>> utterances = [("a", "/test/a.mp3"), ("a", "/test/a.wav"), ("a", "/train/a.wav"), ("a", "/test/a.mp3")]
    >>> identifiers = Identifiers(utterances)
    >>> [identifiers.distinguish(*utterance) for utterance in utterances]
    ['a', 'a-wav', 'a-train', None]
    """

    def __init__(self, utterances: Iterable[tuple[str, str]]):
        identifiers, paths = array("q"), array("q")
        self.folders: set[str] = set()
        for identifier, path in utterances:
            identifiers.append(hash(identifier))
            paths.append(hash(path))
            self.folders.add(os.path.dirname(path))
        self.total = len(identifiers)
        self.identifiers = np.sort(np.frombuffer(identifiers, np.int64))
        self.paths = np.sort(np.frombuffer(paths, np.int64))
        self.repeated = set(self.identifiers[1:][np.diff(self.identifiers) == 0].tolist())
        self.owners: dict[str, str] = {}  # ID -> path, for repeated IDs

    def distinguish(self, identifier: str, path: str) -> str | None:
        """Return a unique ID for a file. Must be called in the order of the corpus.

        Arguments
        ---------
        identifier, path : str
            ID and path of an utterance.

        Returns
        -------
        str or None
            The ID itself for the first utterance that has it; for later ones, with a suffix that distinguishes their
            path from the first's. None for a file that came before.
        """
        if hash(identifier) not in self.repeated:
            return identifier
        name = identifier
        while name in self.owners or (name != identifier and _holds(self.identifiers, [hash(name)])[0]):
            if self.owners.get(name) == path:
                return None
            name += "+" if name != identifier else f"-{make_distinct(path, self.owners[identifier])}"
        self.owners[name] = path
        return name

    def find_unlisted(self) -> Iterator[str]:
        """Yield audio files in the corpus's folders that are not utterances of the corpus, sorted."""
        for folder in sorted(self.folders):
            try:
                found = sorted(os.path.join(folder, name) for name in os.listdir(folder) if _is_audio(name))
            except OSError:  # no such folder: all of its files were left out
                continue
            if found:
                known = _holds(self.paths, [hash(path) for path in found])
                yield from (path for path, is_known in zip(found, known, strict=True) if not is_known)


def make_distinct(path: str, other: str) -> str:
    """Distinguish a path from another in few words.

    Arguments
    ---------
    path, other : str
        Two files.

    Returns
    -------
    str
        The folders and the name that only the first path has; if there are none, its suffix.

    Example
    -------
    >>> make_distinct("/CFAD/test_unseen/gl/a.wav", "/CFAD/test_seen/gl/a.wav"), make_distinct("a.wav", "a.mp3")
    ('test_unseen', 'wav')
    """
    (folder, name), (other_folder, other_name) = os.path.split(path), os.path.split(other)
    parts = [part for part in folder.split("/") if part not in other_folder.split("/")]
    stem, suffix = os.path.splitext(name)
    if stem != os.path.splitext(other_name)[0]:
        parts.append(stem)
    return "-".join(parts or [suffix[1:]])


def _is_audio(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES and not name.startswith(".")


def _holds(values: NDArray[np.int64], wanted: list[int]) -> NDArray[np.bool_]:
    """Tell which of ``wanted`` are among the sorted ``values``, of which there is at least one."""
    indices = np.searchsorted(values, wanted)
    return values[np.minimum(indices, len(values) - 1)] == wanted
