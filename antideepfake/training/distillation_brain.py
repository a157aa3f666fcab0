"""Distillation: a trained detector teaches a smaller one."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from speechbrain import Stage
from speechbrain.dataio.batch import PaddedBatch
from torch.nn.functional import interpolate, kl_div, log_softmax

from antideepfake.errors import InputError
from antideepfake.inference.detector import load_detector
from antideepfake.lobes.detector import compute_logits
from antideepfake.lobes.masks import length_mask
from antideepfake.training.brain import DetectorBrain


class DistillationBrain(DetectorBrain):
    """Train a detector, the student, to give the logits of another one, the teacher, and the values of some layers.

    The loss is a sum of up to three terms, each with its weight: that of the labels, the hyperparameter ``loss``; the
    divergence of the softened probabilities, multiplied by the square of the temperature (Hinton, Vinyals, Dean 2015);
    and, for each pair of layers, the squared difference of the teacher's values and a linear projection of the
    student's, relative to the variance of the teacher's (FitNets, Romero et al. 2015). Both hear the same waveform,
    augmented if the YAML says so. The teacher is not trained, and neither it nor the projections are exported.

    Arguments
    ---------
    modules : mapping
        As for :class:`DetectorBrain`: the student.
    *args, **options
        As for :class:`DetectorBrain`.
    teacher : str
        Model folder of the teacher, or its Hub id.
    temperature : float
        By which logits are divided before the softmax; above 1, unlikely classes count more.
    label_weight : float
        Weight of the labels. With 0 they have no influence, so that training speech may be unlabeled: its column Label
        may have any value.
    logit_weight : float
        Weight of the teacher's logits.
    matched_layers : mapping, optional
        Name of a module of the student's ``embedding_model`` -> name of a module of the teacher's, such as
        ``back_end.blocks.2: front_end.model.encoder.layers.3``. Outputs are [batch, frames, size] or [batch, size];
        with another number of frames, the teacher's are interpolated.
    layer_weight : float
        Weight of the layers.

    Raises
    ------
    InputError
        When a weight is negative or all are 0, a module does not exist or has outputs of another shape, or the
        detectors take waveforms that are normalized differently.
    """

    can_shard = False

    def __init__(
        self,
        modules: Mapping[str, torch.nn.Module],
        *args: Any,
        teacher: str,
        temperature: float = 2.0,
        label_weight: float = 0.5,
        logit_weight: float = 0.5,
        matched_layers: Mapping[str, str] | None = None,
        layer_weight: float = 0.0,
        **options: Any,
    ) -> None:
        weights = {"label_weight": label_weight, "logit_weight": logit_weight, "layer_weight": layer_weight}
        for name, weight in weights.items():
            if not weight >= 0:
                raise InputError(f"{name} is {weight}; it must be 0 or more")
        if not any(weights.values()):
            raise InputError(f"{', '.join(weights)} are all 0; set one of them")
        if not temperature > 0:
            raise InputError(f"temperature is {temperature}; it must be above 0")
        if bool(layer_weight) != bool(matched_layers):
            raise InputError("layer_weight and matched_layers belong together; set both or none of them")
        self.teacher = load_detector(teacher)
        self.teacher.mods.requires_grad_(False)
        student: Any = modules["embedding_model"]
        taught: Any = self.teacher.mods["embedding_model"]
        if student.normalize != taught.normalize:
            raise InputError(f"{teacher}: takes waveforms with another normalization; set normalize as in its YAML")
        self._pairs = list((matched_layers or {}).items())
        self._student_values = _record(student, [own for own, _ in self._pairs], "the student")
        self._teacher_values = _record(taught, [theirs for _, theirs in self._pairs], teacher)
        self.projections = Projections(self._find_sizes(student)) if matched_layers else None
        if self.projections:
            modules = {**modules, "projections": self.projections}
        super().__init__(modules, *args, **options)
        self.teacher.mods.to(self.device)
        self.temperature, self.weights = temperature, weights
        if self.projections:
            self.checkpointer.add_recoverable("projections", self.projections)

    @torch.no_grad()
    def _find_sizes(self, student: torch.nn.Module) -> list[tuple[int, int]]:
        """Give the sizes of the student's and the teacher's layers, by a pass of one second of noise."""
        noise, ones, was_training = torch.randn(1, 16000), torch.ones(1), student.training
        student.eval()(noise, ones)
        self.teacher.mods["embedding_model"](noise, ones)
        student.train(was_training)
        sizes = []
        for pair, own, theirs in zip(self._pairs, self._student_values, self._teacher_values, strict=True):
            if {own.dim(), theirs.dim()} not in ({2}, {3}):
                raise InputError(
                    f"matched_layers: {pair[0]} and {pair[1]} have outputs of the shapes {list(own.shape)} and "
                    f"{list(theirs.shape)}; choose layers with [batch, frames, size] or [batch, size]"
                )
            sizes.append((own.shape[-1], theirs.shape[-1]))
        return sizes

    def init_optimizers(self) -> None:
        """Add the weights of the projections to the optimizer."""
        super().init_optimizers()
        if self.projections:
            parameters = list(self.projections.parameters())
            self.optimizer.add_param_group({"params": parameters, "lr": self.hparams.lr, "lr_scale": 1.0})

    def compute_forward(self, batch: PaddedBatch, stage: Stage) -> Any:
        """Turn a batch into logits; in training, also into those of the teacher and the projected layers."""
        logits = super().compute_forward(batch, stage)
        if stage != Stage.TRAIN:
            return logits
        projected = self.modules["projections"](self._student_values) if self.projections else []
        with torch.no_grad():
            taught = compute_logits(self.teacher.mods, *self.inputs(batch))
        return logits, taught, projected

    def compute_objectives(self, predictions: Any, batch: PaddedBatch, stage: Stage) -> torch.Tensor:
        """Compute the loss; in validation, the hyperparameter ``loss``."""
        if stage != Stage.TRAIN:
            return super().compute_objectives(predictions, batch, stage)
        logits, taught, projected = predictions
        targets = torch.as_tensor(batch.target, device=logits.device)
        weights = self.weights
        loss = weights["label_weight"] * self.hparams.loss(logits, targets) if weights["label_weight"] else 0.0
        soft, softer = log_softmax(logits / self.temperature, 1), log_softmax(taught / self.temperature, 1)
        divergence = kl_div(soft, softer, reduction="batchmean", log_target=True)
        loss = loss + weights["logit_weight"] * self.temperature**2 * divergence
        _, lengths = self.inputs(batch)
        for own, theirs in zip(projected, self._teacher_values, strict=True):
            loss = loss + weights["layer_weight"] * _difference(own, theirs, lengths)
        self.note_loss(loss, batch)
        return loss


class Projections(torch.nn.Module):
    """Linear projections of the student's layers to the sizes of the teacher's.

    Arguments
    ---------
    sizes : sequence of (int, int)
        Of each pair of layers.
    """

    def __init__(self, sizes: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(own, theirs) for own, theirs in sizes)

    def forward(self, values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Project the values of each layer."""
        return [layer(value.float()) for layer, value in zip(self.layers, values, strict=True)]


def _record(module: torch.nn.Module, names: Sequence[str], where: str) -> list[torch.Tensor]:
    """Give a list that has, after each forward pass, the outputs of some modules."""
    values = [torch.empty(0)] * len(names)
    for index, name in enumerate(names):
        try:
            part = module.get_submodule(name)
        except AttributeError:
            raise InputError(f"matched_layers: {where} has no module '{name}' in its embedding_model") from None

        def store(_: Any, __: Any, output: Any, index: int = index) -> None:
            values[index] = output[0] if isinstance(output, tuple) else output

        part.register_forward_hook(store)
    return values


def _difference(own: torch.Tensor, theirs: torch.Tensor, relative_lengths: torch.Tensor) -> torch.Tensor:
    """Compute the mean squared difference without padding, relative to the variance of the teacher's values."""
    theirs = theirs.float()
    if own.dim() == 3:
        if own.shape[1] != theirs.shape[1]:
            theirs = interpolate(theirs.transpose(1, 2), own.shape[1], mode="linear").transpose(1, 2)
        mask = length_mask(relative_lengths, own.shape[1])
        own, theirs = own[mask], theirs[mask]
    return (own - theirs).square().mean() / theirs.var(0).mean().clamp(min=1e-8)
