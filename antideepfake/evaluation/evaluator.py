"""Evaluation of scores: metrics over all utterances and by column, and comparisons between systems."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import entr
from tqdm import tqdm

from antideepfake.audit.leakage import Overlap
from antideepfake.errors import InputError
from antideepfake.metrics.bootstrap import (
    Comparison,
    Estimate,
    add_intervals,
    area_interval,
    compare_systems,
    count_clusters,
    estimate,
    exact_fraction,
    number_clusters,
)
from antideepfake.metrics.costs import (
    ACT_DCF_THRESHOLD,
    DCF_WEIGHTS,
    AsvScores,
    min_cllr_bias,
    min_t_dcf,
    t_dcf_weights,
)
from antideepfake.metrics.rates import Array, Trials, count_errors, decision_rates, error_rates, sort_trials
from antideepfake.metrics.summary import compute_metrics, compute_ranking_metrics
from antideepfake.model_folder.calibration import Calibration
from antideepfake.protocol.table import find_repeated
from antideepfake.scoring.provenance import ScoreProvenance
from antideepfake.seeds import derive_seed

FEW_ERRORS = 5
"""With fewer errors of a class at the EER, bootstrap intervals are too narrow, so exact intervals are added."""

FEW_CLUSTERS = 20
"""With fewer clusters, the intervals are wide and still contain the true value less often than stated."""

REVERSED = 0.6
"""A higher EER on a whole test set indicates reversed scores: neither chance nor a poor detector explains it."""

SEEN_ATTACK = "SeenAttack"
"""Name of the column that :func:`group_by_seen_attacks` returns."""

DURATIONS = (0.0, 2.0, 4.0, 8.0, 16.0, 32.0, np.inf)  # seconds


@dataclass(frozen=True)
class Group:
    """A group of utterances and the metrics of their scores.

    Arguments
    ---------
    name : str
        The column value that they share, or ``all``.
    real, fake : int
        Number of utterances of each class.
    metrics : dict of str to Estimate
        The metrics of :func:`antideepfake.metrics.summary.compute_metrics` with 95 % intervals. If a class is absent,
        only those of :func:`antideepfake.metrics.rates.decision_rates`.
    note : str
        A caution for the reader; usually empty.
    """

    name: str
    real: int
    fake: int
    metrics: dict[str, Estimate]
    note: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether the group has utterances of both classes."""
        return bool(self.real and self.fake)


