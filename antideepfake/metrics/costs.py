"""Costs of a detector: detection costs of the ASVspoof challenges, and the cost of log-likelihood ratios.

As in :mod:`antideepfake.metrics.rates`, trials with counts of shape [n_resamples, scores] give one number a resample.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression
from scipy.special import expit

from antideepfake.errors import InputError
from antideepfake.metrics.rates import (
    Array,
    Rates,
    Trials,
    check_scores,
    distinct_starts,
    error_rates,
    nearest_point,
    sort_trials,
)

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


class AsvScores(NamedTuple):
    """Scores of a speaker-verification system, by kind of trial."""

    target: Array
    nontarget: Array
    spoof: Array


def min_dcf(rates: Rates) -> Array:
    """The smallest detection cost of any threshold, normalized as in ASVspoof 5: 1 is a detector that always says one.

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
    starts = distinct_starts(trials.scores)
    real, fake = (np.add.reduceat(counts, starts, axis=-1) for counts in (trials.real, trials.fake))
    n_resamples = np.array([_min_cllr(*pair) for pair in zip(np.atleast_2d(real), np.atleast_2d(fake), strict=True)])
    return n_resamples.reshape(real.shape[:-1])


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
    starts = distinct_starts(trials.scores)
    real, fake = np.add.reduceat(real, starts), np.add.reduceat(fake, starts)
    levels = len(isotonic_regression(real / (real + fake), weights=real + fake).blocks) - 1
    per_class = 2 / (1 / trials.real.sum() + 1 / trials.fake.sum())
    return float(levels / (2 * np.log(2) * per_class))


def min_t_dcf(rates: Rates, asv: AsvScores) -> Array:
    """The smallest normalized cost of a detector in front of a given speaker-verification system, ASV-constrained.

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
    at = trials.scores[max(int(nearest_point(error_rates(trials))[0]) - 1, 0)]
    missed, alarms, spoofs = (asv.target < at).mean(), (asv.nontarget >= at).mean(), (asv.spoof >= at).mean()
    always = P_TARGET * C_MISS * missed + P_NONTARGET * C_FA * alarms
    miss, alarm = P_TARGET * C_MISS - always, P_SPOOF * C_FA_SPOOF * spoofs
    if miss <= 0 or alarm <= 0:
        raise InputError("the speaker-verification scores accept no spoofed or no target speech: a t-DCF says nothing")
    norm = always + min(miss, alarm)
    return float(always / norm), float(miss / norm), float(alarm / norm)


def min_a_dcf(asv: AsvScores) -> float:
    """The smallest normalized cost of a system that verifies speakers and rejects spoofed speech with one score.

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
    target, nontarget, spoof = (check_scores(scores, kind) for scores, kind in zip(asv, AsvScores._fields, strict=True))
    thresholds = np.concatenate([[-np.inf], np.unique(np.concatenate([target, nontarget, spoof]))])
    missed = np.searchsorted(np.sort(target), thresholds, side="right") / len(target)
    alarms, spoofs = (
        1 - np.searchsorted(np.sort(scores), thresholds, side="right") / len(scores) for scores in (nontarget, spoof)
    )
    miss, alarm, spoofed = P_TARGET * C_MISS, P_NONTARGET * C_FA, P_SPOOF * C_FA_SPOOF
    cost = miss * missed + alarm * alarms + spoofed * spoofs
    return float(cost.min() / min(miss, alarm + spoofed))


class Reliability(NamedTuple):
    """How often what is stated with a probability is true, by bins of the stated probability; shape [bins].

    Empty bins are left out. Both classes weigh one half, so the probabilities are those of equal priors.
    """

    stated: Array
    """Mean stated probability of being real."""
    observed: Array
    """Fraction that is real."""
    weight: Array
    """Fraction of all utterances; the sum is 1."""


def reliability(real: ArrayLike, fake: ArrayLike, n_bins: int = 10) -> Reliability:
    """Compare stated probabilities with observed fractions.

    Arguments
    ---------
    real, fake : array of float
        Natural log-likelihood ratios of bona fide and of spoofed utterances.
    n_bins : int
        Bins of equal width between probabilities of 0 and 1; ten, as usual for a reliability diagram.

    Returns
    -------
    Reliability

    Example
    -------
    >>> stated, observed, weight = reliability(real=[9.0, 9.0, 9.0, -9.0], fake=[-9.0, -9.0, -9.0, 9.0])
    >>> observed.tolist(), weight.tolist()  # a detector that is certain, and wrong in one of four cases
    ([0.25, 0.75], [0.5, 0.5])
    """
    edges = np.linspace(0, 1, n_bins + 1)
    counts, sums = [], []
    for ratios in (real, fake):
        probability = expit(np.asarray(ratios, dtype=np.float64))
        bins = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, n_bins - 1)
        counts.append(np.bincount(bins, minlength=n_bins) / (2 * len(probability)))
        sums.append(np.bincount(bins, probability, minlength=n_bins) / (2 * len(probability)))
    weight = counts[0] + counts[1]
    present = weight > 0
    weight, stated, of_real = weight[present], (sums[0] + sums[1])[present], counts[0][present]
    return Reliability(stated / weight, of_real / weight, weight)
