"""Bootstrap intervals and the paired test."""

import numpy as np
import pytest
from scipy.stats import binom

from antideepfake.metrics import bootstrap
from antideepfake.metrics.bootstrap import (
    Estimate,
    add_intervals,
    area_interval,
    clopper_pearson,
    compare_systems,
    count_clusters,
    estimate,
    exact_fraction,
    number_clusters,
)
from antideepfake.metrics.costs import DCF_WEIGHTS
from antideepfake.metrics.rates import Trials, equal_error_rate, error_rates, nearest_point, sort_trials
from antideepfake.metrics.summary import compute_metrics


def metrics(trials):
    return compute_metrics(trials, threshold=1.0)


def make_scores(rng, count, distance=2.0):
    is_real = np.arange(count) < count // 3
    return rng.normal(0, 1, count) + distance * is_real, is_real


def naive_interval(scores, is_real, rng, n_resamples):
    """Resample utterances one by one."""
    real, fake = scores[is_real], scores[~is_real]
    rates = [
        float(equal_error_rate(error_rates(sort_trials(rng.choice(real, len(real)), rng.choice(fake, len(fake)))))[0])
        for _ in range(n_resamples)
    ]
    return np.quantile(rates, [0.025, 0.975])


def test_interval_matches_naive_resampling():
    rng = np.random.default_rng(1)
    scores, is_real = make_scores(rng, 300)
    low, high = naive_interval(scores, is_real, rng, 1500)
    eer = estimate(metrics, scores, is_real, rng, n_resamples=1500)["eer"]
    assert eer.low == pytest.approx(low, abs=0.01)
    assert eer.high == pytest.approx(high, abs=0.01)


def test_bins_leave_the_value_exact_and_the_interval_close(monkeypatch):
    rng = np.random.default_rng(1)
    scores, is_real = make_scores(rng, 600)
    exact = compute_metrics(sort_trials(scores[is_real], scores[~is_real]), threshold=1.0)
    fine = estimate(metrics, scores, is_real, np.random.default_rng(2), [1.0])
    monkeypatch.setattr(bootstrap, "BINS", 100)
    coarse = estimate(metrics, scores, is_real, np.random.default_rng(2), [1.0])
    for name, (value, low, high) in coarse.items():
        assert value == fine[name].value == exact[name]
        width = fine[name].high - fine[name].low
        assert abs(low - fine[name].low) < 0.2 * width + 1e-9, name
        assert abs(high - fine[name].high) < 0.2 * width + 1e-9, name


def test_intervals_cover_the_truth_at_the_confidence_level():
    truth = 0.1586552539  # of two normal distributions two standard deviations apart: the normal integral at -1
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(120):
        scores, is_real = make_scores(rng, 240)
        eer = estimate(metrics, scores, is_real, rng, n_resamples=300)["eer"]
        inside += eer.low <= truth <= eer.high
    assert 0.88 * 120 <= inside <= 120


def test_clusters_widen_the_interval():
    rng = np.random.default_rng(1)
    speakers = np.repeat(np.arange(40), 50)
    is_real = speakers % 2 == 0
    scores = rng.normal(0, 1, 2000) + 3 * is_real + np.repeat(rng.normal(0, 1, 40), 50)
    alone = estimate(metrics, scores, is_real, np.random.default_rng(1))["roc_auc"]
    together = estimate(metrics, scores, is_real, np.random.default_rng(1), clusters=speakers)["roc_auc"]
    assert together.high - together.low > 2 * (alone.high - alone.low)


@pytest.mark.parametrize(("count", "quantile"), [(1, 12.7062), (2, 12.7062), (5, 2.77645)])
def test_few_clusters_widen_the_interval_by_student_and_by_the_unbiased_variance(count, quantile):
    # Student's t at 0.975 for one degree of freedom less than clusters, at least 1; the normal quantile is 1.95996
    clusters, is_real = np.arange(3 * count), np.arange(3 * count) < count
    count = max(count, 2)
    expected = quantile / 1.95996 * np.sqrt(count / (count - 1))
    assert bootstrap._widen(clusters, is_real, 0.95) == pytest.approx(expected, rel=1e-5)