@dataclass
class Evaluation:
    """The metrics of a system.

    Arguments
    ---------
    name : str
        Name of the system.
    threshold : float
        A score at or above it counts as real.
    threshold_source : str
        How the threshold was chosen.
    overall : Group
        All utterances.
    groups : dict of str to list of Group
        Column -> groups by its values.
    differences : dict of str to Comparison
        Metric -> difference from the first system on the same utterances; empty for the first system.
    common : int
        Number of utterances that both systems have.
    threshold_errors : mapping
        As in :class:`Evaluator`.
    remarks : list of str
        Further cautions for the reader.
    """

    name: str
    threshold: float
    threshold_source: str
    overall: Group
    groups: dict[str, list[Group]] = field(default_factory=dict)
    differences: dict[str, Comparison] = field(default_factory=dict)
    common: int = 0
    threshold_errors: Mapping[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class System:
    """A system, its scores and its evaluation.

    Arguments
    ---------
    scores : pandas.DataFrame
        Scores, as :func:`antideepfake.scoring.score_file.read_scores` returns them.
    evaluation : Evaluation
        Metrics of the scores.
    calibration : callable, optional
        Converts scores to log-likelihood ratios.
    source : str
        Path of the score file.
    sha256 : str
        Digest of the score file.
    record : ScoreProvenance, optional
        Provenance of the score file.
    overlap : Overlap
        Overlap of the test set with the training data of the model, as far as both are known.
    left_out : tuple of str
        Messages about utterances that were left out.
    """

    scores: pd.DataFrame
    evaluation: Evaluation
    calibration: Calibration | None = None
    source: str = ""
    sha256: str = ""
    record: ScoreProvenance | None = None
    overlap: Overlap = field(default_factory=lambda: Overlap(0))
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evaluator:
    """Compute the metrics of systems from their scores.

    Arguments
    ---------
    threshold : float
        A score at or above it counts as real.
    threshold_source : str
        How the threshold was chosen.
    calibration : callable, optional
        Converts scores to log-likelihood ratios. By default the scores are used as log-likelihood ratios.
    asv : AsvScores, optional
        Scores of the speaker-verification system that the detector protects; adds ``min_t_dcf`` to the metrics.
    cluster : str, optional
        Column whose values are resampled as a whole, such as Speaker. An utterance with an unknown value, ``-``, is a
        cluster of its own. By default utterances are resampled one by one.
    seed : int
        Seed of the bootstrap.
    n_resamples : int
        Number of resamples of each bootstrap.
    threshold_errors : mapping
        Errors on the data where the threshold was chosen, as in
        :class:`antideepfake.model_folder.ModelMetadata`; may be empty.

    Example
    -------
    >>> scores = pd.DataFrame({
    ...     "ID": ["a", "b", "c", "d"],
    ...     "Score": [2.0, 3.0, -1.0, 2.5],
    ...     "Label": ["real", "real", "fake", "fake"],
    ...     "Attack": ["-", "-", "world", "piper"],
    ... })
    >>> evaluation = Evaluator(threshold=0.0).evaluate(scores, "small", by=["Attack"])
    >>> evaluation.overall.metrics["eer"].value
    0.5
    >>> [(group.name, group.real, group.fake, group.metrics["eer"].value) for group in evaluation.groups["Attack"]]
    [('piper', 2, 1, 0.75), ('world', 2, 1, 0.0)]
    """

    threshold: float = 0.0
    threshold_source: str = "the score at which the detector considers both classes equally probable"
    calibration: Calibration | None = None
    asv: AsvScores | None = None
    cluster: str | None = None
    seed: int = 1234
    n_resamples: int = 1000
    threshold_errors: Mapping[str, float] = field(default_factory=dict)

    def evaluate(self, scores: pd.DataFrame, name: str, by: Sequence[str] = (), quiet: bool = True) -> Evaluation:
        """Compute the metrics of a system over all utterances and for each value of the given columns.

        Arguments
        ---------
        scores : pandas.DataFrame
            Scores, as :func:`antideepfake.scoring.score_file.read_scores` returns them; all labels must be known.
        name : str
            Name of the system.
        by : sequence of str
            Columns to group by. If all bona fide utterances have the same value, as in Attack, each group of spoofed
            utterances is compared with all bona fide utterances; otherwise with those of the group. Duration is divided
            into ranges at 2, 4, 8, 16 and 32 s.
        quiet : bool
            Show no progress bar.

        Returns
        -------
        Evaluation
            Metrics, with groups in the order of their names: A9 before A10.

        Raises
        ------
        InputError
            If there are no scores, a column or a label is missing, an utterance is repeated, or a score is not finite.
        """
        self._check(scores, name, by)
        groups = [(column, *group) for column in by for group in _split_by(scores, column)]
        progress = tqdm(total=1 + len(groups), desc=f"evaluating {name}", unit="group", disable=quiet)
        evaluation = Evaluation(
            name,
            self.threshold,
            self.threshold_source,
            self._measure(scores, "all"),
            threshold_errors=self.threshold_errors,
        )
        progress.update()
        evaluation.groups = {column: [] for column in by}
        needed = scores[["Score", "Label", *([self.cluster] if self.cluster else [])]]  # not to copy the others
        for column, value, rows in groups:
            evaluation.groups[column].append(self._measure(needed[rows], value))
            progress.update()
        progress.close()
        return evaluation

    def compare(self, first: pd.DataFrame, second: pd.DataFrame, evaluation: Evaluation) -> None:
        """Add to the evaluation of the second system its differences from the first on their common utterances.

        Arguments
        ---------
        first, second : pandas.DataFrame
            Scores of both systems. Only metrics that depend on the order of the scores alone are compared.
        evaluation : Evaluation
            Evaluation of the second system. Sets ``common``, and ``differences`` if the common utterances have both
            classes.
        """
        if not first["ID"].equals(second["ID"]):
            rows = pd.Index(second["ID"]).get_indexer(first["ID"])
            first, second = first[rows >= 0], second.iloc[rows[rows >= 0]]
        is_real = (first["Label"] == "real").to_numpy()
        evaluation.common = len(first)
        if not is_real.any() or is_real.all():
            return
        compared = compare_systems(
            compute_ranking_metrics,
            first["Score"].to_numpy(),
            second["Score"].to_numpy(),
            is_real,
            np.random.default_rng(derive_seed(self.seed, "compare")),
            clusters=number_clusters(second[self.cluster]) if self.cluster else None,
            n_resamples=self.n_resamples,
        )
        evaluation.differences = {name: value for name, value in compared.items() if name != "eer_threshold"}

    def _metrics(self, trials: Trials) -> dict[str, Array]:
        ratios = self.calibration(trials.scores) if self.calibration else None
        metrics = compute_metrics(trials, self.threshold, ratios)
        return metrics | {"min_t_dcf": min_t_dcf(error_rates(trials), self.asv)} if self.asv else metrics

    def _measure(self, scores: pd.DataFrame, name: str) -> Group:
        values = scores["Score"].to_numpy()
        is_real = (scores["Label"] == "real").to_numpy()
        real, fake = int(is_real.sum()), int((~is_real).sum())
        if not (real and fake):
            order = np.argsort(values, kind="stable")
            kind = is_real[order].astype(np.float64)
            trials = Trials(values[order], kind, 1 - kind)
            rates = decision_rates(trials, self.threshold)
            metrics = {key: Estimate(float(rate), np.nan, np.nan) for key, rate in rates.items()}
            if not self.cluster:
                bounds = self._exact_bounds(trials)
                known = ("accuracy", "recall", "fpr", "fnr")
                metrics |= {
                    key: metrics[key]._replace(low=low, high=high)
                    for key, (low, high) in bounds.items()
                    if key in known
                }
            return Group(
                name,
                real,
                fake,
                metrics,
                f"no {'fake' if real else 'real'} utterances: only metrics at the threshold are known",
            )
        clusters = number_clusters(scores[self.cluster]) if self.cluster else None
        # Every group uses the same random numbers, so that the same utterances always have the same intervals.
        rng = np.random.default_rng(derive_seed(self.seed, "intervals"))
        thresholds = (self.threshold, ACT_DCF_THRESHOLD)
        metrics = estimate(self._metrics, values, is_real, rng, thresholds, clusters, self.n_resamples)
        trials = sort_trials(values[is_real], values[~is_real])
        errors = count_errors(error_rates(trials), real, fake)
        for key, (low, high) in self._exact_bounds(trials).items():
            metrics[key] = (
                metrics[key]._replace(low=low, high=high) if clusters is None else _join(metrics[key], low, high)
            )
        wider = self._bounds_of_costs(trials)
        wider["roc_auc"] = area_interval(float(metrics["roc_auc"].value), real, fake)
        # The bias counts twice: the value is too low for other utterances, and the resamples are too low for the value.
        wider["min_cllr"] = (np.inf, metrics["min_cllr"].high + 2 * min_cllr_bias(trials))
        if min(errors) < FEW_ERRORS:
            wider |= self._bounds_of_few_errors(trials, errors)
        metrics |= {key: _join(metrics[key], low, high) for key, (low, high) in wider.items()}
        metrics = {key: _limit(key, metric) for key, metric in metrics.items()}
        count = None if clusters is None else count_clusters(clusters, is_real)
        return Group(name, real, fake, metrics, "; ".join(self._notes(name, metrics["eer"], errors, count)))

    def _notes(self, name: str, eer: Estimate, errors: tuple[int, int], clusters: int | None) -> Iterator[str]:
        """Yield cautions for the reader of the metrics."""
        if eer.value > REVERSED and name == "all":
            yield "EER above 60 %: are the scores reversed? A higher score must mean real"
        elif eer.low <= 0.5 <= eer.high:
            yield "at chance: the interval of the EER includes 50 %"
        if min(errors) < FEW_ERRORS:
            yield f"only {errors[0]} real and {errors[1]} fake utterances misclassified at the EER: wide intervals"
        if clusters is not None and clusters < FEW_CLUSTERS:
            yield f"only {clusters} values of {self.cluster}: the intervals are unreliable"

    def _exact_bounds(self, trials: Trials) -> dict[str, tuple[float, float]]:
        """Compute exact intervals of the metrics at fixed thresholds, for independent utterances."""
        real, fake = trials.real.sum(), trials.fake.sum()
        accepted = trials.scores >= self.threshold
        kept, passed = trials.real[accepted].sum(), trials.fake[accepted].sum()
        bounds = {
            "accuracy": exact_fraction(kept + fake - passed, real + fake)[1:],
            "precision": exact_fraction(kept, kept + passed)[1:],
            "recall": exact_fraction(kept, real)[1:],
            "fpr": exact_fraction(passed, fake)[1:],
            "fnr": exact_fraction(real - kept, real)[1:],
        }
        # F1 = 2 J / (1 + J), where J is the number of accepted bona fide utterances divided by that of all utterances
        # that are accepted or bona fide
        _, low, high = exact_fraction(kept, real + passed)
        bounds["f1"] = (2 * low / (1 + low), 2 * high / (1 + high))
        if real and fake:
            ratios = self.calibration(trials.scores) if self.calibration else trials.scores
            accepted = ratios >= ACT_DCF_THRESHOLD
            missed = exact_fraction(trials.real[~accepted].sum(), real)
            alarms = exact_fraction(trials.fake[accepted].sum(), fake)
            bounds["act_dcf"] = add_intervals(missed, alarms, DCF_WEIGHTS)
        return bounds

    def _bounds_of_few_errors(self, trials: Trials, errors: tuple[int, int]) -> dict[str, tuple[float, float]]:
        """Compute intervals of metrics with an optimized threshold from the exact intervals of both error rates."""
        real, fake = int(trials.real.sum()), int(trials.fake.sum())
        eer = add_intervals(exact_fraction(errors[0], real), exact_fraction(errors[1], fake), (0.5, 0.5))
        highest = min(eer[1], 0.5)
        return {
            "eer": eer,
            "eer_interpolated": eer,
            # the entropy of the class after a decision with that error rate, in bits
            "min_cllr": (np.inf, float(entr([highest, 1 - highest]).sum() / np.log(2))),
        }

    def _bounds_of_costs(self, trials: Trials) -> dict[str, tuple[float, float]]:
        """Compute upper bounds of the minimum costs, whose threshold is optimized on these utterances."""
        real, fake = trials.real.sum(), trials.fake.sum()
        rates = error_rates(trials)
        costs = {"min_dcf": (0.0, *DCF_WEIGHTS)} | ({"min_t_dcf": t_dcf_weights(self.asv)} if self.asv else {})
        bounds = {}
        for key, (always, *weights) in costs.items():
            best = (weights[0] * rates.false_rejection + weights[1] * rates.false_acceptance).argmin()
            missed = exact_fraction(np.rint(rates.false_rejection[best] * real), real)
            alarms = exact_fraction(np.rint(rates.false_acceptance[best] * fake), fake)
            bounds[key] = (np.inf, always + add_intervals(missed, alarms, (weights[0], weights[1]))[1])
        return bounds

    def _check(self, scores: pd.DataFrame, name: str, by: Sequence[str]) -> None:
        for column in (*by, *([self.cluster] if self.cluster else [])):
            if column not in scores:
                known = ", ".join(str(known) for known in scores.columns if known not in ("ID", "Score", "Label"))
                raise InputError(f"{name}: no column {column}; the scores have {known or 'only ID, Score and Label'}")
        unknown = ~scores["Label"].isin(["real", "fake"])
        if unknown.any():
            raise InputError(
                f"{name}: {unknown.sum()} utterances have no label, such as '{scores.loc[unknown, 'ID'].iloc[0]}'; "
                "pass their protocol with --protocol"
            )
        if scores.empty:
            raise InputError(f"{name}: contains no scores")
        broken = ~np.isfinite(scores["Score"])
        if broken.any():
            raise InputError(
                f"{name}: {broken.sum()} scores are not finite, such as that of "
                f"'{scores.loc[broken, 'ID'].iloc[0]}'; score these utterances again, in fp32"
            )
        twice = find_repeated(scores["ID"])
        if twice.any():
            raise InputError(
                f"{name}: {twice.sum()} utterances are repeated, such as '{scores.loc[twice, 'ID'].iloc[0]}'; "
                "keep one line for each"
            )


def _join(metric: Estimate, low: float, high: float) -> Estimate:
    """Widen an interval so that it includes another one."""
    return metric._replace(low=float(np.fmin(metric.low, low)), high=float(np.fmax(metric.high, high)))


def _limit(name: str, metric: Estimate) -> Estimate:
    """Clip an interval to the range of its metric."""
    if name == "eer_threshold":
        return metric
    highest = np.inf if name in ("act_dcf", "cllr") else 1.0
    return metric._replace(low=max(metric.low, 0.0), high=min(metric.high, highest))


def _split_by(scores: pd.DataFrame, column: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield each value of a column, in order, with a mask of its utterances."""
    values, names = _duration_ranges(scores[column]) if column == "Duration" else _values(scores[column])
    is_real = (scores["Label"] == "real").to_numpy()
    is_attribute_of_fakes = is_real.any() and len(np.unique(values[is_real])) == 1 and len(names) > 1
    for number, name in enumerate(names):
        rows = values == number
        if is_attribute_of_fakes:
            rows &= ~is_real
            if not rows.any():  # the value of all bona fide utterances
                continue
            rows |= is_real
        yield name, rows


def _values(column: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    numbers, names = pd.factorize(column.fillna("-").astype(str))
    order = sorted(range(len(names)), key=lambda number: natural_order(names[number]))
    return np.argsort(order)[numbers], [str(names[number]) for number in order]


def natural_order(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts names as a reader expects, with the numbers in them by value.

    Example
    -------
    >>> sorted(["A10", "A9", "B"], key=natural_order)
    ['A9', 'A10', 'B']
    """
    texts_and_numbers = re.split("0*([0-9]+)", name)
    key = [(len(part) if index % 2 else 0, part) for index, part in enumerate(texts_and_numbers)]
    return [*key, (0, name)]  # A9 and A09 have an order, too


def _duration_ranges(column: pd.Series) -> tuple[NDArray[np.intp], list[str]]:
    seconds = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    if np.isnan(seconds).any():
        raise InputError(
            "the Duration of some utterances is not a number of seconds; correct the column or group by another one"
        )
    ranges = np.searchsorted(DURATIONS, seconds, side="right") - 1
    present = np.unique(ranges)
    names = [f"{low:g} to {high:g} s" for low, high in pairwise(DURATIONS)]
    names = [names[index].replace(" to inf s", " s and more") for index in present]
    return np.searchsorted(present, ranges), names


def group_by_seen_attacks(scores: pd.DataFrame, seen: Collection[str]) -> pd.Series:
    """Label each spoofed utterance by whether its spoofing system occurs in the training set.

    Arguments
    ---------
    scores : pandas.DataFrame
        Table with the columns Label and Attack.
    seen : collection of str
        Spoofing systems of the training set, as in the column Attack.

    Returns
    -------
    pandas.Series
        ``seen in training``, ``unseen``, ``unknown`` or, for bona fide utterances, ``-``.

    Example
    -------
    >>> scores = pd.DataFrame({"Label": ["real", "fake", "fake"], "Attack": ["-", "piper", "-"]})
    >>> group_by_seen_attacks(scores, {"world"}).tolist()
    ['-', 'unseen', 'unknown']
    """
    kinds = {attack: "seen in training" if attack in seen else "unseen" for attack in scores["Attack"].unique()}
    kinds["-"] = "unknown"
    return scores["Attack"].map(kinds).where(scores["Label"] == "fake", "-")
