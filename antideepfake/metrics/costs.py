"""Costs of a detector: detection costs of the ASVspoof challenges, and the cost of log-likelihood ratios.

As in :mod:`antideepfake.metrics.rates`, the functions return one number per resample for trials with counts of shape
[n_resamples, scores].
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from antideepfake.errors import InputError
from antideepfake.metrics.rates import (
    Array,
    Rates,
    Trials,
    check_scores,
    count_by_score,
    error_rates,
    nearest_point,
    sort_trials,
)

# ASVspoof 5, track 1 (evaluation plan): prior of spoofed speech, cost of a false rejection and of a false acceptance.
P_SPOOF, C_MISS, C_FA = 0.05, 1.0, 10.0
# The optimal threshold for these costs, as a natural log-likelihood ratio: -0.6419.
ACT_DCF_THRESHOLD = float(np.log(C_FA * P_SPOOF / (C_MISS * (1 - P_SPOOF))))
# Weights of the false rejection and the false acceptance rate in the normalized cost.
DCF_WEIGHTS = (
    C_MISS * (1 - P_SPOOF) / min(C_MISS * (1 - P_SPOOF), C_FA * P_SPOOF),
    C_FA * P_SPOOF / min(C_MISS * (1 - P_SPOOF), C_FA * P_SPOOF),
)
# Parameters of the t-DCF of ASVspoof 2021 (Kinnunen et al. 2020) and of the a-DCF of ASVspoof 5, track 2.
P_TARGET, P_NONTARGET, C_FA_SPOOF = 0.9405, 0.0095, 10.0


class AsvScores(NamedTuple):
    """Scores of a speaker-verification system, by type of trial."""

    target: Array
    nontarget: Array
    spoof: Array


def min_dcf(rates: Rates) -> Array:
    """Compute the minimum detection cost over all thresholds, normalized as in ASVspoof 5.

    The cost is the minimum over t of ``c_miss (1 - p_spoof) P_miss(t) + c_fa p_spoof P_fa(t)``, divided by the smaller
    of the two weights, so that a detector with a constant decision has a cost of 1. A false rejection costs 1, a false
    acceptance 10, and the prior of spoofed speech is 0.05.

    Arguments
    ---------
    rates : Rates
        Error rates, as :func:`error_rates` returns them.

    Returns
    -------
    array
        The normalized cost, shape [...].

    Example
    -------
    >>> float(min_dcf(error_rates(sort_trials(real=[2.0, 3.0], fake=[0.0, 1.0]))))
    0.0
    """
    miss, alarm = C_MISS * (1 - P_SPOOF), C_FA * P_SPOOF
    return (miss * rates.false_rejection + alarm * rates.false_acceptance).min(-1) / min(miss, alarm)


def act_dcf(trials: Trials) -> Array:
    """Compute the actual detection cost: that of :func:`min_dcf` at the optimal threshold of calibrated scores.

    The threshold is ``ln(c_fa p_spoof / (c_miss (1 - p_spoof)))``, -0.6419 for ASVspoof 5. As there, a score at the
    threshold counts as real. Uncalibrated scores increase the cost.

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
    """Compute the cost of log-likelihood ratios (Brümmer and du Preez 2006) in bits: 0 = perfect, 1 = uninformative.

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
    """Compute :func:`cllr` after the best monotone calibration on the same scores (pool adjacent violators).

    Example
    -------
    >>> float(min_cllr(sort_trials(real=[5.0, 6.0], fake=[1.0, 2.0])))
    0.0
    """
    from scipy.optimize import isotonic_regression  # slow to import, and scoring does without
    from scipy.special import xlogy

    counts = count_by_score(trials)
    # Both classes have a weight of one half, whatever their sizes.
    real, fake = (np.atleast_2d(count / count.sum(-1, keepdims=True)) for count in counts)
    rows, columns = np.nonzero(real + fake)
    real, fake = real[rows, columns], fake[rows, columns]
    # One fit for all resamples: each lies above the one before, so that no block extends from one to the next.
    blocks = isotonic_regression(2 * rows + real / (real + fake), weights=real + fake).blocks[:-1]
    real, fake = (np.add.reduceat(weights, blocks) for weights in (real, fake))
    posterior = real / (real + fake)
    # A block with utterances of one class has a posterior of 0 or 1 and costs nothing: xlogy(0, 0) is 0.
    nats = np.bincount(rows[blocks], xlogy(real, posterior) + xlogy(fake, 1 - posterior), counts[0][..., 0].size)
    return (0.0 - nats / (2 * np.log(2))).reshape(counts[0].shape[:-1])  # 0.0 - x avoids a negative zero


def min_cllr_bias(trials: Trials) -> float:
    """Estimate the bias of :func:`min_cllr`, which is too low because the calibration is fitted on the same scores.

    Each level of the fitted step function is a fitted parameter, which lowers the sum over the utterances by half a nat
    to a nat. This function assumes one nat (Meyer and Woodroofe 2000 count the levels as degrees of freedom).

    Returns
    -------
    float
        The bias in bits, to be added to :func:`min_cllr`.

    Example
    -------
    >>> rng = np.random.default_rng(1)
    >>> round(min_cllr_bias(sort_trials(rng.normal(2, 1, 200), rng.normal(0, 1, 200))), 3)
    0.043
    """
    from scipy.optimize import isotonic_regression

    real, fake = count_by_score(trials)
    # The weights of the classes do not change which scores share a level.
    levels = len(isotonic_regression(real / (real + fake), weights=real + fake).blocks) - 1
    per_class = 2 / (1 / trials.real.sum() + 1 / trials.fake.sum())
    return float(levels / (2 * np.log(2) * per_class))


def min_t_dcf(rates: Rates, asv: AsvScores) -> Array:
    """Compute the minimum ASV-constrained t-DCF of a detector in front of a given speaker-verification system.

    The normalized cost is that of Kinnunen et al. 2020, "Tandem assessment of spoofing countermeasures and automatic
    speaker verification", with the parameters of ASVspoof 2021. The threshold of the verification system is that of its
    equal error rate.

    Arguments
    ---------
    rates : Rates
        Error rates of the detector.
    asv : AsvScores
        Scores of the verification system.

    Returns
    -------
    array
        The normalized cost, shape [...].

    Example
    -------
    >>> asv = AsvScores(np.array([2.0, 3.0]), np.array([-2.0, -1.0]), np.array([1.5, 2.5]))
    >>> rates = error_rates(sort_trials(real=[2.0, 3.0], fake=[0.0, 1.0]))
    >>> round(float(min_t_dcf(rates, asv)), 3)  # the errors of the verification system alone
    0.087
    """
    always, miss, alarm = t_dcf_weights(asv)
    return always + (miss * rates.false_rejection + alarm * rates.false_acceptance).min(-1)


def t_dcf_weights(asv: AsvScores) -> tuple[float, float, float]:
    """Return the constant and the weights of both error rates in the normalized t-DCF.

    Raises
    ------
    InputError
        If the verification system accepts no spoofed or no target speech.

    Example
    -------
    >>> asv = AsvScores(np.array([2.0, 3.0]), np.array([-2.0, -1.0]), np.array([1.5, 2.5]))
    >>> [round(weight, 3) for weight in t_dcf_weights(asv)]
    [0.087, 1.631, 0.913]
    """
    trials = sort_trials(asv.target, asv.nontarget)
    # As in ASVspoof's evaluation package: the threshold is the highest rejected score, but scores at it are accepted.
    # At least one score is rejected, because the error rates are farthest apart where none is.
    at = trials.scores[int(nearest_point(error_rates(trials))[0]) - 1]
    missed, alarms, spoofs = (asv.target < at).mean(), (asv.nontarget >= at).mean(), (asv.spoof >= at).mean()
    always = P_TARGET * C_MISS * missed + P_NONTARGET * C_FA * alarms
    miss, alarm = P_TARGET * C_MISS - always, P_SPOOF * C_FA_SPOOF * spoofs
    if miss <= 0 or alarm <= 0:
        raise InputError(
            "the speaker-verification system accepts no spoofed or no target speech, so the t-DCF is undefined; "
            "check the labels of its scores"
        )
    norm = always + min(miss, alarm)
    return float(always / norm), float(miss / norm), float(alarm / norm)


def min_a_dcf(asv: AsvScores) -> float:
    """Compute the minimum a-DCF of a system that verifies speakers and rejects spoofed speech with one score.

    The normalized cost is that of Shim et al. 2024, "a-DCF: an architecture agnostic metric with application to
    spoofing-robust speaker verification", with the parameters of ASVspoof 5, track 2.

    Arguments
    ---------
    asv : AsvScores
        Scores of the system.

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
    """Predicted probabilities and observed fractions of bona fide utterances, by bin; shape [bins].

    Empty bins are omitted. Both classes have a weight of one half, so the probabilities are those of equal priors.
    """

    stated: Array
    """Mean stated probability of the class real."""
    observed: Array
    """Fraction of bona fide utterances."""
    weight: Array
    """Fraction of all utterances; the sum is 1."""