def test_intervals_do_not_depend_on_the_number_of_resamples_in_memory(monkeypatch):
    scores, is_real = make_scores(np.random.default_rng(1), 60)
    sizes, found = [], []

    def measure(trials):
        sizes.append(trials.real.shape[0] if trials.real.ndim == 2 else 0)
        return metrics(trials)

    for numbers in (4_000_000, 60 * 7):
        monkeypatch.setattr(bootstrap, "NUMBERS", numbers)
        rng = np.random.default_rng(1)
        found.append(estimate(measure, scores, is_real, rng, clusters=np.arange(60), n_resamples=20)["roc_auc"])
    assert found[0] == found[1]
    assert [size for size in sizes if size] == [20, 7, 7, 6]


def test_interval_is_finite_with_clusters_of_a_single_class():
    scores, is_real = np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, False, True, True])
    found = estimate(metrics, scores, is_real, np.random.default_rng(1), clusters=np.array(["a", "b", "c", "c"]))
    assert all(np.isfinite(found["eer"]))


def test_same_seed_same_interval():
    scores, is_real = make_scores(np.random.default_rng(1), 200)
    first, second = (estimate(metrics, scores, is_real, np.random.default_rng(7))["eer"] for _ in range(2))
    assert first == second


def test_paired_test_is_more_sensitive_than_intervals():
    rng = np.random.default_rng(1)
    scores, is_real = make_scores(rng, 600, 1.5)
    better = scores + 0.25 * is_real + rng.normal(0, 0.1, 600)
    first, second = (estimate(metrics, values, is_real, rng)["roc_auc"] for values in (scores, better))
    assert first.high > second.low  # apart, chance could explain it
    compared = compare_systems(metrics, scores, better, is_real, rng)["roc_auc"]
    assert compared.low > 0 and compared.p_value < 0.05
    assert compared.difference == pytest.approx(second.value - first.value)
    backwards = compare_systems(metrics, better, scores, is_real, rng)["roc_auc"]
    assert backwards.difference == pytest.approx(-compared.difference)


def test_the_smallest_p_value_is_that_of_no_resample_on_the_other_side():
    scores, is_real = make_scores(np.random.default_rng(1), 300, distance=1.0)
    compared = compare_systems(metrics, scores, scores + 3 * is_real, is_real, np.random.default_rng(1), n_resamples=99)
    assert compared["roc_auc"].p_value == compared["eer"].p_value == 2 / 100


