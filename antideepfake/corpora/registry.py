"""What the recipes' ``corpus.yaml`` files say: the corpus of an utterance, and whose speech a corpus contains."""

import os
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from antideepfake.errors import InputError
from antideepfake.protocol.table import LABELS

USES = ("train", "test", "none")


@dataclass(frozen=True)
class Corpus:
    """The content of a ``corpus.yaml``.

    Arguments
    ---------
    name : str
        Name of the folder that contains the file.
    use : str
        Use in a union of corpora: ``train``, ``test`` or ``none``.
    identifiers : tuple of str
        Prefixes of the IDs of its utterances.
    sources : tuple of str
        Corpora whose speech it contains; they need no ``corpus.yaml``.
    published_hours : dict
        Label -> hours, where they are known.
    """

    name: str
    use: str
    identifiers: tuple[str, ...]
    sources: tuple[str, ...] = ()
    published_hours: Mapping[str, float] = field(default_factory=dict)


def read_corpora(folder: str | os.PathLike) -> dict[str, Corpus]:
    """Read the ``corpus.yaml`` of every folder in a folder.

    Arguments
    ---------
    folder : str or Path
        Contains a folder for each corpus.

    Returns
    -------
    dict
        Name -> Corpus, sorted by name.

    Raises
    ------
    InputError
        When there is none, one is malformed, or two corpora share a prefix of IDs.

    Example
    -------
    >>> folder = getfixture("tmp_path") / "LibriTTS-R"
    >>> folder.mkdir()
    >>> _ = (folder / "corpus.yaml").write_text("use: train\\nidentifiers: [Libri-R-]\\nsources: [LibriTTS]\\n")
    >>> read_corpora(folder.parent)["LibriTTS-R"].sources
    ('LibriTTS',)
    """
    corpora = {path.parent.name: _read_corpus(path) for path in sorted(Path(folder).glob("*/corpus.yaml"))}
    if not corpora:
        raise InputError(f"{folder}: no folder in it has a corpus.yaml; is this the folder of the recipes?")
    owners: dict[str, str] = {}
    for corpus in corpora.values():
        for prefix in corpus.identifiers:
            other = owners.setdefault(prefix, corpus.name)
            if other != corpus.name:
                raise InputError(
                    f"{folder}: the IDs of {other} and {corpus.name} both begin with {prefix}; change one corpus.yaml"
                )
    return corpora


def _read_corpus(path: Path) -> Corpus:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except Exception as error:  # PyYAML raises a dozen types of error for values that do not fit their tag
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())[:200]})") from None

    def fail(what: str) -> InputError:
        return InputError(f"{path}: {what}; a corpus.yaml has use (train, test or none), identifiers and sources")

    def read_texts(key: str) -> tuple[str, ...]:
        texts = values.get(key)
        if not (isinstance(texts, list) and all(isinstance(text, str) and text for text in texts)):
            raise fail(f"{key} is {reprlib.repr(texts)} and must be a list of strings")
        return tuple(texts)

    if not isinstance(values, dict):
        raise fail("contains no keys")
    unknown = [key for key in values if key not in ("use", "identifiers", "sources", "published_hours")]
    if unknown:
        raise fail(f"has the unknown key {', '.join(sorted(str(key)[:80] for key in unknown[:5]))}")
    if values.get("use") not in USES:
        raise fail(f"use is {reprlib.repr(values.get('use'))}")
    identifiers = read_texts("identifiers")
    if not identifiers:
        raise fail("identifiers is empty")
    return Corpus(path.parent.name, values["use"], identifiers, read_texts("sources"), _read_hours(values, fail))


def _read_hours(values: Mapping[str, Any], fail: Any) -> dict[str, float]:
    hours = values.get("published_hours", {})
    if not (isinstance(hours, dict) and set(hours) <= set(LABELS)):
        raise fail(f"published_hours is {reprlib.repr(hours)} and must give hours of real and fake")
    if not all(type(number) in (int, float) and 0 <= number < 1e9 for number in hours.values()):
        raise fail(f"published_hours is {reprlib.repr(hours)} and must hold numbers")
    return hours


def find_corpora(identifiers: Sequence[str], corpora: Mapping[str, Corpus]) -> pd.Categorical:
    """Find the corpus of each utterance by the longest matching prefix of its ID.

    Arguments
    ---------
    identifiers : sequence of str
        IDs of utterances, possibly ten million; a column of a protocol is fastest.
    corpora : dict
        As :func:`read_corpora` returns.

    Returns
    -------
    pandas.Categorical
        Names. Where no prefix matches, the text before the first ``-`` of the ID.

    Example
    -------
    >>> corpora = {name: Corpus(name, "train", (f"{name}-",)) for name in ("FLEURS", "FLEURS-R")}
    >>> find_corpora(["FLEURS-YUE_HANT-2", "FLEURS-R-YUE_HANT-2", "mine-1"], corpora).tolist()
    ['FLEURS', 'FLEURS-R', 'mine']
    """
    names = list(corpora)
    codes = np.full(len(identifiers), -1, np.int32)
    prefixes = [(text, code) for code, name in enumerate(names) for text in corpora[name].identifiers]
    array = as_arrow(identifiers)
    # longer prefixes come later and override shorter ones
    for prefix, code in sorted(prefixes, key=lambda pair: len(pair[0])):
        codes[pc.starts_with(array, prefix).to_numpy()] = code
    unknown = np.flatnonzero(codes < 0)
    if len(unknown):
        stems = pc.list_element(pc.split_pattern(array.take(unknown), "-", max_splits=1), 0)
        stems = stems.combine_chunks().dictionary_encode()
        found = stems.dictionary
        places = pc.index_in(found, pa.array(names, found.type))
        is_new = pc.is_null(places).to_numpy(zero_copy_only=False)
        places = pc.fill_null(places, 0).to_numpy() + np.where(is_new, len(names) - 1 + np.cumsum(is_new), 0)
        codes[unknown] = places[stems.indices.to_numpy()]
        names += found.filter(pa.array(is_new)).to_pylist()
    return pd.Categorical.from_codes(codes, names).remove_unused_categories()


def as_arrow(texts: Sequence[str]) -> pa.ChunkedArray:
    """Convert texts to Arrow, without a copy if they are Arrow texts already."""
    array = pa.array(texts)
    chunks = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    return chunks.cast(pa.large_string())


def trace_sources(name: str, corpora: Mapping[str, Corpus]) -> frozenset[str]:
    """Find all corpora whose speech a corpus contains: itself, its sources, their sources and so on.

    Arguments
    ---------
    name : str
        A corpus, which need not be in ``corpora``.
    corpora : dict
        As :func:`read_corpora` returns.

    Returns
    -------
    frozenset of str
        Names.

    Example
    -------
    >>> corpora = {"toy": Corpus("toy", "none", ("t-",), ("LA",)), "LA": Corpus("LA", "train", ("LA-",), ("VCTK",))}
    >>> sorted(trace_sources("toy", corpora))
    ['LA', 'VCTK', 'toy']
    """
    found: set[str] = set()
    waiting = [name]
    while waiting:
        corpus = waiting.pop()
        if corpus not in found:
            found.add(corpus)
            waiting += corpora[corpus].sources if corpus in corpora else ()
    return frozenset(found)
