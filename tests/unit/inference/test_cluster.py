"""Scoring on a cluster: what the workers get, and the order of what they give back. See also test_dask.py."""

import numpy as np
import pytest
import soundfile

from antideepfake.audio.recording import Recording
from antideepfake.inference import cluster, load_detector
from antideepfake.inference.cluster import CHUNK, ClusterScorer


@pytest.fixture
def chunks(monkeypatch):
    """Sizes of the chunks that go to the workers, here this process."""
    sizes = []

    def on_workers(function, items, scheduler):
        assert scheduler == "tcp://node1:8786"
        for chunk in items:
            sizes.append(len(chunk))
            yield function(chunk)

    monkeypatch.setattr(cluster, "map_in_order", on_workers)
    return sizes


@pytest.mark.parametrize("timeline", [False, True])
def test_results_are_those_of_the_detector(model_folder, tmp_path, rng, chunks, timeline):
    items = []
    for number in range(CHUNK + 3):
        items.append(Recording(str(tmp_path / f"{number}.wav")))
        if number != 5:  # which is reported, as there is no such file
            soundfile.write(items[-1].path, rng.uniform(-0.5, 0.5, 8000 + 500 * number), 16000)
    scorer = ClusterScorer(load_detector, (model_folder, "cpu"), "tcp://node1:8786")
    detector = load_detector(model_folder, "cpu")
    assert scorer.metadata == detector.metadata and scorer.weights_digest() == detector.weights_digest()
    results = list(scorer.score_files(items, timeline=timeline))
    expected = list(detector.score_files(items, timeline=timeline))
    assert chunks == [CHUNK, 3]
    assert [(result.path, result.error) for result in results] == [(other.path, other.error) for other in expected]
    assert "no such file" in results[5].error
    for result, other in zip(results, expected, strict=True):
        np.testing.assert_allclose(result.logits, other.logits, atol=1e-5)
        assert (result.timeline is None) == (other.timeline is None) == (not timeline or bool(result.error))


def test_a_worker_loads_the_detector_once():
    loaded = []

    def load(name):
        loaded.append(name)
        return name

    for name in ("a", "a", "b"):
        assert cluster._load_once(load, (name,)) == name
    assert loaded == ["a", "b"]