def test_a_system_does_not_differ_from_itself():
    scores, is_real = make_scores(np.random.default_rng(1), 200)
    same = compare_systems(metrics, scores, scores.copy(), is_real, np.random.default_rng(1))["eer"]
    assert (same.difference, same.low, same.high, same.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_bins_keep_scores_at_the_threshold_on_the_accepted_side(monkeypatch):
    """Guards against rounding of a bin's mean that moves its utterances across the threshold."""
    monkeypatch.setattr(bootstrap, "BINS", 4)
    threshold = 0.1
    scores = np.concatenate([np.full(30, threshold), np.full(30, np.nextafter(threshold, 0)), [-1.0, 1.0]])
    is_real = np.arange(62) % 2 == 0
    binned = bootstrap._put_into_bins(scores, is_real, [threshold], 4)
    assert ((binned.scores[binned.bins] >= threshold) == (scores >= threshold)).all()


def test_bins_have_nearly_equal_sizes_and_end_at_thresholds():
    scores, is_real = np.arange(10.0)[::-1], np.arange(10) < 5
    binned = bootstrap._put_into_bins(scores, is_real, [], 4)
    assert binned.bins.tolist() == [3, 3, 3, 2, 2, 1, 1, 1, 0, 0]
    assert binned.scores.tolist() == [0.5, 3.0, 5.5, 8.0]
    binned = bootstrap._put_into_bins(scores, is_real, [-1.0, 5.5, 10.0], 4)  # one between the scores 5 and 6
    assert binned.scores.tolist() == [0.5, 3.0, 5.0, 6.0, 8.0]


def test_bins_keep_bona_fide_first_among_equal_scores():
    binned = bootstrap._put_into_bins(np.zeros(4), np.array([False, True, False, True]), [], 2)
    assert binned.bins.tolist() == [2, 0, 3, 1]


def test_bins_are_small_where_resamples_have_their_best_thresholds():
    rng = np.random.default_rng(1)
    scores, is_real = make_scores(rng, 30_000)
    binned = bootstrap._put_into_bins(scores, is_real, [], 100)
    sizes = np.bincount(binned.bins)
    best = bootstrap._find_best(is_real[np.argsort(scores)])
    near = np.unique(binned.bins[np.argsort(scores)][best])
    assert 190 <= len(sizes) <= 201 and len(near) >= 100
    assert sizes.max() <= 300 and np.median(sizes[near]) <= len(best) // 100 + 1


@pytest.mark.parametrize(("distance", "share"), [(2.0, 0.5), (3.5, 0.1)])
def test_every_resample_has_its_best_thresholds_where_they_are_sought(distance, share):
    rng = np.random.default_rng(1)
    is_real = rng.random(5000) < share
    scores = rng.normal(0, 1, 5000) + distance * is_real
    scores, is_real = np.sort(scores), is_real[np.argsort(scores)]
    best = set(bootstrap._find_best(is_real).tolist())
    for _ in range(50):
        real = rng.multinomial(is_real.sum(), is_real / is_real.sum())
        fake = rng.multinomial((~is_real).sum(), ~is_real / (~is_real).sum())
        rates = error_rates(Trials(scores, real.astype(float), fake.astype(float)))
        assert int(nearest_point(rates)[0]) in best
        cost = DCF_WEIGHTS[0] * rates.false_rejection + DCF_WEIGHTS[1] * rates.false_acceptance
        assert int(cost.argmin()) in best


def test_every_unknown_value_is_a_cluster_of_its_own():
    numbers = number_clusters(["ann", "-", "bob", "", "ann", float("nan")])
    assert numbers.tolist() == [0, 2, 1, 3, 0, 4]


def test_clusters_are_counted_in_the_class_with_fewer():
    clusters, is_real = np.array([0, 1, 2, 2, 2]), np.array([True, True, True, False, False])
    assert count_clusters(clusters, is_real) == count_clusters(clusters, ~is_real) == 1


@pytest.mark.parametrize("confidence_level", [0.95, 0.8])
def test_exact_bounds_leave_half_of_the_error_in_each_tail(confidence_level):
    hits, tail = np.arange(11), (1 - confidence_level) / 2
    low, high = clopper_pearson(hits, 10, confidence_level)
    assert low[0] == 0.0 and high[-1] == 1.0
    assert binom.sf(hits[1:] - 1, 10, low[1:]) == pytest.approx(tail)  # as many hits or more
    assert binom.cdf(hits[:-1], 10, high[:-1]) == pytest.approx(tail)  # as many hits or fewer


def test_an_exact_fraction_has_its_value_and_its_bounds():
    fraction = exact_fraction(3, 4)
    assert fraction.value == 0.75
    assert fraction[1:] == pytest.approx([float(bound) for bound in clopper_pearson(3, 4)])
    assert np.isnan(exact_fraction(0, 0)).all()


def test_intervals_add_by_squares():
    # below: 0.3 and 0.4 make 0.5; above: 0.6 and 0.8 make 1
    assert add_intervals(Estimate(3.0, 2.7, 3.6), Estimate(2.0, 1.6, 2.8)) == pytest.approx((4.5, 6.0))
    # weighted, below: 0.6 and 0.8 make 1; above: 1.2 and 1.6 make 2
    weighted = add_intervals(Estimate(3.0, 2.7, 3.6), Estimate(2.0, 0.4, 5.2), weights=(2.0, 0.5))
    assert weighted == pytest.approx((6.0, 9.0))


@pytest.mark.parametrize("area", [0.0, 0.3, 0.9, 1.0])
def test_bounds_of_an_area_are_as_many_deviations_away_as_stated(area):
    real, fake = 10, 30
    low, high = area_interval(area, real, fake, confidence_level=0.9)
    assert low == 0.0 if area == 0.0 else 0.0 < low < area
    assert high == 1.0 if area == 1.0 else area < high < 1.0
    for bound in {low, high} - {0.0, 1.0}:
        # the variance of Hanley and McNeil 1982, with the mean class size for both classes
        both = bound / (2 - bound) + 2 * bound**2 / (1 + bound) - 2 * bound**2
        variance = (bound * (1 - bound) + ((real + fake) / 2 - 1) * both) / (real * fake)
        assert abs(bound - area) == pytest.approx(1.6448536 * np.sqrt(variance))
    assert area_interval(1 - area, real, fake, confidence_level=0.9) == pytest.approx((1 - high, 1 - low))
