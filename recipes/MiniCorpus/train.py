#!/usr/bin/env python
"""Train a detector on MiniCorpus, write its model folder, and evaluate that on the test set.

    python train.py hparams/train.yaml --data_folder DATA

The corpus is made below DATA if it is not there. Run again, training goes on from the last checkpoint.
"""

import sys
from pathlib import Path

import pandas as pd
import speechbrain as sb
import torch
from minicorpus_prepare import prepare_minicorpus
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.utils.distributed import run_on_main

from antideepfake.errors import run_program
from antideepfake.protocol import divide_protocol, read_protocol, resolve_path
from antideepfake.training import (
    DetectorBrain,
    HyperParameters,
    begin_experiment,
    evaluate_model,
    export_model,
    fit_detector,
    load_hparams,
)


def classify_examples(hparams: HyperParameters, test_set: pd.DataFrame) -> None:
    """Load the model folder as any SpeechBrain model, and classify one real and one generated file."""
    classifier = EncoderClassifier.from_hparams(
        source=hparams["model_folder"], savedir=str(Path(hparams["output_folder"], "pretrained"))
    )
    for label in ("real", "fake"):
        utterance = test_set[test_set["Label"] == label].iloc[0]
        path = resolve_path(utterance["Path"], hparams["data_folder"])
        logits, _, _, (decision,) = classifier.classify_file(str(path))
        probability = torch.softmax(logits[0], 0)[1].item()
        print(f"{path.name}: {decision}, P(real) = {probability:.3f}; the truth is {label}")


def main() -> int:
    """Prepare, train, export, evaluate."""
    hparams_file, run_opts, overrides = sb.parse_arguments(sys.argv[1:])
    hparams, settings = load_hparams(hparams_file, overrides, DetectorBrain.HPARAMS_NEEDED)
    begin_experiment(hparams, overrides)

    run_on_main(prepare_minicorpus, kwargs={"data_folder": hparams["data_folder"], "output": hparams["protocol"]})
    protocol = read_protocol(hparams["protocol"])
    train_set, valid_set, test_set = divide_protocol(protocol, hparams["protocol"])

    brain = fit_detector(hparams, run_opts, train_set, valid_set)
    export_model(brain, hparams, settings, train_set)
    skipped = evaluate_model(
        hparams["model_folder"],
        test_set,
        hparams["data_folder"],
        hparams["output_folder"],
        "MiniCorpus, test set",
        hparams["seed"],
    )
    classify_examples(hparams, test_set)
    print(f"model folder: {hparams['model_folder']}; scores and picture: {hparams['output_folder']}")
    return 1 if skipped else 0


if __name__ == "__main__":
    run_program(main)
