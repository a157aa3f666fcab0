"""Source tracing on generated embeddings: the right system, none of these, metrics worked out by hand."""

import numpy as np
import pytest

from antideepfake.errors import InputError
from antideepfake.evaluation.tracing import (
    NONE,
    choose_systems,
    compute_tracing_metrics,
    fit_source_classifier,
    fit_source_tracer,
)

SIZE = 8


@pytest.fixture
def clouds(rng):
    """Embeddings of four systems, 40 utterances each; within a system, one axis varies ten times as much."""
    centers = 12 * np.eye(SIZE)[:4]
    noise = rng.normal(size=(4, 40, SIZE)) * np.r_[np.ones(SIZE - 1), 10]
    return centers[:, None] + noise


def fit(clouds, **options):
    known = clouds[:3, :20]
    return fit_source_tracer(known.reshape(-1, SIZE), np.repeat(["a", "b", "c"], 20).tolist(), **options)


def test_new_recordings_of_known_systems_are_named_and_others_are_not(clouds):
    tracer = fit(clouds)
    new = clouds[:, 20:]
    similarities = tracer.measure_similarities(new.reshape(-1, SIZE))
    assert similarities.shape == (80, 3) and np.abs(similarities).max() <= 1 + 1e-6
    named = np.array(choose_systems(tracer, similarities)).reshape(4, 20)
    assert [np.mean(row == name) for row, name in zip(named, ("a", "b", "c", NONE), strict=True)] >= [0.8] * 4
    assert np.mean(named[3] == NONE) > 0.9


@pytest.mark.parametrize("count", [2, 3])
def test_a_trained_classifier_names_systems(clouds, count):
    known = clouds[:count, :20].reshape(-1, SIZE)
    classifier = fit_source_classifier(known, np.repeat(["a", "b", "c"][:count], 20).tolist())
    similarities = classifier.measure_similarities(clouds[:count, 20:].reshape(-1, SIZE))
    np.testing.assert_allclose(similarities.sum(1), 1, atol=1e-5)
    named = np.array(choose_systems(classifier, similarities)).reshape(count, 20)
    assert [np.mean(row == name) for row, name in zip(named, "abc"[:count], strict=True)] >= [0.8] * count


def test_the_threshold_of_a_classifier_holds_for_speakers_that_it_does_not_know(clouds):
    twins = np.repeat(clouds[:3, :10], 2, axis=1).reshape(-1, SIZE)
    systems = np.repeat(["a", "b", "c"], 20).tolist()
    speakers = np.repeat(np.arange(30), 2).astype(str)
    apart = fit_source_classifier(twins, systems, 0.2, clusters=speakers)
    assert apart.threshold < fit_source_classifier(twins, systems, 0.2).threshold
    with pytest.raises(InputError, match="all utterances are of one speaker"):
        fit_source_classifier(twins, systems, clusters=["one"] * 60)
    with pytest.raises(InputError, match="a fold of the cross-validation lacks all but one system"):
        fit_source_classifier(twins, systems, clusters=np.repeat(["x", "y", "z"], 20).tolist()[:40] + ["y"] * 20)


def test_the_scale_of_the_embeddings_does_not_matter(clouds):
    new = clouds[:, 20:].reshape(-1, SIZE)
    scales = np.geomspace(0.01, 100, SIZE)
    found = fit(clouds * scales).measure_similarities(new * scales)
    np.testing.assert_allclose(found, fit(clouds).measure_similarities(new), atol=1e-4)


def test_constant_dimensions_and_many_dimensions_are_handled(clouds, rng):
    wide = np.concatenate([clouds, np.ones((4, 40, 1)), 1e-3 * rng.normal(size=(4, 40, 300))], axis=2)
    tracer = fit_source_tracer(wide[:3, :20].reshape(60, -1), np.repeat(["a", "b", "c"], 20).tolist())
    named = choose_systems(tracer, tracer.measure_similarities(wide[0, 20:]))
    assert np.mean(np.array(named) == "a") > 0.5


def test_the_rejected_fraction_sets_the_threshold(clouds):
    thresholds = [fit(clouds, rejected=rejected).threshold for rejected in (0.0, 0.05, 0.5)]
    assert thresholds == sorted(thresholds) and thresholds[0] < thresholds[2]


def test_neighbors_of_the_same_speaker_do_not_count_for_the_threshold(clouds):
    twins = np.repeat(clouds[:3, :10], 2, axis=1).reshape(-1, SIZE)  # every utterance is there twice
    systems = np.repeat(["a", "b", "c"], 20).tolist()
    speakers = np.repeat(np.arange(30), 2).astype(str)
    with_twins = fit_source_tracer(twins, systems, 1).threshold
    assert with_twins == pytest.approx(1, abs=1e-5)
    assert fit_source_tracer(twins, systems, 1, clusters=speakers).threshold < 0.99


def test_a_system_with_few_utterances_is_compared_with_all_of_them(clouds):
    values = np.concatenate([clouds[0, :20], clouds[1, :2]])
    tracer = fit_source_tracer(values, ["a"] * 20 + ["b"] * 2)
    assert np.isfinite(tracer.measure_similarities(clouds[1, 2:])).all()


def test_metrics_of_a_case_worked_out_by_hand():
    true = ["a", "a", "a", "b", "x", "y"]
    named = ["a", "a", "b", "b", NONE, "b"]
    similarities = np.array([[0.9, 0], [0.8, 0], [0, 0.3], [0, 0.7], [0, 0.2], [0, 0.5]])
    table, summary = compute_tracing_metrics(true, named, similarities, ["a", "b", "c"])
    assert table["system"].tolist() == ["a", "b", NONE] and table["recordings"].tolist() == [3, 1, 2]
    np.testing.assert_allclose(table["precision"], [1, 1 / 3, 1])
    np.testing.assert_allclose(table["recall"], [2 / 3, 1, 1 / 2])
    np.testing.assert_allclose(table["f1"], [0.8, 0.5, 2 / 3])
    assert summary["accuracy"] == pytest.approx(4 / 6)
    assert summary["f1_known"] == pytest.approx(0.65) and summary["f1_unknown"] == pytest.approx(2 / 3)
    assert summary["auc_unknown"] == pytest.approx(7 / 8)  # of 4 x 2 pairs, only 0.3 < 0.5 is in the wrong order


def test_metrics_without_unknown_systems_are_nan():
    _, summary = compute_tracing_metrics(["a"], ["a"], np.array([[0.9, 0.1]]), ["a", "b"])
    assert summary["accuracy"] == 1 and np.isnan([summary["f1_unknown"], summary["auc_unknown"]]).all()


@pytest.mark.parametrize(
    ("values", "systems", "options", "told"),
    [
        (np.eye(4), ["a"] * 4, {}, "use at least two systems"),
        (np.eye(4), ["a", "b", "c", "d"], {}, "two utterances each"),
        (np.full((4, 2), np.nan), ["a", "a", "b", "b"], {}, "not finite"),
        (np.ones((4, 2)), ["a", "a", "b", "b"], {}, "all embeddings are equal"),
        (np.eye(4), ["a", "a", "b", "b"], {"rejected": 1.0}, "from 0 to below 1"),
        (np.eye(4), ["a", "a", "b", "b"], {"n_neighbors": 0}, "at least 1"),
        (np.eye(4), ["a", "a", "b", "b"], {"clusters": ["ann"] * 4}, "all utterances are of one speaker"),
    ],
)
def test_unusable_references_are_refused(values, systems, options, told):
    with pytest.raises(InputError, match=told):
        fit_source_tracer(values, systems, **options)
