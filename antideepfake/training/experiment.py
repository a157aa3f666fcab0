"""The steps of an experiment, in the order that a recipe takes them: begin, fit, export, evaluate, finish."""

import atexit
import contextlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.run_opts import RunOptions
from torch import distributed
from torch.utils.data import DataLoader

from antideepfake import __version__
from antideepfake.checkpoints import ModelMetadata, write_model_folder
from antideepfake.dataio import BatchPlan, PlannedBatches, make_dataset
from antideepfake.errors import InputError
from antideepfake.files import atomic_open, sha256
from antideepfake.inference import load_detector
from antideepfake.licenses import combine_licenses, find_license
from antideepfake.processes import rank_and_size, wait_for_all
from antideepfake.protocol import LABELS, WEIGHT
from antideepfake.scoring import (
    Evaluator,
    System,
    format_evaluations,
    read_record,
    read_scores,
    score_protocol,
    split_generators,
)
from antideepfake.scoring.report import write_report
from antideepfake.training.adaptation import merge_lora
from antideepfake.training.brain import DetectorBrain
from antideepfake.training.hparams import HyperParameters, load_hparams

FINISHED = "finished.json"


def begin_experiment(arguments: list[str]) -> tuple[HyperParameters, RunOptions]:
    """Read the command line of a recipe, join its processes, and make the output folder.

    The folder takes ``hyperparams.yaml`` (references resolved), ``env.log`` (versions) and ``log.txt``.

    Arguments
    ---------
    arguments : list of str
        The YAML, SpeechBrain's run options, and overrides of keys of the YAML: ``sys.argv[1:]``.

    Returns
    -------
    hparams : HyperParameters
        Keys and constructed values.
    run_opts : RunOptions
        SpeechBrain's: device, precision and so on.
    """
    hparams_file, run_opts, overrides = sb.parse_arguments(arguments)
    keys = [line.partition(":")[0] for line in overrides.splitlines()]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise InputError(f"--{', --'.join(twice)}: given twice on the command line; give it once")
    if not torch.cuda.is_available():
        given = run_opts.overridden_args | {"distributed_backend"}
        run_opts = replace(run_opts, distributed_backend="gloo", overridden_args=given)
    hparams = load_hparams(hparams_file, overrides, ("output_folder",))
    sb.utils.distributed.ddp_init_group(run_opts)
    if distributed.is_initialized():
        atexit.register(distributed.destroy_process_group)
    with contextlib.redirect_stdout(sys.stderr):  # where SpeechBrain's log goes from here on: stdout is for results
        sb.create_experiment_directory(hparams["output_folder"], hparams.file, overrides)
    return hparams, run_opts


