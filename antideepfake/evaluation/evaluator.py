"""From score files to figures: over all utterances, by any column, and of several systems side by side."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import entropy
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
from antideepfake.metrics.summary import compute_metrics
from antideepfake.model_folder.calibration import Calibration
from antideepfake.scoring.provenance import ScoreProvenance
from antideepfake.seeds import derive_seed

FEW_ERRORS = 5
"""With fewer errors of a class at the EER, ten in all, resampling says little of how many there could have been."""

FEW_CLUSTERS = 20
"""With fewer, the intervals are wide and yet hold the truth less often than they say."""

REVERSED = 0.6
"""No detector has a higher EER on a whole test set by chance or by mistake, unless its scores are reversed."""

SEEN_ATTACK = "SeenAttack"
"""Column that :func:`group_by_seen_attacks` gives."""

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
    metrics : dict
        Those of :func:`antideepfake.metrics.rates.measure`, with their 95 % intervals; where a class is absent, what
        :func:`antideepfake.metrics.rates.decision_rates` gives alone.
    note : str
        What to mind when reading them; mostly empty.
    """

    name: str
    real: int
    fake: int
    metrics: dict[str, Estimate]
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
    threshold_errors : dict
        As :class:`Evaluator`.
    remarks : list of str
        What else to mind when reading the figures.
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
    """A system, its scores and what they say.

    Arguments
    ---------
    scores : pandas.DataFrame
        As :func:`antideepfake.scoring.score_file.read_scores` gives.
    evaluation : Evaluation
        Of them.
    calibration : callable, optional
        From scores to log-likelihood ratios.
    source : str
        The score file.
    sha256 : str
        Of its content.
    record : ScoreProvenance, optional
        What made it.
    overlap : Overlap
        What the test set shares with the training data of the model, as far as both are known.
    left_out : tuple of str
        A sentence for each kind of utterance that was left out.
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
        Column of what is drawn at once for the intervals, such as Speaker; an utterance of an unknown speaker, ``-``,
        is drawn alone. Without it, each utterance is drawn by itself.
    seed : int
        Of the draws.
    n_resamples : int
        Of each bootstrap.
    threshold_errors : mapping
        Errors where the threshold was chosen, as in :class:`antideepfake.model_folder.ModelMetadata`; may be empty.

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
    threshold_source: str = "the score at which both classes are equally probable to the detector"
    calibration: Calibration | None = None
    asv: AsvScores | None = None
    cluster: str | None = None
    seed: int = 1234
    n_resamples: int = 1000
    threshold_errors: Mapping[str, float] = field(default_factory=dict)

    def evaluate(self, scores: pd.DataFrame, name: str, by: Sequence[str] = (), quiet: bool = True) -> Evaluation:
        """Measure a system, over all and by each of some columns.

        Arguments
        ---------
        scores : pandas.DataFrame
            As :func:`antideepfake.scoring.score_file.read_scores` gives, labels known.
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
        evaluation = Evaluation(
            name,
            self.threshold,
            self.threshold_source,
            self._measure(scores, "all"),
            threshold_errors=self.threshold_errors,
        )
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
            self._metrics,
            both["Score"].to_numpy(),
            both["Score second"].to_numpy(),
            is_real,
            np.random.default_rng(derive_seed(self.seed, "compare")),
            clusters=number_clusters(both[self.cluster]) if self.cluster else None,
            n_resamples=self.n_resamples,
        )
        ranking = ("eer", "eer_interpolated", "roc_auc", "min_dcf", "min_cllr")  # do not depend on a threshold
        evaluation.differences = {name: compared[name] for name in ranking}

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
                name, real, fake, metrics, f"no {'fake' if real else 'real'}: only what a threshold decides is known"
            )
        clusters = number_clusters(scores[self.cluster]) if self.cluster else None
        # The same draws for every group: the same utterances have the same intervals wherever they stand.
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
        # twice: the figure is too low for other utterances, and the draws are too low for the figure
        wider["min_cllr"] = (np.inf, metrics["min_cllr"].high + 2 * min_cllr_bias(trials))
        if min(errors) < FEW_ERRORS:
            wider |= self._bounds_of_few_errors(trials, errors)
        metrics |= {key: _join(metrics[key], low, high) for key, (low, high) in wider.items()}
        metrics = {key: _limit(key, metric) for key, metric in metrics.items()}
        count = None if clusters is None else count_clusters(clusters, is_real)
        return Group(name, real, fake, metrics, "; ".join(self._notes(name, metrics["eer"], errors, count)))

    def _notes(self, name: str, eer: Estimate, errors: tuple[int, int], clusters: int | None) -> Iterator[str]:
        """Say what to mind when reading the figures."""
        if eer.value > REVERSED and name == "all":
            yield "EER above 60 %: are the scores reversed? Higher must mean real"
        elif eer.low <= 0.5 <= eer.high:
            yield "at chance: the interval of the EER includes 50 %"
        if min(errors) < FEW_ERRORS:
            yield f"only {errors[0]} real and {errors[1]} fake utterances misclassified at the EER: wide intervals"
        if clusters is not None and clusters < FEW_CLUSTERS:
            yield f"only {clusters} values of {self.cluster}: the intervals say little"

    def _exact_bounds(self, trials: Trials) -> dict[str, tuple[float, float]]:
        """Bound what a fixed threshold decides, for independent utterances."""
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
        # F1 = 2 J / (1 + J), where J is the fraction of right ones among all that are accepted or real
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
        """Bound the figures that choose their own threshold, from the exact bounds of both error rates."""
        real, fake = int(trials.real.sum()), int(trials.fake.sum())
        eer = add_intervals(exact_fraction(errors[0], real), exact_fraction(errors[1], fake), (0.5, 0.5))
        highest = min(eer[1], 0.5)
        return {
            "eer": eer,
            "eer_interpolated": eer,
            # what remains unknown of the class after a decision with that error rate, in bits
            "min_cllr": (np.inf, float(entropy([highest, 1 - highest], base=2))),
        }

    def _bounds_of_costs(self, trials: Trials) -> dict[str, tuple[float, float]]:
        """Bound the costs at the threshold that is best for these utterances and too good for others."""
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


def _join(metric: Estimate, low: float, high: float) -> Estimate:
    """Widen an interval so that it includes another one."""
    return metric._replace(low=float(np.fmin(metric.low, low)), high=float(np.fmax(metric.high, high)))


def _limit(name: str, metric: Estimate) -> Estimate:
    """Keep an interval inside the range of its figure."""
    if name == "eer_threshold":
        return metric
    highest = np.inf if name in ("act_dcf", "cllr") else 1.0
    return metric._replace(low=max(metric.low, 0.0), high=min(metric.high, highest))


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


def group_by_seen_attacks(scores: pd.DataFrame, seen: Collection[str]) -> pd.Series:
    """Mark each spoofed utterance by whether training had its spoofing system: a column to group by.

    Arguments
    ---------
    scores : pandas.DataFrame
        With the columns Label and Attack.
    seen : collection of str
        Spoofing systems of the training set (column Attack).

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
