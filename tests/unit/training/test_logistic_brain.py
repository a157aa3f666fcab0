"""Logistic regression in one pass: the classifier that scikit-learn gives, and what it refuses."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from speechbrain.dataio.batch import PaddedBatch

from antideepfake.dataio.batches import BatchPlan
from antideepfake.errors import InputError
from antideepfake.lobes import LogFilterBank, MeanPooling, SpectralFineStructure, StatisticsPooling, UtteranceEncoder
from antideepfake.training.brain import measure_errors
from antideepfake.training.logistic_brain import CollectedEmbeddings, LogisticRegressionBrain
from antideepfake.training.refit import fit_classifier

COUNT = 24


@pytest.fixture
def make(make_brain):
    """Build the Brain."""

    def build(encoder=None, classifier=None, strength=0.1):
        encoder = encoder or UtteranceEncoder(LogFilterBank(20), MeanPooling(), second_branch=SpectralFineStructure())
        modules = {"embedding_model": encoder, "classifier": classifier or torch.nn.Linear(148, 2)}
        options = {"utterances": COUNT, "max_steps": 99, "inverse_regularization": strength}
        return make_brain(LogisticRegressionBrain, modules, **options)

    return build


@pytest.fixture
def items(rng):
    """Noise, smoother where it is real."""
    noise = rng.standard_normal((COUNT, 8000)).astype(np.float32)
    noise[::2, 1:] += 0.7 * noise[::2, :-1]
    noise /= noise.std(1, keepdims=True)
    return [
        {"id": f"u{number}", "waveform": torch.from_numpy(row), "target": (number + 1) % 2}
        for number, row in enumerate(noise)
    ]


class Items(list):
    """A data set for the keys of planned batches: (epoch, utterance)."""

    def __getitem__(self, key):
        return super().__getitem__(key[1])


def _fit(brain, items):
    def load(batches):
        return torch.utils.data.DataLoader(Items(items), batch_sampler=batches, collate_fn=PaddedBatch)

    brain.fit(brain.rounds(), load(brain.train_batches), load(brain.valid_batches), progressbar=False)
    return brain


def test_the_classifier_is_that_of_logistic_regression(make, items):
    brain = _fit(make(), items)
    waveforms = torch.stack([item["waveform"] for item in items])
    targets = np.array([item["target"] for item in items])
    with torch.no_grad():
        embeddings = brain.modules["embedding_model"].eval()(waveforms, torch.ones(COUNT))
        logits = brain.modules["classifier"](embeddings).double().numpy()
    branch = embeddings[:, 20:]
    torch.testing.assert_close(branch.mean(0), torch.zeros(128), atol=1e-3, rtol=0)
    torch.testing.assert_close(branch.std(0, correction=0), torch.ones(128), atol=1e-2, rtol=0)
    values = embeddings.double().numpy()
    standard = (values - values.mean(0)) / values.std(0)
    expected = LogisticRegression(C=0.1, class_weight="balanced", tol=1e-8).fit(standard, targets)
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], expected.decision_function(standard), atol=2e-2)
    assert brain.optimizer_step == brain.last_step == len(brain.train_batches.plan) and len(brain.history) == 1
    assert 0 < brain.history[0]["train_loss"] < 0.69 and brain.history[0]["valid_eer"] < 0.2


def test_refit_takes_both_sets_and_cross_validates_the_threshold(make, items):
    brain = make()
    train, valid = items[:16], items[16:]

    def load(batches, part):
        return torch.utils.data.DataLoader(Items(part), batch_sampler=batches, collate_fn=PaddedBatch)

    for batches, part in ((brain.train_batches, train), (brain.valid_batches, valid)):
        batches.plan = BatchPlan([0.5] * len(part), 2.0, 1, 1)
    loaders = (load(brain.train_batches, train), load(brain.valid_batches, valid))
    brain.fit(brain.rounds(), *loaders, progressbar=False)
    brain.load_best()
    speakers = {item["id"]: f"s{number // 4}" for number, item in enumerate(items)}
    brain.refit(speakers)

    waveforms = torch.stack([item["waveform"] for item in items])
    targets = np.array([item["target"] for item in items])
    with torch.no_grad():
        embeddings = brain.modules["embedding_model"].eval()(waveforms, torch.ones(COUNT))
        logits = brain.modules["classifier"](embeddings).double().numpy()
    order = np.argsort(list(speakers))  # of the folds
    values = embeddings.double().numpy()[order]
    fit = fit_classifier(values, targets[order] == 1, np.array(list(speakers.values()))[order], 1, [0.1])
    np.testing.assert_allclose(logits[order], values @ fit.weight.T + fit.bias, atol=1e-3)
    expected = measure_errors(fit.scores[targets[order] == 1], fit.scores[targets[order] == 0])
    assert brain.threshold == pytest.approx(expected["threshold"], abs=1e-3)
    assert brain.threshold_errors == expected["threshold_errors"] and brain.threshold_errors["real"] == 12
    assert "cross-validation over speakers of" in brain.threshold_source


def test_sets_that_cannot_be_cross_validated_are_an_error(make, items):
    brain = _fit(make(), items)
    with pytest.raises(InputError, match="the training and validation sets: "):
        brain.refit({item["id"]: "a" for item in items})


def test_the_front_end_stays_as_it_is(make, items):
    brain = make()
    before = brain.modules["embedding_model"].front_end.filters.clone()
    _fit(brain, items)
    assert torch.equal(brain.modules["embedding_model"].front_end.filters, before)


def test_embeddings_are_part_of_a_checkpoint(tmp_path):
    before, after = CollectedEmbeddings(), CollectedEmbeddings()
    before.rows = {"a b/1": (torch.randn(4), 0), "ü": (torch.randn(4), 1)}
    before.save(tmp_path / "c.ckpt")
    after.load(tmp_path / "c.ckpt", end_of_epoch=False)
    assert after.rows.keys() == before.rows.keys()
    for name, (embedding, target) in before.rows.items():
        assert torch.equal(after.rows[name][0], embedding) and after.rows[name][1] == target


def test_what_it_cannot_train_is_refused(make):
    with pytest.raises(InputError, match=r"the encoder has back_end\.layer_sum"):
        make(UtteranceEncoder(LogFilterBank(20), StatisticsPooling(3)))
    with pytest.raises(InputError, match=r"the classifier is .*; use torch\.nn\.Linear"):
        make(classifier=torch.nn.Linear(148, 2, bias=False))
    with pytest.raises(InputError, match="inverse_regularization is 0; it must be above 0"):
        make(strength=0)


def test_one_class_is_refused(make, items):
    for item in items:
        item["target"] = 1
    with pytest.raises(InputError, match="are all of one class"):
        _fit(make(), items)
