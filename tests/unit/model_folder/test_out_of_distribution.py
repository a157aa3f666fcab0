"""Far recordings."""

import numpy as np
import pytest
import safetensors.numpy

from antideepfake.errors import InputError
from antideepfake.model_folder.out_of_distribution import fit_ood_detector, read_ood_detector


def test_the_requested_fraction_is_out_of_distribution():
    rng = np.random.default_rng(1)
    mix = rng.standard_normal((8, 8))
    ood_detector = fit_ood_detector(rng.standard_normal((2000, 8)) @ mix, fraction=0.05)
    fresh = rng.standard_normal((4000, 8)) @ mix
    assert ood_detector.is_ood(fresh).mean() == pytest.approx(0.05, abs=0.015)
    assert ood_detector.is_ood(fresh + 5 * mix[0]).mean() > 0.5
    assert np.sqrt(np.mean(ood_detector.distance(fresh) ** 2)) == pytest.approx(1, abs=0.05)


def test_narrow_directions_count():
    rng = np.random.default_rng(1)
    ood_detector = fit_ood_detector(rng.standard_normal((1000, 2)) * [100, 0.1])
    assert ood_detector.is_ood(np.array([[150.0, 0.0], [0.0, 50.0]])).tolist() == [False, True]


def test_fewer_utterances_than_dimensions():
    rng = np.random.default_rng(1)
    ood_detector = fit_ood_detector(rng.standard_normal((60, 200)), fraction=0.1)
    assert ood_detector.is_ood(rng.standard_normal((500, 200))).mean() == pytest.approx(0.1, abs=0.12)
    assert ood_detector.is_ood(5 * rng.standard_normal((50, 200))).all()


def test_shrinkage_is_that_of_ledoit_and_wolf():
    rng = np.random.default_rng(1)
    values = rng.standard_normal((40, 5)) * [1, 2, 3, 4, 5]
    centered = values - values.mean(0)
    covariance = centered.T @ centered / 40
    target = np.trace(covariance) / 5 * np.eye(5)
    noise = np.mean([np.sum((np.outer(row, row) - covariance) ** 2) for row in centered]) / 40
    part = min(1.0, noise / np.sum((covariance - target) ** 2))
    expected = np.linalg.inv((1 - part) * covariance + part * target)
    whiten = fit_ood_detector(values).whiten.astype(float)
    np.testing.assert_allclose(whiten @ whiten.T, expected, rtol=1e-4, atol=1e-7)


def test_ood_detector_survives_a_round_trip(tmp_path):
    ood_detector = fit_ood_detector(np.random.default_rng(1).standard_normal((50, 3)))
    ood_detector.save(tmp_path / "t.safetensors")
    again = read_ood_detector(tmp_path / "t.safetensors")
    assert again.limit == pytest.approx(ood_detector.limit) and np.array_equal(again.whiten, ood_detector.whiten)
    assert read_ood_detector(tmp_path / "none.safetensors") is None


def test_damaged_files_and_invalid_arguments_are_errors(tmp_path):
    path = tmp_path / "t.safetensors"
    path.write_bytes(b"no tensors")
    with pytest.raises(InputError, match="fit it again or delete it"):
        read_ood_detector(path)
    right = {"mean": np.zeros(3, np.float32), "whiten": np.eye(3, dtype=np.float32), "limit": np.ones(1, np.float32)}
    wrong = [
        {"whiten": np.eye(2, dtype=np.float32)},
        {"mean": np.zeros((), np.float32), "whiten": np.eye(1, dtype=np.float32)},
        {"mean": np.zeros((3, 1), np.float32)},
        {"mean": np.zeros(3, np.int64)},
        {"limit": np.zeros(0, np.float32)},
        {"limit": np.full(1, np.nan, np.float32)},
        {"further": np.zeros(1, np.float32)},
    ]
    for change in wrong:
        safetensors.numpy.save_file(right | change, path)
        with pytest.raises(InputError, match="shapes or values"):
            read_ood_detector(path)
    with pytest.raises(InputError, match="too few"):
        fit_ood_detector(np.eye(5))
    with pytest.raises(InputError, match="between 0 and 1"):
        fit_ood_detector(np.eye(30), fraction=1.0)


def make_speakers(rng, count=20, utterances=40, dimensions=16):
    voices = np.repeat(rng.standard_normal((count, dimensions)), utterances, axis=0)
    return voices + rng.standard_normal(voices.shape), np.repeat(np.arange(count), utterances)


def test_new_speakers_are_not_out_of_distribution():
    """Guards against a limit that only the speakers of the fit keep."""
    rng = np.random.default_rng(1)
    by_speaker, by_utterance = [], []
    for _ in range(10):
        (known, speakers), (new, _) = make_speakers(rng), make_speakers(rng)
        by_speaker.append(fit_ood_detector(known, 0.05, speakers).is_ood(new).mean())
        by_utterance.append(fit_ood_detector(known, 0.05).is_ood(new).mean())
    assert np.mean(by_speaker) < 0.1 < np.mean(by_utterance)


def test_invalid_embeddings_are_errors():
    rng = np.random.default_rng(1)
    good = rng.standard_normal((50, 3))
    with pytest.raises(InputError, match="not finite"):
        fit_ood_detector(np.where(np.arange(50)[:, None] == 3, np.nan, good))
    with pytest.raises(InputError, match="all embeddings are equal"):
        fit_ood_detector(np.ones((50, 3)))
    with pytest.raises(InputError, match="of one speaker"):
        fit_ood_detector(good, clusters=np.zeros(50))
