"""From score files to figures: over all utterances, by any column, and of several systems side by side."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from antideepfake.calibration import Calibration
from antideepfake.errors import InputError
from antideepfake.scoring.metrics import (
    ACT_DCF_THRESHOLD,
    Array,
    AsvScores,
    Trials,
    decision_rates,
    error_rates,
    measure,
    min_t_dcf,
)
from antideepfake.scoring.record import ScoreRecord
from antideepfake.scoring.resampling import Comparison, Estimate, compare_systems, estimate
from antideepfake.seeds import derive_seed

FEW = 20
"""With fewer utterances of a class, an error rate moves by 5 % or more with a single one."""

DURATIONS = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0, np.inf)  # seconds


@dataclass(frozen=True)
class Group:
    """Some utterances, and what their scores say.

    Arguments
    ---------
    name : str
        The value that they share, or ``all``.
    real, fake : int
        How many there are.
    figures : dict
        Those of :func:`antideepfake.scoring.measure`, with their 95 % intervals; where a class is absent, what
        :func:`antideepfake.scoring.metrics.decision_rates` gives alone.
    note : str
        What to mind when reading them; mostly empty.
    """

    name: str
    real: int
    fake: int
    figures: dict[str, Estimate]
    note: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether both classes are there."""
        return bool(self.real and self.fake)


@dataclass
class Evaluation:
    """What the scores of a system say.

    Arguments
    ---------
    name : str
        Of the system.
    threshold : float
        Of the decision, on the difference of the logits.
    threshold_source : str
        Where it comes from, in words.
    overall : Group
        All utterances.
    groups : dict
        Column -> its groups.
    differences : dict
        To the first system on the same utterances; empty for that one.
    common : int
        How many utterances the differences are of.
    """

    name: str
    threshold: float
    threshold_source: str
    overall: Group
    groups: dict[str, list[Group]] = field(default_factory=dict)
    differences: dict[str, Comparison] = field(default_factory=dict)
    common: int = 0


@dataclass(frozen=True)
class System:
    """A system, its scores and what they say.

    Arguments
    ---------
    scores : pandas.DataFrame
        As :func:`antideepfake.scoring.read_scores` gives.
    evaluation : Evaluation
        Of them.
    calibration : callable, optional
        From scores to log-likelihood ratios.
    source : str
        The score file.
    sha256 : str
        Of its content.
    record : ScoreRecord, optional
        What made it.
    """

    scores: pd.DataFrame
    evaluation: Evaluation
    calibration: Calibration | None = None
    source: str = ""
    sha256: str = ""
    record: ScoreRecord | None = None


