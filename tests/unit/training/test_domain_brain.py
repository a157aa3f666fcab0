"""Domain-adversarial training: the gradients of its parts, and corpora that it does not know."""

import pytest
import torch
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch

from antideepfake.errors import InputError
from antideepfake.training.domain_brain import DomainAdversarialBrain


@pytest.fixture
def make(make_brain, make_modules):
    """Build the Brain."""

    def build(corpora=("A", "FLEURS-R"), weight=0.5):
        modules = make_modules()
        domains = torch.nn.Linear(modules["classifier"].in_features, 2)
        options = {"corpora": corpora, "domain_classifier": domains, "domain_weight": weight}
        return make_brain(DomainAdversarialBrain, modules, **options)

    return build


def _batch():
    items = [
        {"id": name, "waveform": torch.randn(4000), "target": number % 2}
        for number, name in enumerate(("A-1", "FLEURS-R-EN-2", "A-3", "A-4"))
    ]
    return PaddedBatch(items)


def _gradients(brain):
    brain.modules.eval()  # without dropout
    brain.optimizer_step = 2
    brain.modules.zero_grad()
    batch = _batch()
    brain.compute_objectives(brain.compute_forward(batch, Stage.TRAIN), batch, Stage.TRAIN).backward()
    return {name: value.grad.clone() for name, value in brain.modules.named_parameters() if value.grad is not None}


def test_embeddings_get_the_reversed_gradient_and_the_classifier_its_own(make):
    brain = make()
    torch.manual_seed(2)
    full = _gradients(brain)
    brain.domain_weight = 0.25
    torch.manual_seed(2)
    half = _gradients(brain)
    brain.domain_weight = 0.0
    torch.manual_seed(2)
    none = _gradients(brain)
    for name, value in none.items():
        if name.startswith("embedding_model"):
            assert torch.allclose(full[name] - value, 2 * (half[name] - value), atol=1e-5)
        else:
            assert torch.allclose(full[name], value)
    assert any(not torch.allclose(full[name], value) for name, value in none.items())
    assert none["domain_classifier.weight"].abs().sum() > 0


def test_the_corpus_follows_from_the_id(make):
    assert make().find_domains(["A-1", "FLEURS-R-EN-2"]).tolist() == [0, 1]
    with pytest.raises(InputError, match="training utterances are of FLEURS; add the name to corpora"):
        make().find_domains(["A-1", "FLEURS-EN-2"])


def test_mistakes_are_refused(make):
    with pytest.raises(InputError, match="needs the names of two or more"):
        make(corpora=["A"])
    with pytest.raises(InputError, match="domain_weight is -1"):
        make(weight=-1)


def test_the_optimizer_has_the_classifier_of_the_corpus_but_the_model_does_not(make):
    brain = make()
    brain.init_optimizers()
    known = [parameter for group in brain.optimizer.param_groups for parameter in group["params"]]
    assert any(parameter is brain.domain_classifier.weight for parameter in known)
    assert "domain_classifier" not in brain.hparams.modules
