"""The shared Brain, the YAML of an experiment, and its steps."""

from antideepfake.training.brain import DetectorBrain
from antideepfake.training.checkpointer import AtomicCheckpointer
from antideepfake.training.experiment import (
    begin_experiment,
    evaluate_model,
    export_model,
    finish_experiment,
    fit_detector,
    is_finished,
)
from antideepfake.training.hparams import HyperParameters, load_hparams

__all__ = [
    "AtomicCheckpointer",
    "DetectorBrain",
    "HyperParameters",
    "begin_experiment",
    "evaluate_model",
    "export_model",
    "finish_experiment",
    "fit_detector",
    "is_finished",
    "load_hparams",
]
