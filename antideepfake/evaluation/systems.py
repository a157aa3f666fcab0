"""Evaluation of score files, shared by commands, recipes and training."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from antideepfake.audit.leakage import Overlap, explain_held_out, find_overlap
from antideepfake.corpora.registry import Corpus, find_corpora
from antideepfake.errors import InputError
from antideepfake.evaluation.evaluator import SEEN_ATTACK, Evaluator, System, group_by_seen_attacks
from antideepfake.files import sha256
from antideepfake.metrics.costs import AsvScores
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.protocol.table import text_encoding
from antideepfake.scoring.provenance import read_provenance
from antideepfake.scoring.score_file import read_scores
from antideepfake.scoring.submissions import find_utterances, read_submission


def evaluate_file(
    path: str | os.PathLike,
    name: str,
    corpora: Mapping[str, Corpus],
    by: Sequence[str] = (),
    protocol: pd.DataFrame | None = None,
    protocols: Sequence[str] = (),
    metadata: ModelMetadata | None = None,
    threshold: float | None = None,
    cluster: str | None = None,
    asv: AsvScores | None = None,
    seed: int = 1234,
    quiet: bool = True,
) -> System:
    """Evaluate a score file, and check whether the model was trained on the test set.

    Arguments
    ---------
    path : str or Path
        A score file, or a submission in a format of :mod:`antideepfake.scoring.submissions`.
    name : str
        Name of the system.
    corpora : dict of str to Corpus
        Known corpora, as :func:`antideepfake.corpora.read_corpora` returns them.
    by : sequence of str
        Columns to group by. ``Corpus`` is computed if the scores have no such column; ``SeenAttack`` is added if the
        attacks of the training set are known.
    protocol : pandas.DataFrame, optional
        Labels and further columns of the utterances, for scores without them.
    protocols : sequence of str
        SHA-256 of the files of the test protocol; by default those in the provenance of the scores.
    metadata : ModelMetadata, optional
        Metadata of the model; by default those in the provenance of the scores, or a threshold of 0 without provenance.
    threshold : float, optional
        A score at or above it counts as real; by default the threshold of the model.
    cluster : str, optional
        Column of utterances that are not independent, such as Speaker.
    asv : AsvScores, optional
        Scores of a speaker-verification system, for the min t-DCF.
    seed : int
        Seed of the intervals.
    quiet : bool
        Show no progress bar.

    Returns
    -------
    System
        The system, including ``overlap`` and ``left_out``.

    Raises
    ------
    InputError
        If the file cannot be read or has no labels, or if a column of ``by`` is missing.

    Example
    -------
    >>> path = getfixture("tmp_path") / "scores.csv"
    >>> _ = path.write_text("ID,Score,Label\\na,\\"[0, 1]\\",1\\nb,\\"[1, 0]\\",0\\n")
    >>> evaluate_file(path, "small", corpora={}).evaluation.overall.metrics["eer"].value
    0.0
    """
    scores, left_out = read_system(path, protocol)
    record = read_provenance(path)
    metadata = metadata or (record.metadata if record else ModelMetadata())
    if "Corpus" in by and "Corpus" not in scores:
        scores["Corpus"] = find_corpora(scores["ID"], corpora).astype(str)
    if "Attack" in scores and metadata.training_attacks:
        scores[SEEN_ATTACK] = group_by_seen_attacks(scores, metadata.training_attacks)
    calibration = metadata.log_likelihood_ratio()
    evaluator = Evaluator(
        metadata.threshold if threshold is None else threshold,
        metadata.threshold_source if threshold is None else "given by the user",
        calibration,
        asv,
        cluster,
        seed,
        threshold_errors=metadata.threshold_errors if threshold is None else {},
    )
    evaluation = evaluator.evaluate(scores, name, by, quiet)
    overlap = _find_leakage(scores, metadata, corpora, protocols or (record.protocols if record else ()))
    if note := explain_held_out(overlap):
        evaluation.remarks.append(note)
    return System(scores, evaluation, calibration, os.fspath(path), sha256([path]), record, overlap, left_out)


def compare_with_first(systems: Sequence[System], cluster: str | None = None, seed: int = 1234) -> list[str]:
    """Compare each system with the first on their common utterances, and add the differences to its evaluation.

    Arguments
    ---------
    systems : sequence of System
        Systems, as :func:`evaluate_file` returns them.
    cluster, seed :
        As in :func:`evaluate_file`.

    Returns
    -------
    list of str
        A message for each pair of systems with different utterances.

    Raises
    ------
    InputError
        If two systems have no utterance in common.
    """
    first, *others = systems
    sentences = []
    for system in others:
        Evaluator(cluster=cluster, seed=seed).compare(first.scores, system.scores, system.evaluation)
        common = system.evaluation.common
        if not common:
            raise InputError(
                f"{first.source} and {system.source} have no utterance in common; evaluate them separately"
            )
        if unpaired := len(first.scores) + len(system.scores) - 2 * common:
            pair = f"{system.evaluation.name} and {first.evaluation.name}"
            sentences.append(f"{pair}: compared on {common} common utterances; {unpaired} others are in only one file")
    return sentences


def describe_test_set(system: System, corpora: Mapping[str, Corpus]) -> str:
    """Describe the test set of a system; the title of its report. An ID without a ``-`` names no corpus.

    Example
    -------
    >>> scores = pd.DataFrame({"ID": ["LJSpeech-1", "mine-2"], "Score": [1.0, 0.0], "Label": ["real", "fake"]})
    >>> describe_test_set(System(scores, Evaluator().evaluate(scores, "small")), corpora={})
    'LJSpeech, mine: 1 real and 1 fake utterances'
    """
    identifiers = system.scores["ID"]
    names = find_corpora(identifiers[identifiers.str.contains("-", regex=False)], corpora).categories
    title = ", ".join(map(str, names)) if len(names) <= 3 else f"{len(names)} corpora"
    overall = system.evaluation.overall
    counts = f"{overall.real:,} real and {overall.fake:,} fake utterances"
    return f"{title}: {counts}" if title else counts


def _find_leakage(
    scores: pd.DataFrame, metadata: ModelMetadata, corpora: Mapping[str, Corpus], protocols: Sequence[str]
) -> Overlap:
    if not metadata.training_corpora:
        return Overlap(0)
    return find_overlap(
        scores["ID"].tolist(),
        metadata.training_corpora,
        corpora,
        splits=scores["Proportion"].tolist() if "Proportion" in scores else [],
        test_protocols=protocols,
        training_protocols=metadata.training_protocols,
    )


def read_system(path: str | os.PathLike, protocol: pd.DataFrame | None = None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read the scores of a system in any known form, with labels and further columns from a protocol.

    Arguments
    ---------
    path : str or Path
        A score file or a submission.
    protocol : pandas.DataFrame, optional
        Required if the file has only names and scores.

    Returns
    -------
    scores : pandas.DataFrame
        As :func:`antideepfake.scoring.read_scores` returns them.
    left_out : tuple of str
        Messages about utterances that are missing from the file or the protocol.

    Raises
    ------
    InputError
        If there are no labels, no utterance is in the protocol, or an utterance is repeated.
    """
    with open(path, encoding=text_encoding(path), errors="replace") as file:
        is_score_file = bool({"ID", "Score", "Label"} & set(file.readline().strip().split(",")))
    scores = read_scores(path) if is_score_file else read_submission(path)
    if protocol is None:
        if "Label" not in scores:
            raise InputError(f"{path}: has only names and scores; pass the protocol of its utterances with --protocol")
        return (scores if is_score_file else _name_rows(scores)), ()
    if is_score_file:
        rows = pd.Index(protocol["ID"]).get_indexer(pd.Index(scores["ID"]))
    elif "Name" in scores:
        rows = find_utterances(scores["Name"].tolist(), protocol, path)
    else:
        raise InputError(
            f"{path}: has no names to look up in the protocol; evaluate it without --protocol, as it has labels"
        )
    known = rows >= 0
    if not known.any():
        raise InputError(
            f"{path}: none of its {len(scores)} utterances is in the protocol; pass the protocol of the same corpus"
        )
    repeated = pd.Series(rows[known]).duplicated()
    if repeated.any():
        name = protocol["ID"].iloc[rows[known][repeated.to_numpy()][0]]
        raise InputError(f"{path}: {repeated.sum()} utterances are repeated, such as '{name}'; keep one line for each")
    kept = (scores.drop(columns="Label") if is_score_file else scores[["Score"]])[known].reset_index(drop=True)
    added = protocol[[column for column in protocol if column not in kept]].iloc[rows[known]].reset_index(drop=True)
    unknown, unscored = int(np.sum(~known)), len(protocol) - len(kept)
    left_out = []
    if unknown:
        left_out.append(f"{path}: {unknown} scored utterances are not in the protocol and are left out")
    if unscored:
        left_out.append(f"{path}: {unscored} utterances of the protocol have no score and are left out")
    return pd.concat([kept, added], axis=1), tuple(left_out)


def _name_rows(scores: pd.DataFrame) -> pd.DataFrame:
    """Add an ID to the utterances of a submission: the name, or the index of the score."""
    names = scores["Name"] if "Name" in scores else [f"line {number}" for number in range(1, len(scores) + 1)]
    return scores.assign(ID=names)


def name_systems(paths: Sequence[str]) -> list[str]:
    """Return the shortest ends of the paths that distinguish the score files.

    Example
    -------
    >>> name_systems(["a/scores.csv", "b/scores.csv"])
    ['a/scores', 'b/scores']
    """
    paths_without_suffix = [Path(path).with_suffix("").parts for path in paths]
    for length in range(1, max(map(len, paths_without_suffix)) + 1):
        names = ["/".join(components[-length:]) for components in paths_without_suffix]
        if len(set(names)) == len(names):
            return names
    raise InputError("a score file is given twice; pass each file once")