@dataclass(frozen=True)
class Evaluator:
    """How scores are turned into figures.

    Arguments
    ---------
    threshold : float
        A score at or above it means real.
    threshold_source : str
        Where it comes from, in words.
    calibration : callable, optional
        From scores to log-likelihood ratios; without it the scores are taken for such.
    asv : AsvScores, optional
        Of the speaker-verification system that the detector guards: adds ``min_t_dcf`` to the figures.
    cluster : str, optional
        Column of what is drawn at once for the intervals: Speaker, for example. Without it, each utterance by itself.
    seed : int
        Of the draws.
    draws : int
        Of each bootstrap.

    Example
    -------
    >>> scores = pd.DataFrame({
    ...     "ID": ["a", "b", "c", "d"],
    ...     "Score": [2.0, 3.0, -1.0, 2.5],
    ...     "Label": ["real", "real", "fake", "fake"],
    ...     "Attack": ["-", "-", "world", "piper"],
    ... })
    >>> evaluation = Evaluator(threshold=0.0).evaluate(scores, "small", by=["Attack"])
    >>> evaluation.overall.figures["eer"].value
    0.5
    >>> [(group.name, group.real, group.fake, group.figures["eer"].value) for group in evaluation.groups["Attack"]]
    [('piper', 2, 1, 0.75), ('world', 2, 1, 0.0)]
    """

    threshold: float = 0.0
    threshold_source: str = "the score at which both classes are equally probable to the detector"
    calibration: Calibration | None = None
    asv: AsvScores | None = None
    cluster: str | None = None
    seed: int = 1234
    draws: int = 1000

    def evaluate(self, scores: pd.DataFrame, name: str, by: Sequence[str] = (), quiet: bool = True) -> Evaluation:
        """Measure a system, over all and by each of some columns.

        Arguments
        ---------
        scores : pandas.DataFrame
            As :func:`antideepfake.scoring.read_scores` gives, labels known.
        name : str
            Of the system.
        by : sequence of str
            Columns. Where all bona fide utterances have one value, as in Attack, each group of spoofed ones is held
            against all of them; else a group has both classes of its own. Duration is divided at 2, 4, 8, 16 and 32 s.
        quiet : bool
            Show no progress bar.

        Returns
        -------
        Evaluation
            Groups in the order of their names.

        Raises
        ------
        InputError
            When a column is missing, an utterance comes twice, or a score is not a finite number.
        """
        self._check(scores, name, by)
        parts = [(column, *part) for column in by for part in _divide(scores, column)]
        progress = tqdm(total=1 + len(parts), desc=f"evaluating {name}", unit="group", disable=quiet)
        evaluation = Evaluation(name, self.threshold, self.threshold_source, self._measure(scores, "all"))
        progress.update()
        evaluation.groups = {column: [] for column in by}
        for column, value, rows in parts:
            evaluation.groups[column].append(self._measure(scores[rows], value))
            progress.update()
        progress.close()
        return evaluation

    def compare(self, first: pd.DataFrame, second: pd.DataFrame, evaluation: Evaluation) -> None:
        """Add to the evaluation of the second system how it differs from the first on the utterances that both have.

        Arguments
        ---------
        first, second : pandas.DataFrame
            Scores of either system, this evaluator's being that of the second. Thresholds do not enter.
        evaluation : Evaluation
            Of the second; takes ``differences`` and ``common``. They stay empty where too few utterances are common.
        """
        both = first[["ID", "Score", "Label"]].merge(second.drop(columns="Label"), on="ID", suffixes=("", " second"))
        is_real = (both["Label"] == "real").to_numpy()
        evaluation.common = len(both)
        if not is_real.any() or is_real.all():
            return
        compared = compare_systems(
            self._figures,
            both["Score"].to_numpy(),
            both["Score second"].to_numpy(),
            is_real,
            np.random.default_rng(derive_seed(self.seed, "compare")),
            clusters=both[self.cluster].to_numpy() if self.cluster else None,
            draws=self.draws,
        )
        ranking = ("eer", "eer_interpolated", "roc_auc", "min_dcf", "min_cllr")  # do not depend on a threshold
        evaluation.differences = {name: compared[name] for name in ranking}

    def _figures(self, trials: Trials) -> dict[str, Array]:
        ratios = self.calibration(trials.scores) if self.calibration else None
        figures = measure(trials, self.threshold, ratios)
        return figures | {"min_t_dcf": min_t_dcf(error_rates(trials), self.asv)} if self.asv else figures

    def _measure(self, scores: pd.DataFrame, name: str) -> Group:
        values = scores["Score"].to_numpy()
        is_real = (scores["Label"] == "real").to_numpy()
        real, fake = int(is_real.sum()), int((~is_real).sum())
        if real and fake:
            clusters = scores[self.cluster].to_numpy() if self.cluster else None
            generator = np.random.default_rng(derive_seed(self.seed, name))
            thresholds = (self.threshold, ACT_DCF_THRESHOLD)
            figures = estimate(self._figures, values, is_real, generator, thresholds, clusters, self.draws)
            note = f"only {min(real, fake)} {'real' if real < fake else 'fake'}" if min(real, fake) < FEW else ""
            if clusters is not None and name == "all" and (count := len(np.unique(clusters))) < FEW:
                note = f"only {count} values of {self.cluster}: the intervals say little"
        else:
            order = np.argsort(values, kind="stable")
            kind = is_real[order].astype(np.float64)
            rates = decision_rates(Trials(values[order], kind, 1 - kind), self.threshold)
            figures = {key: self._estimate_share(key, float(rate), len(values), name) for key, rate in rates.items()}
            note = f"no {'fake' if real else 'real'}: only what a threshold decides is known"
        return Group(name, real, fake, figures, note)

    def _estimate_share(self, key: str, share: float, count: int, name: str) -> Estimate:
        """Bootstrap a share of utterances of one class: what is drawn is binomial."""
        if np.isnan(share) or self.cluster or key not in ("accuracy", "recall", "fpr", "fnr"):
            return Estimate(share, np.nan, np.nan)
        generator = np.random.default_rng(derive_seed(self.seed, name, key))
        low, high = np.quantile(generator.binomial(count, share, self.draws) / count, [0.025, 0.975])
        return Estimate(share, float(low), float(high))

    def _check(self, scores: pd.DataFrame, name: str, by: Sequence[str]) -> None:
        for column in (*by, *([self.cluster] if self.cluster else [])):
            if column not in scores:
                known = ", ".join(str(known) for known in scores.columns if known not in ("ID", "Score", "Label"))
                raise InputError(f"{name}: no column {column}; there are {known or 'none besides ID, Score and Label'}")
        unknown = ~scores["Label"].isin(["real", "fake"])
        if unknown.any():
            raise InputError(
                f"{name}: {unknown.sum()} utterances have no label, such as '{scores.loc[unknown, 'ID'].iloc[0]}'; "
                "a protocol of them brings the labels"
            )
        if scores.empty:
            raise InputError(f"{name}: holds no scores")
        broken = ~np.isfinite(scores["Score"])
        if broken.any():
            raise InputError(
                f"{name}: {broken.sum()} scores are not finite numbers, the first that of "
                f"'{scores.loc[broken, 'ID'].iloc[0]}'; score these utterances again, in fp32"
            )
        twice = scores["ID"].duplicated()
        if twice.any():
            raise InputError(
                f"{name}: {twice.sum()} utterances come a second time, such as '{scores.loc[twice, 'ID'].iloc[0]}'; "
                "keep one line of each"
            )


