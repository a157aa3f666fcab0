"""Identifiers that are each of one file, and files that are in no list, for corpora of any size."""

import os
from array import array
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from antideepfake.corpora.walk import AUDIO_SUFFIXES


class Identifiers:
    """Which identifiers and files a corpus has: sixteen bytes an utterance, since ten million may come.

    Arguments
    ---------
    utterances : iterable of (str, str)
        Identifier and path of each.

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
        self.owners: dict[str, str] = {}  # identifier -> path, of those that are repeated

    def distinguish(self, identifier: str, path: str) -> str | None:
        """Give a file an identifier that no other has. To be asked in the order of the corpus.

        Arguments
        ---------
        identifier, path : str
            Of one of the utterances.

        Returns
        -------
        str or None
            The identifier itself for the first of those who share it; for others, with what tells their path from the
            first's at its end. None when the same file came before.
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
        """Give the audio files that lie in the folders of the corpus's files and are none of them, sorted."""
        for folder in sorted(self.folders):
            try:
                found = sorted(os.path.join(folder, name) for name in os.listdir(folder) if _is_audio(name))
            except OSError:  # no such folder: each of its files was left out
                continue
            if found:
                known = _holds(self.paths, [hash(path) for path in found])
                yield from (path for path, is_known in zip(found, known, strict=True) if not is_known)


def make_distinct(path: str, other: str) -> str:
    """Tell a path from another in few words.

    Arguments
    ---------
    path, other : str
        Two files.

    Returns
    -------
    str
        The folders and the name that the first has and the other has not; where they are the same, the suffix.

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
    places = np.searchsorted(values, wanted)
    return values[np.minimum(places, len(values) - 1)] == wanted
