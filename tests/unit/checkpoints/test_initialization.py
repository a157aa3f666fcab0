"""Where training starts."""

import pytest
import torch

from antideepfake.checkpoints.initialization import start_from
from antideepfake.errors import InputError
from antideepfake.lobes.back_ends import MeanPooling
from antideepfake.lobes.classifiers import OneClassClassifier
from antideepfake.lobes.detector import UtteranceEncoder
from antideepfake.lobes.self_supervised import Wav2Vec2
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata

TINY = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
YAML = """
front_end: !new:antideepfake.lobes.Wav2Vec2
    hidden_size: 16
    num_hidden_layers: 2
    num_attention_heads: 2
    intermediate_size: 32
back_end: !new:antideepfake.lobes.MeanPooling
classifier: !new:torch.nn.Linear
    in_features: 16
    out_features: 2
"""


def _detector(seed):
    torch.manual_seed(seed)
    return UtteranceEncoder(Wav2Vec2(**TINY), MeanPooling()), torch.nn.Linear(16, 2)


def _same(one, other):
    return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())


@pytest.fixture
def sources(tmp_path):
    """A trained detector as a model folder, as a checkpoint of the released code's form, and its encoder alone."""
    encoder, classifier = _detector(1)
    modules = {"embedding_model": encoder, "classifier": classifier}
    write_model_folder(tmp_path / "folder", YAML, modules, ModelMetadata())
    model = encoder.front_end.model
    model.save_pretrained(tmp_path / "encoder")
    (tmp_path / "released").mkdir()
    state = {f"wav2vec2.{name}": value for name, value in model.state_dict().items()}
    state |= {f"classifier.{name}": value for name, value in classifier.state_dict().items()}
    torch.save(state, tmp_path / "released" / "model.pt")
    model.config.save_pretrained(tmp_path / "released")
    return tmp_path, encoder, classifier


@pytest.mark.parametrize("name", ["folder", "released"])
def test_a_detector_initializes_encoder_and_classifier(sources, name):
    folder, trained, head = sources
    encoder, classifier = _detector(2)
    start_from(encoder, classifier, folder / name)
    assert _same(trained, encoder) and _same(head, classifier)


def test_an_encoder_leaves_the_classifier(sources):
    folder, trained, _ = sources
    encoder, classifier = _detector(2)
    before = classifier.weight.detach().clone()
    start_from(encoder, classifier, folder / "encoder")
    assert _same(trained, encoder) and torch.equal(classifier.weight, before)


def test_no_source_leaves_all(sources):
    encoder, classifier = _detector(2)
    start_from(encoder, classifier, None)
    assert not _same(sources[1], encoder)


@pytest.mark.parametrize("name", ["folder", "released"])
def test_a_classifier_of_another_kind_is_reported(sources, name):
    encoder, _ = _detector(2)
    with pytest.raises(InputError, match="weight"):
        start_from(encoder, OneClassClassifier(16), sources[0] / name)


def test_a_wrong_source_is_refused(tmp_path, make_modules):
    with pytest.raises(InputError, match="nowhere"):
        start_from(*_detector(2), tmp_path / "nowhere")
    modules = make_modules()
    with pytest.raises(InputError, match="a LogFilterBank has no other weights"):
        start_from(modules["embedding_model"], modules["classifier"], tmp_path)