def is_finished(hparams: HyperParameters) -> bool:
    """Tell whether this experiment, with these very settings, was done before; if so, say it."""
    folder = Path(hparams["output_folder"])
    try:
        done = json.loads((folder / FINISHED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    if done["settings"] != hparams.settings:
        return False
    if if_main_process():
        print(f"{folder}: finished on {done['date']}; there is nothing to do. Another --output_folder trains anew")
    return True


def _record_run(hparams: HyperParameters) -> None:
    """Write down what a run depends on besides its YAML: ``run.json`` in the output folder."""
    protocols = {str(path): sha256([path]) for key, path in hparams.items() if key.endswith("protocol") and path}
    describe = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        git = subprocess.run(describe, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:  # git is not installed
        git = ""
    run = {
        "command": sys.argv,
        "antideepfake": __version__,
        "git": git,
        "processes": rank_and_size()[1],
        "protocols_sha256": protocols,
    }
    with atomic_open(Path(hparams["output_folder"], "run.json")) as file:
        json.dump(run, file, indent=1)


def fit_detector(
    hparams: HyperParameters, run_opts: RunOptions, train_set: pd.DataFrame, valid_set: pd.DataFrame
) -> DetectorBrain:
    """Train a detector, from the last checkpoint if there is one, to the end.

    Arguments
    ---------
    hparams : HyperParameters
        ``brain_class``, ``front_end``, ``modules``, ``opt_class``, ``checkpointer``, ``data_folder``, ``seed``,
        ``crop``, ``augmentation``, ``batch_seconds``, ``valid_batch_seconds``, ``num_buckets``, ``num_workers``,
        ``number_of_epochs``, ``max_steps``, and what the Brain needs. With ``clean_validation: false`` validation clips
        are cropped and augmented as those of training, as in what was published.
    run_opts : RunOptions
        As :func:`begin_experiment` gives.
    train_set, valid_set : pandas.DataFrame
        Protocols. Where the first has a column Weight, an epoch draws its utterances by it (:class:`BatchPlan`).

    Returns
    -------
    DetectorBrain
        With the weights that were best on the validation set.

    Raises
    ------
    InputError
        When a set is empty, or nothing was trained.
    """
    for name, table in (("training", train_set), ("validation", valid_set)):
        if set(table["Label"].unique()) != set(LABELS):
            raise InputError(f"the {name} set needs real and fake utterances; it has {len(table)} rows, see Proportion")
    for key in DetectorBrain.HPARAMS_NEEDED:
        hparams[key]  # told now if it is missing
    if if_main_process():
        _record_run(hparams)
    seed, num_workers = hparams["seed"], hparams["num_workers"]
    try:
        brain = hparams["brain_class"](
            hparams["modules"], hparams["opt_class"], hparams, run_opts, checkpointer=hparams["checkpointer"]
        )
    except ValueError as error:  # SpeechBrain's, of fp16
        raise InputError(f"{hparams.file}: {error}") from None
    rank, size = rank_and_size()

    min_samples = hparams["front_end"].receptive_field
    crop = hparams["crop"]
    train_data = make_dataset(train_set, hparams["data_folder"], min_samples, crop, hparams["augmentation"], seed)
    lengths = np.minimum(train_set["Duration"].to_numpy(), crop.max_seconds if crop else np.inf)
    weights = train_set[WEIGHT].to_numpy() if WEIGHT in train_set else None
    plan = BatchPlan(lengths, hparams["batch_seconds"], hparams["num_buckets"], seed, weights)
    brain.train_batches = PlannedBatches(plan, rank, size)
    brain.last_step = min(hparams["max_steps"], ceil(hparams["number_of_epochs"] * len(plan) / brain.step_batches))

    as_training = () if hparams.get("clean_validation", True) else (crop, hparams["augmentation"], seed)
    valid_data = make_dataset(valid_set, hparams["data_folder"], min_samples, *as_training)
    valid_plan = BatchPlan(valid_set["Duration"].to_numpy(), hparams["valid_batch_seconds"], 50, seed)
    brain.valid_batches = PlannedBatches(valid_plan, rank, size)

    loaders: list[DataLoader] = [
        DataLoader(data, batch_sampler=batches, num_workers=num_workers, collate_fn=PaddedBatch)
        for data, batches in ((train_data, brain.train_batches), (valid_data, brain.valid_batches))
    ]
    try:
        brain.fit(brain.rounds(), *loaders, progressbar=False)
    finally:
        brain.close_logs()
    brain.load_best()
    return brain


def export_model(brain: DetectorBrain, hparams: HyperParameters, train_set: pd.DataFrame) -> None:
    """Write the model folder of a trained detector; what LoRA added becomes part of the weights.

    Arguments
    ---------
    brain : DetectorBrain
        As :func:`fit_detector` gives.
    hparams : HyperParameters
        ``model_folder``, ``modules``, ``corpora``, ``start_corpora``, ``licence`` (of the corpora), ``seed`` and, where
        training started from a model, ``start_from``.
    train_set : pandas.DataFrame
        Protocol; its generators are remembered.
    """
    if if_main_process():
        generators = train_set.loc[train_set["Label"] == "fake", "Attack"].unique()
        works = {", ".join(hparams["corpora"]): hparams["licence"] or ""}
        if start := hparams.get("start_from"):
            works[Path(start).name] = find_license(start)
        metadata = ModelMetadata(
            threshold=brain.threshold,
            threshold_source=f"equal error rate on the validation set ({100 * brain.eer:.2f} %)",
            training_corpora=[*hparams["start_corpora"], *hparams["corpora"]],
            training_generators=sorted(set(generators) - {"-"}),
            provenance=f"{Path(hparams.file).name}, antideepfake {__version__}, seed {hparams['seed']}",
            licence=combine_licenses(works),
        )
        merge_lora(hparams["modules"]["embedding_model"])
        write_model_folder(hparams["model_folder"], hparams.settings, hparams["modules"], metadata)
    wait_for_all(rank_and_size()[1])


def evaluate_model(
    model_folder: str | os.PathLike,
    test_set: pd.DataFrame,
    data_folder: str | os.PathLike,
    output_folder: str | os.PathLike,
    title: str = "",
    device: str = "cpu",
) -> int:
    """Score a test set with a model folder; print and report the error rates. All processes of a run call it.

    Arguments
    ---------
    model_folder : str or Path
        The detector.
    test_set : pandas.DataFrame
        Protocol.
    data_folder : str or Path
        What ``$ROOT`` stands for.
    output_folder : str or Path
        Takes ``scores.csv`` and the folder ``report``.
    title : str
        Of the report.
    device : str
        As :func:`antideepfake.inference.load_detector`.

    Returns
    -------
    int
        How many files could not be read; ``scores.csv.skipped.csv`` lists them.
    """
    folder = Path(output_folder)
    rank, size = rank_and_size()
    detector = load_detector(model_folder, device, trust_code=True)  # of this run
    metadata = detector.hparams.metadata
    skipped = score_protocol(detector, test_set, data_folder, folder / "scores.csv", rank=rank, world_size=size)
    if rank > 0:
        return 0
    path = folder / "scores.csv"
    scores = read_scores(path)
    by = ["Generators", "Attack"] if (scores["Attack"] != "-").any() else []
    scores["Generators"] = split_generators(scores, metadata.training_generators)
    calibration = metadata.log_likelihood_ratio()
    evaluation = Evaluator(metadata.threshold, metadata.threshold_source, calibration).evaluate(scores, "test set", by)
    print(format_evaluations([evaluation]))
    system = System(scores, evaluation, calibration, str(path), sha256([path]), read_record(path))
    write_report(folder / "report", [system], title or "Test set")
    if skipped:
        print(f"{len(skipped)} files of the test set skipped; see {folder}/scores.csv.skipped.csv", file=sys.stderr)
    return len(skipped)


def finish_experiment(
    brain: DetectorBrain, hparams: HyperParameters, test_set: pd.DataFrame | None = None, title: str = ""
) -> int:
    """Evaluate the model folder, say where the results are, and remember that nothing is left to do.

    With ``--test_only``, which leaves out training, it is not taken for done.

    Arguments
    ---------
    brain : DetectorBrain
        As :func:`fit_detector` gives.
    hparams : HyperParameters
        ``model_folder``, ``output_folder`` and ``data_folder``.
    test_set : pandas.DataFrame, optional
        Protocol. Without it there is no evaluation.
    title : str
        Of the report.

    Returns
    -------
    int
        Exit status: 1 when files of the test set could not be read, else 0.
    """
    folder, skipped = hparams["output_folder"], 0
    if test_set is not None:
        skipped = evaluate_model(hparams["model_folder"], test_set, hparams["data_folder"], folder, title, brain.device)
    if not if_main_process():
        return 0
    print(f"model folder: {hparams['model_folder']}; everything else: {folder}")
    if not brain.test_only:
        with atomic_open(Path(folder, FINISHED)) as file:
            json.dump({"date": date.today().isoformat(), "settings": hparams.settings}, file, indent=1)
    return 1 if skipped else 0
