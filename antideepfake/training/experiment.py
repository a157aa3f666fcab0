"""The steps of an experiment, in the order that a recipe takes them: fit, export, evaluate."""

import contextlib
import os
import sys
from pathlib import Path

import pandas as pd
import speechbrain as sb

from antideepfake import __version__
from antideepfake.checkpoints import ModelMetadata, write_model_folder
from antideepfake.dataio import make_batch_sampler, make_dataset
from antideepfake.errors import InputError
from antideepfake.files import atomic_path
from antideepfake.inference import load_detector
from antideepfake.scoring import (
    format_generator_table,
    generator_table,
    plot_scores,
    read_scores,
    score_protocol,
    split_by_generator,
)
from antideepfake.training.brain import DetectorBrain
from antideepfake.training.hparams import HyperParameters


def begin_experiment(hparams: HyperParameters, overrides: str) -> None:
    """Make the output folder with a copy of the YAML and a log.

    Arguments
    ---------
    hparams : HyperParameters
        ``output_folder``.
    overrides : str
        From the command line.
    """
    with contextlib.redirect_stdout(sys.stderr):  # where SpeechBrain's log goes from here on: stdout is for results
        sb.create_experiment_directory(hparams["output_folder"], hparams.file, overrides)


def fit_detector(
    hparams: HyperParameters, run_opts: dict, train_set: pd.DataFrame, valid_set: pd.DataFrame
) -> DetectorBrain:
    """Train a detector.

    Arguments
    ---------
    hparams : HyperParameters
        ``front_end``, ``modules``, ``opt_class``, ``checkpointer``, ``data_folder``, ``seed``, ``crop``,
        ``batch_seconds``, ``num_buckets``, ``num_workers``, and what :class:`DetectorBrain` needs.
    run_opts : dict
        SpeechBrain's: device, precision and so on.
    train_set, valid_set : pandas.DataFrame
        Protocols.

    Returns
    -------
    DetectorBrain
        With the weights that were best on the validation set, and their ``eer`` and ``threshold`` there.
    """
    if train_set.empty or valid_set.empty:
        raise InputError("the training or the validation set is empty; see the Proportion column of the protocol")
    min_samples = hparams["front_end"].receptive_field
    crop = hparams["crop"]
    train_data = make_dataset(train_set, hparams["data_folder"], crop, min_samples)
    valid_data = make_dataset(valid_set, hparams["data_folder"], min_samples=min_samples)
    sampler = make_batch_sampler(
        train_data, hparams["batch_seconds"], hparams["num_buckets"], crop.max_seconds, hparams["seed"]
    )
    brain = DetectorBrain(
        hparams["modules"], hparams["opt_class"], hparams, run_opts, checkpointer=hparams["checkpointer"]
    )
    brain.train_sampler = sampler  # so that fit tells it the epoch, and every epoch has batches of its own
    valid_options = {"batch_size": 10, "num_workers": hparams["num_workers"]}
    brain.fit(
        hparams["epoch_counter"],
        train_data,
        valid_data,
        train_loader_kwargs={"batch_sampler": sampler, "num_workers": hparams["num_workers"]},
        valid_loader_kwargs=valid_options,
    )
    brain.evaluate(valid_data, min_key="EER", test_loader_kwargs=valid_options)
    return brain


def export_model(brain: DetectorBrain, hparams: HyperParameters, settings: str, train_set: pd.DataFrame) -> None:
    """Write the model folder of a trained detector.

    Arguments
    ---------
    brain : DetectorBrain
        As :func:`fit_detector` gives.
    hparams : HyperParameters
        ``model_folder``, ``corpus``, ``licence`` and ``seed``.
    settings : str
        The YAML as text, as :func:`load_hparams` gives.
    train_set : pandas.DataFrame
        Protocol; its generators are remembered.
    """
    fakes = train_set[train_set["Label"] == "fake"]
    metadata = ModelMetadata(
        threshold=brain.threshold,
        threshold_source=f"equal error rate on the validation set ({100 * brain.eer:.2f} %)",
        training_corpora=[hparams["corpus"]],
        training_generators=sorted(set(fakes["Attack"]) - {"-"}),
        provenance=f"{Path(hparams.file).name}, antideepfake {__version__}, seed {hparams['seed']}",
        licence=hparams["licence"],
    )
    write_model_folder(hparams["model_folder"], settings, brain.modules, metadata)


def evaluate_model(
    model_folder: str | os.PathLike,
    test_set: pd.DataFrame,
    data_folder: str | os.PathLike,
    output_folder: str | os.PathLike,
    title: str = "",
    seed: int = 1234,
) -> int:
    """Score a test set with a model folder; print the error rates and draw them.

    Arguments
    ---------
    model_folder : str or Path
        The detector.
    test_set : pandas.DataFrame
        Protocol.
    data_folder : str or Path
        What ``$ROOT`` stands for.
    output_folder : str or Path
        Takes ``scores.csv``, ``eer.csv`` and ``scores.png``.
    title : str
        Of the picture.
    seed : int
        Of the bootstrap.

    Returns
    -------
    int
        How many files could not be read; ``scores.csv.skipped.csv`` lists them.
    """
    folder = Path(output_folder)
    detector = load_detector(model_folder, trust_code=True)  # of this run
    metadata = detector.hparams.metadata
    skipped = score_protocol(detector, test_set, data_folder, folder / "scores.csv")
    scores = read_scores(folder / "scores.csv")
    seen = set(metadata.training_generators)
    table = generator_table(scores, seen, seed)
    with atomic_path(folder / "eer.csv") as temporary:
        table.to_csv(temporary, index=False)
    print(format_generator_table(table))

    values = {"real": scores.loc[scores["Label"] == "real", "Score"].to_numpy()}
    for name, group in split_by_generator(scores[scores["Label"] == "fake"], seen).items():
        values[f"fake, {name}"] = group["Score"].to_numpy()
    plot_scores(values, folder / "scores.png", metadata.threshold, title)
    if skipped:
        print(f"{len(skipped)} files of the test set skipped; see {folder}/scores.csv.skipped.csv", file=sys.stderr)
    return len(skipped)
