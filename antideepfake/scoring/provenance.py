"""What made a score file: ``<scores>.json`` beside it."""

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
    """What is known of how scores came about.

    Arguments
    ---------
    weights : str
        Digest of the detector's weights, with its precision.
    version : str
        Of this package.
    date : str
        When the scores were complete.
    metadata : ModelMetadata
        Of the model folder.
    protocols : list of str
        SHA-256 of the files of the protocols that were scored; empty where there were none or they are unknown.

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

    def save(self, scores: str | os.PathLike) -> None:
        """Write it beside its score file."""
        with atomic_open(_path(scores)) as file:
            json.dump(asdict(self), file, indent=1, ensure_ascii=False)


def read_provenance(scores: str | os.PathLike) -> ScoreProvenance | None:
    """Read what lies beside a score file; None where nothing does, as for scores from elsewhere.

    Raises
    ------
    InputError
        When it is not such a record.
    """
    path = _path(scores)
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        metadata = ModelMetadata(**rename_old_keys(values.pop("metadata")))
        metadata.check(path)
        record = ScoreProvenance(**values, metadata=metadata)
        if not all(isinstance(text, str) for text in (record.weights, record.version, record.date, *record.protocols)):
            raise TypeError("a value is not text")
        return record
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise InputError(f"{path}: not the record of a score file ({reason}); delete it") from None


def _path(scores: str | os.PathLike) -> Path:
    return Path(f"{os.fspath(scores)}.json")
