"""Classifiers: logits whose difference is the score, in a model folder too."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from antideepfake.inference.detector import load_detector
from antideepfake.lobes.classifiers import BatchNormClassifier, CosineClassifier, OneClassClassifier, SELUClassifier
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


def test_cosines_are_those_of_both_classes():
    classifier = CosineClassifier(2)
    classifier.load_state_dict({"weight": torch.tensor([[3.0, 4.0], [0.0, -2.0]])})
    found = classifier(torch.tensor([[30.0, 40.0], [0.4, -0.3], [0.0, 0.0]]))
    torch.testing.assert_close(found, torch.tensor([[1.0, -0.8], [0.0, 0.6], [0.0, 0.0]]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", [BatchNormClassifier, CosineClassifier, SELUClassifier])
def test_every_weight_of_a_classifier_learns(kind):
    classifier = kind(8)
    classifier(torch.randn(6, 8))[:, 1].sum().backward()
    assert all(weight.grad.any() for weight in classifier.parameters())


def test_batch_normalization_takes_a_batch_of_one_in_training():
    assert torch.isfinite(BatchNormClassifier(8)(torch.randn(1, 8))).all()


def test_selu_before_the_softmax_limits_negative_outputs():
    classifier = SELUClassifier(1)
    with torch.no_grad():
        classifier.fc3.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        classifier.fc3.bias.zero_()
    fake, real = classifier(torch.tensor([[50.0]]))[0].tolist()
    limit = 1.6732632423543772 * 1.0507009873554805
    assert real - fake == pytest.approx(50 * 1.0507009873554805 + limit, rel=1e-6)


@pytest.mark.parametrize("kind", [BatchNormClassifier, CosineClassifier, SELUClassifier])
def test_a_model_folder_brings_every_classifier_back(tmp_path, make_modules, detector_yaml, rng, kind):
    head = f"classifier: !new:antideepfake.lobes.{kind.__name__}\n    in_features: 16\n"
    modules = make_modules() | {"classifier": kind(16).eval()}
    write_model_folder(tmp_path, detector_yaml.split("classifier:")[0] + head, modules, ModelMetadata())
    (result,) = load_detector(tmp_path).score_files([(rng.standard_normal(8000), 16000)])
    logits = modules["classifier"](torch.as_tensor(result.embedding)[None])[0].tolist()
    assert list(result.logits) == pytest.approx(logits, abs=1e-5)
