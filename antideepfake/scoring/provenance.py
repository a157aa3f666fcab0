"""The provenance of a score file, ``<scores>.json`` in the same folder."""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from antideepfake.errors import InputError
from antideepfake.files import atomic_open
from antideepfake.model_folder.metadata import ModelMetadata, rename_old_keys


@dataclass(frozen=True)
class ScoreProvenance:
    """The model and the protocols that a score file was made from.

    Arguments
    ---------
    weights : str
        Digest of the detector's weights and precision.
    version : str
        Version of this package.
    date : str
        Date on which the score file was completed.
    metadata : ModelMetadata
        Metadata of the model folder.
    protocols : list of str
        SHA-256 of the scored protocol files; empty if there were none or they are unknown.
    windowing : dict
        How recordings longer than an utterance were scored: the settings of
        :class:`antideepfake.model_folder.windowing.Windowing`, its aggregate among them. Empty if unknown.

    Example
    -------
    >>> scores = getfixture("tmp_path") / "scores.csv"
    >>> ScoreProvenance("0a1b fp32", "0.1", "2026-11-23", ModelMetadata(threshold=0.5)).save(scores)
    >>> read_provenance(scores).metadata.threshold
    0.5
    """

    weights: str
    version: str
    date: str
    metadata: ModelMetadata = field(default_factory=ModelMetadata)
    protocols: list[str] = field(default_factory=list)
    windowing: dict[str, Any] = field(default_factory=dict)

    def save(self, scores: str | os.PathLike) -> None:
        """Write ``<scores>.json``."""
        with atomic_open(_path(scores)) as file:
            json.dump(asdict(self), file, indent=1, ensure_ascii=False)


def read_provenance(scores: str | os.PathLike) -> ScoreProvenance | None:
    """Read the provenance of a score file; None if it has none, such as scores of other software.

    Raises
    ------
    InputError
        If the file is not the provenance of a score file.
    """
    path = _path(scores)
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        metadata = ModelMetadata(**rename_old_keys(values.pop("metadata")))
        metadata.check(path)
        record = ScoreProvenance(**values, metadata=metadata)
        if not all(isinstance(text, str) for text in (record.weights, record.version, record.date, *record.protocols)):
            raise TypeError("a value is not text")
        if not isinstance(record.windowing, dict):
            raise TypeError("the windowing is not an object")
        return record
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise InputError(f"{path}: not the provenance of a score file ({reason}); delete it") from None


def _path(scores: str | os.PathLike) -> Path:
    return Path(f"{os.fspath(scores)}.json")