def _divide(scores: pd.DataFrame, column: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Give each value of a column, in order, and which utterances belong to it."""
    values, names = _duration_ranges(scores[column]) if column == "Duration" else _values(scores[column])
    is_real = (scores["Label"] == "real").to_numpy()
    of_spoofing = is_real.any() and len(np.unique(values[is_real])) == 1 and len(names) > 1
    for number, name in enumerate(names):
        rows = values == number
        if of_spoofing:
            rows &= ~is_real
            if not rows.any():  # the value of all bona fide utterances
                continue
            rows |= is_real
        yield name, rows


def _values(column: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    names, values = np.unique(column.fillna("-").astype(str).to_numpy(dtype=object), return_inverse=True)
    return values, [str(name) for name in names]


def _duration_ranges(column: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    seconds = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    if np.isnan(seconds).any():
        raise InputError("the Duration of some utterances is not a number of seconds")
    places = np.searchsorted(DURATIONS, seconds, side="right") - 1
    present = np.unique(places)
    names = [f"{low:g} to {high:g} s" for low, high in pairwise(DURATIONS)]
    names = [names[place].replace(" to inf s", " s and more") for place in present]
    return np.searchsorted(present, places), names


def split_generators(scores: pd.DataFrame, seen: Collection[str]) -> pd.Series:
    """Tell of each spoofed utterance whether its generator was there in training: a column to group by.

    Arguments
    ---------
    scores : pandas.DataFrame
        With the columns Label and Attack.
    seen : collection of str
        Generators of the training set.

    Returns
    -------
    pandas.Series
        ``seen in training``, ``unseen``, ``unknown`` or, for bona fide utterances, ``-``.

    Example
    -------
    >>> scores = pd.DataFrame({"Label": ["real", "fake", "fake"], "Attack": ["-", "piper", "-"]})
    >>> split_generators(scores, {"world"}).tolist()
    ['-', 'unseen', 'unknown']
    """
    kinds = {attack: "seen in training" if attack in seen else "unseen" for attack in scores["Attack"].unique()}
    kinds["-"] = "unknown"
    return scores["Attack"].map(kinds).where(scores["Label"] == "fake", "-")
