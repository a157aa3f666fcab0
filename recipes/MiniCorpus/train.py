#!/usr/bin/env python
"""Train a detector on MiniCorpus, write its model folder, and evaluate it on the test set.

    python train.py hparams/train.yaml --data_folder DATA

The corpus is made below DATA if it does not exist. Run the same command to resume training.
"""

import sys
from pathlib import Path

import pandas as pd
from minicorpus_prepare import prepare_minicorpus
from speechbrain.inference.classifiers import EncoderClassifier
from speechbrain.utils.distributed import if_main_process, run_on_main

from antideepfake.audio.waveform import read_audio
from antideepfake.cli.program import run_program
from antideepfake.model_folder.decision import decide
from antideepfake.protocol.table import read_protocol, resolve_path, split_protocol
from antideepfake.training.experiment import (
    begin_experiment,
    export_model,
    finish_experiment,
    fit_detector,
    is_finished,
)
from antideepfake.training.hparams import HyperParameters


def prepare(data_folder: str, protocol: str) -> None:
    """Make the corpus unless its protocol exists, which is written last."""
    if not Path(protocol).exists():
        prepare_minicorpus(data_folder, protocol)


def classify_examples(hparams: HyperParameters, test_set: pd.DataFrame) -> None:
    """Load the model folder like any SpeechBrain model, and classify one bona fide and one spoofed utterance.

    SpeechBrain's label is that of the larger logit; the decision here uses the threshold of the model folder.
    """
    classifier = EncoderClassifier.from_hparams(
        source=hparams["model_folder"], savedir=str(Path(hparams["output_folder"], "pretrained"))
    )
    for label in ("real", "fake"):
        utterance = test_set[test_set["Label"] == label].iloc[0]
        path = resolve_path(utterance["Path"], hparams["data_folder"])
        # as classify_file does, which does not read from tar shards
        waveform = classifier.audio_normalizer(*read_audio(path))
        fake, real = classifier.classify_batch(waveform[None])[0][0].tolist()
        decision = decide(real - fake, classifier.hparams.metadata.threshold)
        print(f"{path.name}: {decision} (score {real - fake:.2f}); the truth is {label}")


def keep_attacks(table: pd.DataFrame, attacks: list[str] | None) -> pd.DataFrame:
    """Keep bona fide speech, and spoofed speech of the given attacks."""
    return table if attacks is None else table[(table["Label"] == "real") | table["Attack"].isin(attacks)]


def main() -> int:
    """Prepare, train, export, evaluate."""
    hparams, run_opts = begin_experiment(sys.argv[1:])
    if is_finished(hparams):
        return 0
    run_on_main(prepare, args=[hparams["data_folder"], hparams["protocol"]])
    train_set, valid_set, test_set = split_protocol(read_protocol(hparams["protocol"]), hparams["protocol"])
    train_set, valid_set = (keep_attacks(table, hparams["attacks"]) for table in (train_set, valid_set))

    brain = fit_detector(hparams, run_opts, train_set, valid_set)
    export_model(brain, hparams, train_set, valid_set)
    outcome = finish_experiment(brain, hparams, test_set, "MiniCorpus, test set")
    print(outcome.text, end="")
    if if_main_process():
        classify_examples(hparams, test_set)
    return outcome.status


if __name__ == "__main__":
    run_program(main)
