"""Fusion of the scores of several systems."""

import os
from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from antideepfake import __version__
from antideepfake.errors import InputError
from antideepfake.model_folder.calibration import Logistic, fit_logistic
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.scoring.provenance import ScoreProvenance, read_provenance
from antideepfake.scoring.score_file import ScoreWriter, read_scores

THRESHOLD_SOURCE = "a log-likelihood ratio of 0: both classes are equally probable"


def fuse_scores(fit: Sequence[str], apply: Sequence[str], output: str | os.PathLike) -> Logistic:
    """Fit a weighted sum of scores by logistic regression on a development set, and apply it to a test set.

    Arguments
    ---------
    fit, apply : sequence of str
        Score files of the development set and of the test set, one per system, in the same order of systems.
    output : str or Path
        Score file to write. Its scores are natural log-likelihood ratios; above 0 means more likely real.

    Returns
    -------
    Logistic
        Weights and offset.

    Raises
    ------
    InputError
        If the score files of a set have different utterances, or the two lists have different lengths.
    """
    if len(fit) != len(apply):
        raise InputError(f"{len(fit)} score files to fit and {len(apply)} to apply; pass one of each for every system")
    table, scores = _join_systems(fit)
    is_real = (table["Label"] == "real").to_numpy()
    fusion = fit_logistic(scores[is_real], scores[~is_real])

    table, scores = _join_systems(apply)
    columns = [column for column in table if column not in ("ID", "Score", "Label")]
    with ScoreWriter(output, columns, "\0".join([*fit, *apply]).encode()) as writer:
        for index, (row, ratio) in enumerate(zip(table.to_dict("records"), fusion(scores), strict=True)):
            writer.write(index, row["ID"], (-ratio / 2, ratio / 2), row["Label"] or None, row)
    writer.merge(len(table))
    records = [record for path in apply if (record := read_provenance(path))]
    corpora = sorted({corpus for record in records for corpus in record.metadata.training_corpora})
    fused = ModelMetadata(0.0, THRESHOLD_SOURCE, corpora, provenance=f"fusion of {', '.join(apply)}")
    ScoreProvenance("fusion", __version__, date.today().isoformat(), fused).save(output)
    return fusion


def _join_systems(paths: Sequence[str]) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """Return the table of the first file, and the scores of all files in its order, shape [utterances, systems]."""
    first, *others = (read_scores(path) for path in paths)
    columns = [first["Score"].to_numpy()]
    for path, table in zip(paths[1:], others, strict=True):
        scores = table.drop_duplicates("ID").set_index("ID")["Score"].reindex(first["ID"])
        if scores.isna().any() or len(table) != len(first):
            raise InputError(f"{path}: has other utterances than {paths[0]}; score the same protocol with both systems")
        columns.append(scores.to_numpy())
    return first, np.stack(columns, axis=1)
