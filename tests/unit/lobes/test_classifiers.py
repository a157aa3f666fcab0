"""Classifiers: logits whose difference is the score, in a model folder too."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.inference.detector import load_detector
from antideepfake.lobes.classifiers import OneClassClassifier
from antideepfake.lobes.losses import OneClassSoftmax
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata


def _classifier(weight):
    classifier = OneClassClassifier(len(weight))
    classifier.load_state_dict({"weight": torch.tensor(weight)})
    return classifier


def test_the_score_is_the_cosine():
    logits = _classifier([3.0, 4.0])(torch.tensor([[30.0, 40.0], [0.4, -0.3], [-1.0, 0.0], [0.0, 0.0]]))
    torch.testing.assert_close(logits[:, 1], torch.tensor([1.0, 0.0, -0.6, 0.0]))
    assert not logits[:, 0].any()


@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 100))
def test_only_the_direction_of_an_embedding_counts(scale, seed):
    embeddings = torch.randn(4, 8, generator=torch.Generator().manual_seed(seed))
    classifier = OneClassClassifier(8)
    logits = classifier(embeddings * scale)
    torch.testing.assert_close(logits, classifier(embeddings), atol=1e-5, rtol=1e-5)
    assert logits.abs().max() <= 1 + 1e-6


def test_half_precision_is_left_at_the_door():
    assert OneClassClassifier(4)(torch.randn(2, 4, dtype=torch.bfloat16)).dtype == torch.float32


def test_training_gathers_real_speech_around_the_direction():
    classifier, loss = OneClassClassifier(8), OneClassSoftmax()
    real = torch.randn(8)
    embeddings, targets = torch.cat([real + 0.2 * torch.randn(30, 8), torch.randn(30, 8)]), torch.ones(60).long()
    targets[30:] = 0
    optimizer = torch.optim.Adam(classifier.parameters(), lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        loss(classifier(embeddings), targets).backward()
        optimizer.step()
    cosine = torch.nn.functional.cosine_similarity(classifier.weight, real, dim=0)
    assert cosine.item() > 0.9


def test_a_model_folder_brings_it_back(tmp_path, make_modules, detector_yaml, rng):
    head = "classifier: !new:antideepfake.lobes.OneClassClassifier\n    in_features: 16\n"
    modules = make_modules() | {"classifier": OneClassClassifier(16)}
    write_model_folder(tmp_path, detector_yaml.split("classifier:")[0] + head, modules, ModelMetadata())
    detector = load_detector(tmp_path)
    assert torch.equal(detector.mods["classifier"].weight, modules["classifier"].weight)
    (result,) = detector.score_files([(rng.standard_normal(8000), 16000)])
    cosine = torch.nn.functional.cosine_similarity(
        torch.tensor(result.embedding), modules["classifier"].weight, dim=0
    ).item()
    assert result.score == pytest.approx(cosine, abs=1e-6)
