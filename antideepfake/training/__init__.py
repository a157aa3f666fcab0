"""Training: the Brain, the YAML of an experiment, and the steps of a recipe."""

from antideepfake.training.adaptation import (
    adapt,
    add_lora,
    checkpoint_gradients,
    freeze_layers,
    merge_lora,
    parameter_groups,
)
from antideepfake.training.brain import DetectorBrain
from antideepfake.training.checkpointer import AtomicCheckpointer
from antideepfake.training.distillation_brain import DistillationBrain
from antideepfake.training.domain_brain import DomainAdversarialBrain
from antideepfake.training.experiment import (
    Outcome,
    begin_experiment,
    evaluate_model,
    export_model,
    finish_experiment,
    fit_detector,
    is_finished,
)
from antideepfake.training.frame_brain import FrameLevelBrain
from antideepfake.training.hparams import HyperParameters, build_front_end, load_hparams
from antideepfake.training.logistic_brain import LogisticRegressionBrain
from antideepfake.training.policy import policy_loss, sample_labels, sampled_policy_loss
from antideepfake.training.policy_brain import PolicyBrain
from antideepfake.training.settings import ExperimentSettings, load_experiment

__all__ = [
    "AtomicCheckpointer",
    "DetectorBrain",
    "DistillationBrain",
    "DomainAdversarialBrain",
    "ExperimentSettings",
    "FrameLevelBrain",
    "HyperParameters",
    "LogisticRegressionBrain",
    "Outcome",
    "PolicyBrain",
    "adapt",
    "add_lora",
    "begin_experiment",
    "build_front_end",
    "checkpoint_gradients",
    "evaluate_model",
    "export_model",
    "finish_experiment",
    "fit_detector",
    "freeze_layers",
    "is_finished",
    "load_experiment",
    "load_hparams",
    "merge_lora",
    "parameter_groups",
    "policy_loss",
    "sample_labels",
    "sampled_policy_loss",
]