def reliability(real: ArrayLike, fake: ArrayLike, n_bins: int = 10) -> Reliability:
    """Compute the data of a reliability diagram: stated probabilities and observed fractions.

    Arguments
    ---------
    real, fake : array of float
        Natural log-likelihood ratios of bona fide and of spoofed utterances.
    n_bins : int
        Number of bins of equal width between probabilities of 0 and 1.

    Returns
    -------
    Reliability

    Example
    -------
    >>> stated, observed, weight = reliability(real=[9.0, 9.0, 9.0, -9.0], fake=[-9.0, -9.0, -9.0, 9.0])
    >>> observed.tolist(), weight.tolist()  # an overconfident detector, wrong in one of four cases
    ([0.25, 0.75], [0.5, 0.5])
    """
    from scipy.special import expit

    inner_edges = np.linspace(0, 1, n_bins + 1)[1:-1]
    counts, sums = [], []
    for ratios in (real, fake):
        probability = expit(np.asarray(ratios, dtype=np.float64))
        bins = np.searchsorted(inner_edges, probability, side="right")
        counts.append(np.bincount(bins, minlength=n_bins) / (2 * len(probability)))
        sums.append(np.bincount(bins, probability, minlength=n_bins) / (2 * len(probability)))
    weight = counts[0] + counts[1]
    present = weight > 0
    weight, stated, of_real = weight[present], (sums[0] + sums[1])[present], counts[0][present]
    return Reliability(stated / weight, of_real / weight, weight)
