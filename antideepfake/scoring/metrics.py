"""Error rates and costs of a detector.

A score is the float64 difference of the logits, real minus fake: higher means more likely real; the positive class is
real. Every metric takes :class:`Trials`, sorted once by :func:`sort_trials`, and gives a number; of trials with counts
of shape [draws, scores], as the bootstrap draws them, it gives one number a draw.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import isotonic_regression

from antideepfake.errors import InputError

Array = NDArray[np.float64]

# The costs of ASVspoof 5, track 1 (its evaluation plan): prior of spoofed speech, of a miss and of a false alarm.
P_SPOOF, C_MISS, C_FA = 0.05, 1.0, 10.0
# Where these costs put the decision, for natural log-likelihood ratios: -0.6419.
ACT_DCF_THRESHOLD = float(np.log(C_FA * P_SPOOF / (C_MISS * (1 - P_SPOOF))))
# What the two error rates weigh in the normalized cost.
DCF_WEIGHTS = (
    C_MISS * (1 - P_SPOOF) / min(C_MISS * (1 - P_SPOOF), C_FA * P_SPOOF),
    C_FA * P_SPOOF / min(C_MISS * (1 - P_SPOOF), C_FA * P_SPOOF),
)
# Those of ASVspoof 2021's t-DCF (Kinnunen et al. 2020) and of the a-DCF in ASVspoof 5, track 2.
P_TARGET, P_NONTARGET, C_FA_SPOOF = 0.9405, 0.0095, 10.0


class Trials(NamedTuple):
    """Scores in ascending order, and how many bona fide and spoofed utterances have each.

    Arguments
    ---------
    scores : array
        Shape [scores].
    real, fake : array
        Shape [scores], or [draws, scores] for resampled utterances.
    """

    scores: Array
    real: Array
    fake: Array


class Rates(NamedTuple):
    """Both error rates at every threshold, lowest first, as fractions; shape [..., 1 + scores].

    A score at or above a threshold counts as real. Each threshold is the lowest score that it accepts; the last one
    lies above all scores. Between equal scores the rates are those of the sweep, which takes one utterance at a time.
    """

    threshold: Array
    false_rejection: Array
    false_acceptance: Array


class AsvScores(NamedTuple):
    """Scores of a speaker-verification system, by kind of trial."""

    target: Array
    nontarget: Array
    spoof: Array


def sort_trials(real: ArrayLike, fake: ArrayLike) -> Trials:
    """Sort scores for the metrics: ascending, bona fide first among equals, as in the ASVspoof 5 evaluation package.

    Arguments
    ---------
    real, fake : array of float
        Scores of bona fide and of spoofed utterances.

    Returns
    -------
    Trials
        One entry an utterance.

    Raises
    ------
    InputError
        When a class is absent, or a score is not a finite number.

    Example
    -------
    >>> trials = sort_trials(real=[2.0, 3.0], fake=[0.0, 1.0])
    >>> trials.scores.tolist(), trials.real.tolist()
    ([0.0, 1.0, 2.0, 3.0], [0.0, 0.0, 1.0, 1.0])
    """
    real, fake = _check(real, "real"), _check(fake, "fake")
    scores = np.concatenate([real, fake])
    order = np.argsort(scores, kind="stable")
    is_real = (order < len(real)).astype(np.float64)
    return Trials(scores[order], is_real, 1 - is_real)


def _check(scores: ArrayLike, label: str) -> Array:
    scores = np.asarray(scores, dtype=np.float64).ravel()
    if not len(scores):
        raise InputError(f"no {label} utterance is among the scores; an error rate needs both classes")
    if not np.isfinite(scores).all():
        raise InputError(f"{(~np.isfinite(scores)).sum()} scores of {label} utterances are not finite numbers")
    return scores


def error_rates(trials: Trials) -> Rates:
    """Sweep the threshold over all scores.

    Example
    -------
    >>> rates = error_rates(sort_trials(real=[2.0, 3.0], fake=[0.0, 1.0]))
    >>> rates.false_rejection.tolist(), rates.false_acceptance.tolist()
    ([0.0, 0.0, 0.0, 0.5, 1.0], [1.0, 0.5, 0.0, 0.0, 0.0])
    """
    above = np.nextafter(trials.scores[-1], np.inf)
    rejected, passed = _sums(trials.real), _sums(trials.fake)
    acceptance = (passed[..., -1:] - passed) / passed[..., -1:]
    return Rates(np.concatenate([trials.scores, [above]]), rejected / rejected[..., -1:], acceptance)


def _sums(counts: Array) -> Array:
    """How many utterances there are up to each score, after a zero."""
    sums = np.zeros((*counts.shape[:-1], counts.shape[-1] + 1))
    np.cumsum(counts, axis=-1, out=sums[..., 1:])
    return sums


def _starts(scores: Array) -> NDArray[np.intp]:
    """Where each distinct score begins."""
    return np.flatnonzero(np.diff(scores, prepend=-np.inf))


def equal_error_rate(rates: Rates) -> tuple[Array, Array]:
    """The equal error rate as the ASVspoof 5 evaluation package defines it.

    At the point of the sweep where the two error rates are nearest, the mean of both. Neither interpolated nor on the
    convex hull.

    Arguments
    ---------
    rates : Rates
        Of :func:`error_rates`.

    Returns
    -------
    eer, threshold : array
        A fraction, and the lowest score that counts as real there.

    Example
    -------
    >>> eer, threshold = equal_error_rate(error_rates(sort_trials([1.0, 2.0, 3.0, 4.0], [-1.0, 0.0, 0.5, 2.5])))
    >>> float(eer), float(threshold)
    (0.25, 2.0)
    """
    nearest = _nearest(rates)
    both = np.take_along_axis(rates.false_rejection + rates.false_acceptance, nearest, -1)
    return both[..., 0] / 2, rates.threshold[nearest[..., 0]]


def count_errors(rates: Rates, real: int, fake: int) -> tuple[int, int]:
    """Count the errors of each class at the equal error rate.

    Arguments
    ---------
    rates : Rates
        Of :func:`error_rates`.
    real, fake : int
        How many utterances of each class there are.

    Returns
    -------
    tuple of int
        Bona fide utterances rejected, spoofed ones accepted.

    Example
    -------
    >>> count_errors(error_rates(sort_trials([1.0, 2.0, 3.0, 4.0], [-1.0, 0.0, 0.5, 2.5])), 4, 4)
    (1, 1)
    """
    [point] = _nearest(rates)
    return round(rates.false_rejection[point] * real), round(rates.false_acceptance[point] * fake)


def _nearest(rates: Rates) -> NDArray[np.intp]:
    """Find the point of the sweep where the two error rates are nearest; shape [..., 1]."""
    return np.abs(rates.false_rejection - rates.false_acceptance).argmin(axis=-1, keepdims=True)


def interpolated_equal_error_rate(trials: Trials) -> Array:
    """The equal error rate where straight lines between the points of the ROC cross the diagonal.

    As the Speech Anti-Spoofing Arena has it; equal scores are one point.

    Example
    -------
    >>> float(interpolated_equal_error_rate(sort_trials([1.0, 2.0, 3.0, 4.0], [-1.0, 0.0, 0.5, 2.5])))
    0.25
    """
    rates = error_rates(trials)
    points = np.append(_starts(trials.scores), len(trials.scores))  # point i is after the first i scores
    rejection, acceptance = rates.false_rejection[..., points], rates.false_acceptance[..., points]
    after = np.maximum((rejection >= acceptance).argmax(axis=-1), 1)[..., None]
    low, high = (np.take_along_axis(rejection - acceptance, index, -1)[..., 0] for index in (after - 1, after))
    start, end = (np.take_along_axis(rejection, index, -1)[..., 0] for index in (after - 1, after))
    return start + (end - start) * -low / (high - low)


def roc_auc(trials: Trials) -> Array:
    """Probability that a bona fide utterance scores above a spoofed one, ties counted half: the area under the ROC.

    Example
    -------
    >>> float(roc_auc(sort_trials(real=[1.0, 2.0], fake=[0.0, 1.0])))
    0.875
    """
    starts = _starts(trials.scores)
    real, fake = (np.add.reduceat(counts, starts, axis=-1) for counts in (trials.real, trials.fake))
    below = np.cumsum(fake, axis=-1) - fake / 2
    return (real * below).sum(-1) / (real.sum(-1) * fake.sum(-1))


def decision_rates(trials: Trials, threshold: float) -> dict[str, Array]:
    """Measure the decisions of a threshold: a score at or above it counts as real.

    Arguments
    ---------
    trials : Trials
        One class may be absent; what needs it is then not a number.
    threshold : float
        On the difference of the logits.

    Returns
    -------
    dict
        ``accuracy``; ``precision``, ``recall`` and ``f1`` of the class real; ``fpr``, the share of the spoofed
        utterances accepted as real; ``fnr``, that of the bona fide ones rejected as fake. Fractions.

    Example
    -------
    >>> rates = decision_rates(sort_trials(real=[1.0, 2.0, 3.0, -1.0], fake=[-2.0, 0.5]), threshold=0.0)
    >>> {name: float(rate) for name, rate in rates.items()}
    {'accuracy': 0.6666666666666666, 'precision': 0.75, 'recall': 0.75, 'f1': 0.75, 'fpr': 0.5, 'fnr': 0.25}
    """
    accepted = trials.scores >= threshold
    real, fake = trials.real.sum(-1), trials.fake.sum(-1)
    kept, passed = trials.real[..., accepted].sum(-1), trials.fake[..., accepted].sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "accuracy": (kept + fake - passed) / (real + fake),
            "precision": kept / (kept + passed),
            "recall": kept / real,
            "f1": 2 * kept / (kept + passed + real),
            "fpr": passed / fake,
            "fnr": 1 - kept / real,
        }


def min_dcf(rates: Rates) -> Array:
    """The smallest detection cost of any threshold, normalised as in ASVspoof 5: 1 is a detector that always says one.

    min over t of ``c_miss (1 - p_spoof) P_miss(t) + c_fa p_spoof P_fa(t)``, over the smaller of its two weights;
    taking real for fake costs 1, fake for real 10, and spoofed speech has a prior of 0.05.

    Arguments
    ---------
    rates : Rates
        Of :func:`error_rates`.

    Example
    -------
    >>> float(min_dcf(error_rates(sort_trials(real=[2.0, 3.0], fake=[0.0, 1.0]))))
    0.0
    """
    miss, alarm = C_MISS * (1 - P_SPOOF), C_FA * P_SPOOF
    return (miss * rates.false_rejection + alarm * rates.false_acceptance).min(-1) / min(miss, alarm)


def act_dcf(trials: Trials) -> Array:
    """The cost of :func:`min_dcf` at the threshold that is right for log-likelihood ratios.

    That is ``ln(c_fa p_spoof / (c_miss (1 - p_spoof)))``, -0.6419 for ASVspoof 5; a score at it counts as real, as
    there. Scores that are not calibrated make it large.

    Arguments
    ---------
    trials : Trials
        Scores are natural log-likelihood ratios.

    Example
    -------
    >>> float(act_dcf(sort_trials(real=[2.0, -3.0], fake=[-1.0, -2.0])))
    0.95
    """
    miss, alarm = C_MISS * (1 - P_SPOOF), C_FA * P_SPOOF
    rejected = trials.scores < ACT_DCF_THRESHOLD
    missed = trials.real[..., rejected].sum(-1) / trials.real.sum(-1)
    accepted = trials.fake[..., ~rejected].sum(-1) / trials.fake.sum(-1)
    return (miss * missed + alarm * accepted) / min(miss, alarm)


def cllr(trials: Trials) -> Array:
    """Cost of log-likelihood ratios (Brümmer and du Preez 2006), in bits: 0 is perfect, 1 knows nothing.

    ``0.5 / ln 2 [mean ln(1 + exp(-s)) over bona fide + mean ln(1 + exp(s)) over spoofed utterances]``

    Arguments
    ---------
    trials : Trials
        Scores are natural log-likelihood ratios.

    Example
    -------
    >>> float(cllr(sort_trials(real=[0.0], fake=[0.0])))
    1.0
    """
    real = trials.real @ np.logaddexp(0, -trials.scores) / trials.real.sum(-1)
    fake = trials.fake @ np.logaddexp(0, trials.scores) / trials.fake.sum(-1)
    return (real + fake) / (2 * np.log(2))


def min_cllr(trials: Trials) -> Array:
    """:func:`cllr` after the best monotone calibration on these very scores (pool adjacent violators).

    Example
    -------
    >>> float(min_cllr(sort_trials(real=[5.0, 6.0], fake=[1.0, 2.0])))
    0.0
    """
    starts = _starts(trials.scores)
    real, fake = (np.add.reduceat(counts, starts, axis=-1) for counts in (trials.real, trials.fake))
    draws = np.array([_min_cllr(*pair) for pair in zip(np.atleast_2d(real), np.atleast_2d(fake), strict=True)])
    return draws.reshape(real.shape[:-1])


def _min_cllr(real: Array, fake: Array) -> float:
    drawn = real + fake > 0
    # both classes weigh half, whatever their sizes
    real, fake = real[drawn] / real.sum(), fake[drawn] / fake.sum()
    blocks = isotonic_regression(real / (real + fake), weights=real + fake).blocks[:-1]
    real, fake = (np.add.reduceat(shares, blocks) for shares in (real, fake))
    posterior = real / (real + fake)
    # a block that holds one class alone is certain, and right
    bits = real @ np.log2(np.where(real > 0, posterior, 1)) + fake @ np.log2(np.where(fake > 0, 1 - posterior, 1))
    return float(0.0 - bits / 2)  # not minus nought


def min_cllr_bias(trials: Trials) -> float:
    """Estimate how far :func:`min_cllr` lies below that of all such speech, because it fits these very scores.

    Every level of the fitted step function costs half a nat to a nat of the sum over the utterances, as a parameter
    does; this takes a nat (Meyer and Woodroofe 2000 count the levels as degrees of freedom).

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> round(min_cllr_bias(sort_trials(rng.normal(2, 1, 200), rng.normal(0, 1, 200))), 3)
    0.043
    """
    real, fake = (counts / counts.sum() for counts in (trials.real, trials.fake))
    starts = _starts(trials.scores)
    real, fake = np.add.reduceat(real, starts), np.add.reduceat(fake, starts)
    levels = len(isotonic_regression(real / (real + fake), weights=real + fake).blocks) - 1
    per_class = 2 / (1 / trials.real.sum() + 1 / trials.fake.sum())
    return float(levels / (2 * np.log(2) * per_class))


def min_t_dcf(rates: Rates, asv: AsvScores) -> Array:
    """The smallest normalised cost of a detector in front of a given speaker-verification system, ASV-constrained.

    Kinnunen et al. 2020, "Tandem assessment of spoofing countermeasures and automatic speaker verification", with the
    parameters of ASVspoof 2021. The verification system decides at its own equal error rate.

    Arguments
    ---------
    rates : Rates
        Of the detector.
    asv : AsvScores
        Of the verification system.

    Example
    -------
    >>> asv = AsvScores(np.array([2.0, 3.0]), np.array([-2.0, -1.0]), np.array([1.5, 2.5]))
    >>> rates = error_rates(sort_trials(real=[2.0, 3.0], fake=[0.0, 1.0]))
    >>> round(float(min_t_dcf(rates, asv)), 3)  # what the verification itself gets wrong
    0.087
    """
    always, miss, alarm = t_dcf_weights(asv)
    return always + (miss * rates.false_rejection + alarm * rates.false_acceptance).min(-1)


def t_dcf_weights(asv: AsvScores) -> tuple[float, float, float]:
    """Give the constant and the weights of the two error rates in the normalized t-DCF.

    Raises
    ------
    InputError
        When the verification accepts no spoofed or no target speech.

    Example
    -------
    >>> asv = AsvScores(np.array([2.0, 3.0]), np.array([-2.0, -1.0]), np.array([1.5, 2.5]))
    >>> [round(weight, 3) for weight in t_dcf_weights(asv)]
    [0.087, 1.631, 0.913]
    """
    trials = sort_trials(asv.target, asv.nontarget)
    # As in the package of the challenges: the threshold is the highest rejected score, yet a score at it is accepted.
    at = trials.scores[max(int(_nearest(error_rates(trials))[0]) - 1, 0)]
    missed, alarms, spoofs = (asv.target < at).mean(), (asv.nontarget >= at).mean(), (asv.spoof >= at).mean()
    always = P_TARGET * C_MISS * missed + P_NONTARGET * C_FA * alarms
    miss, alarm = P_TARGET * C_MISS - always, P_SPOOF * C_FA_SPOOF * spoofs
    if miss <= 0 or alarm <= 0:
        raise InputError("the speaker-verification scores accept no spoofed or no target speech: a t-DCF says nothing")
    norm = always + min(miss, alarm)
    return float(always / norm), float(miss / norm), float(alarm / norm)


def min_a_dcf(asv: AsvScores) -> float:
    """The smallest normalised cost of a system that verifies speakers and rejects spoofed speech with one score.

    Shim et al. 2024, "a-DCF: an architecture agnostic metric with application to spoofing-robust speaker verification",
    with the parameters of ASVspoof 5, track 2.

    Arguments
    ---------
    asv : AsvScores
        Of the system.

    Example
    -------
    >>> round(min_a_dcf(AsvScores(np.array([2.0, 3.0]), np.array([-2.0]), np.array([1.0, 2.5]))), 3)
    0.42
    """
    target, nontarget, spoof = (_check(scores, kind) for scores, kind in zip(asv, AsvScores._fields, strict=True))
    thresholds = np.concatenate([[-np.inf], np.unique(np.concatenate([target, nontarget, spoof]))])
    missed = np.searchsorted(np.sort(target), thresholds, side="right") / len(target)
    alarms, spoofs = (
        1 - np.searchsorted(np.sort(scores), thresholds, side="right") / len(scores) for scores in (nontarget, spoof)
    )
    miss, alarm, spoofed = P_TARGET * C_MISS, P_NONTARGET * C_FA, P_SPOOF * C_FA_SPOOF
    cost = miss * missed + alarm * alarms + spoofed * spoofs
    return float(cost.min() / min(miss, alarm + spoofed))


def measure(trials: Trials, threshold: float, ratios: Array | None = None) -> dict[str, Array]:
    """All that scores alone say of a detector.

    Arguments
    ---------
    trials : Trials
        With both classes.
    threshold : float
        Of the decision, on the difference of the logits.
    ratios : array, optional
        Log-likelihood ratios of the scores, in their order, for ``act_dcf`` and ``cllr``; without them the scores
        themselves are taken for such.

    Returns
    -------
    dict
        ``eer``, ``eer_threshold``, ``eer_interpolated``, ``roc_auc``, those of :func:`decision_rates`, ``min_dcf``,
        ``act_dcf``, ``cllr`` and ``min_cllr``.

    Example
    -------
    >>> figures = measure(sort_trials(real=[1.0, 2.0], fake=[-1.0, 1.5]), threshold=0.0)
    >>> float(figures["eer"]), float(figures["accuracy"])
    (0.5, 0.75)
    """
    rates = error_rates(trials)
    eer, eer_threshold = equal_error_rate(rates)
    calibrated = trials if ratios is None else trials._replace(scores=ratios)
    return {
        "eer": eer,
        "eer_threshold": eer_threshold,
        "eer_interpolated": interpolated_equal_error_rate(trials),
        "roc_auc": roc_auc(trials),
        **decision_rates(trials, threshold),
        "min_dcf": min_dcf(rates),
        "act_dcf": act_dcf(calibrated),
        "cllr": cllr(calibrated),
        "min_cllr": min_cllr(trials),
    }
