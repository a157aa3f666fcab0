"""Distillation: the loss of its parts, what the student learns, and what is refused."""

import pytest
import torch
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch

from antideepfake.errors import InputError
from antideepfake.training.distillation_brain import DistillationBrain, _difference


@pytest.fixture
def make(make_brain, make_modules, model_folder):
    """Build the Brain: teacher and student have the same architecture and other weights."""

    def build(**options):
        options |= {"teacher": str(model_folder), "optimizer": torch.optim.Adam, "lr": 0.01}
        return make_brain(DistillationBrain, make_modules(2), **options)

    return build


@pytest.fixture
def batch():
    lengths = (8000, 6000, 4000, 8000)
    return PaddedBatch(
        [
            {"id": f"u{number}", "waveform": torch.randn(length), "target": number % 2}
            for number, length in enumerate(lengths)
        ]
    )


def _loss(brain, batch):
    brain.modules.eval()
    return brain.compute_objectives(brain.compute_forward(batch, Stage.TRAIN), batch, Stage.TRAIN)


def test_the_terms_are_those_of_the_definition(make, batch):
    brain = make(temperature=3.0, label_weight=0.25, logit_weight=2.0)
    with torch.no_grad():
        found = _loss(brain, batch)
        logits, taught, _ = brain.compute_forward(batch, Stage.TRAIN)
    own, theirs = (logits / 3).softmax(1), (taught / 3).softmax(1)
    divergence = (theirs * (theirs / own).log()).sum(1).mean()
    labels = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 0, 1]))
    torch.testing.assert_close(found, 0.25 * labels + 2.0 * 9 * divergence, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(logits, taught)


def test_without_their_weight_labels_have_no_influence(make, batch):
    brain = make(label_weight=0.0, logit_weight=1.0)
    losses = []
    for target in (0, 1):
        batch.target = torch.full((4,), target)
        losses.append(_loss(brain, batch))
    assert torch.equal(*losses)


def test_the_student_comes_to_agree_with_the_teacher(make, batch):
    brain = make(label_weight=0.0, logit_weight=1.0, matched_layers={"back_end": "back_end"}, layer_weight=0.1)
    brain.init_optimizers()
    before = {name: value.clone() for name, value in brain.teacher.mods.state_dict().items()}
    losses = []
    for _ in range(30):
        loss = _loss(brain, batch)
        brain.optimizer.zero_grad()
        loss.backward()
        brain.optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(torch.equal(value, before[name]) for name, value in brain.teacher.mods.state_dict().items())
    assert all(weight.grad is not None for weight in brain.projections.parameters())


def test_a_layer_that_is_matched_perfectly_costs_nothing_whatever_its_padding():
    theirs = torch.randn(2, 10, 3)
    own = theirs.clone()
    own[1, 5:] = 99.0
    lengths = torch.tensor([1.0, 0.5])
    assert _difference(own, theirs, lengths) == 0
    own[1, 0] += 1.0
    assert _difference(own, theirs, lengths) > 0
    slow = torch.linspace(0, 1, 30)[None, :, None].expand(2, 30, 3)  # three frames for each of the student's
    assert _difference(slow[:, 1::3], slow, torch.ones(2)) < 1e-3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_weight": -1.0}, "label_weight is -1.0; it must be 0 or more"),
        ({"label_weight": 0.0, "logit_weight": 0.0}, "are all 0; set one of them"),
        ({"temperature": 0.0}, "temperature is 0.0; it must be above 0"),
        ({"layer_weight": 1.0}, "layer_weight and matched_layers belong together"),
        ({"layer_weight": 1.0, "matched_layers": {"x": "back_end"}}, "the student has no module 'x'"),
        ({"layer_weight": 1.0, "matched_layers": {"front_end": "back_end"}}, "front_end and back_end have outputs of"),
    ],
)
def test_mistakes_are_reported(make, options, message):
    with pytest.raises(InputError, match=message):
        make(**options)


def test_a_teacher_of_other_waveforms_is_refused(make_modules, model_folder):
    modules = make_modules(1)
    modules["embedding_model"].normalize = False
    with pytest.raises(InputError, match="takes waveforms with another normalization"):
        DistillationBrain(modules, teacher=str(model_folder))
