"""The steps of an experiment, in the order in which a recipe calls them: begin, fit, export, evaluate, finish."""

import atexit
import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import speechbrain as sb
import torch
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.logger import get_logger
from speechbrain.utils.run_opts import RunOptions
from torch import distributed
from torch.utils.data import DataLoader

from antideepfake import __version__
from antideepfake.audit.leakage import format_overlap
from antideepfake.augment.splice import TrainingSplices
from antideepfake.corpora.registry import read_corpora
from antideepfake.dataio.batches import BatchPlan, PlannedBatches
from antideepfake.dataio.datasets import SkippingDataset, UtteranceDataset, make_dataset
from antideepfake.distributed import rank_and_size, report_lost_process, wait_for_all
from antideepfake.errors import InputError
from antideepfake.evaluation.evaluator import SEEN_ATTACK
from antideepfake.evaluation.report import write_report
from antideepfake.evaluation.systems import describe_test_set, evaluate_file
from antideepfake.evaluation.tables import format_evaluations
from antideepfake.files import atomic_open, sha256
from antideepfake.inference.detector import load_detector
from antideepfake.inference.packing import can_pack
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.license import combine_licenses, find_license
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.windowing import WHOLE, Windowing
from antideepfake.parallel import check_temporary_folder
from antideepfake.protocol.segments import Spans, read_listed_segments, segments_path
from antideepfake.protocol.table import LABELS, WEIGHT, read_protocol
from antideepfake.resources import find_resource
from antideepfake.scoring.scorer import score_protocol
from antideepfake.training.adaptation import list_lora_layers, merge_lora
from antideepfake.training.adapter import write_adapter
from antideepfake.training.brain import DetectorBrain
from antideepfake.training.checkpointer import AtomicCheckpointer
from antideepfake.training.hparams import HyperParameters
from antideepfake.training.logistic_brain import LogisticRegressionBrain
from antideepfake.training.settings import bind_keys, load_experiment

logger = get_logger(__name__)

FINISHED = "finished.json"
SAMPLE_RATE_DISTANCE = 0.5  # total variation distance; the classes of the published union differ by less


class Outcome(NamedTuple):
    """What an evaluation or an experiment ends with.

    Arguments
    ---------
    text : str
        Results for the terminal, in lines; empty on all processes but the first.
    status : int
        Exit status: 1 when files could not be used, else 0.
    """

    text: str
    status: int


def begin_experiment(arguments: list[str]) -> tuple[HyperParameters, RunOptions]:
    """Read the command line of a recipe, build the detector, join the process group, and make the output folder.

    The folder gets ``hyperparams.yaml`` (with references resolved), ``env.log`` (versions) and ``log.txt``.

    Arguments
    ---------
    arguments : list of str
        The YAML, SpeechBrain's run options, and overrides of keys of the YAML: ``sys.argv[1:]``.

    Returns
    -------
    hparams : HyperParameters
        As :func:`antideepfake.training.load_experiment` returns them.
    run_opts : RunOptions
        SpeechBrain's: device, precision and so on.

    Raises
    ------
    InputError
        When the YAML or an option is wrong.
    """
    hparams_file, run_opts, overrides = sb.parse_arguments(arguments)
    keys = [line.partition(":")[0] for line in overrides.splitlines()]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise InputError(f"--{', --'.join(twice)}: given twice on the command line; give it once")
    if not torch.cuda.is_available():
        given = run_opts.overridden_args | {"distributed_backend"}
        run_opts = replace(run_opts, distributed_backend="gloo", overridden_args=given)
    hparams = load_experiment(hparams_file, overrides)
    if not distributed.is_initialized():  # a process may run several experiments
        sb.utils.distributed.ddp_init_group(run_opts)
        if distributed.is_initialized():
            atexit.register(distributed.destroy_process_group)
    # They list all installed packages at every start, which env.log has. A filter, since SpeechBrain resets levels.
    verbose_loggers = [
        logging.getLogger(f"speechbrain.{name}") for name in ("core", "utils.quirks", "utils.superpowers")
    ]
    for log in verbose_loggers:
        log.addFilter(_is_warning)
    with contextlib.redirect_stdout(sys.stderr):  # SpeechBrain's log keeps this stream; stdout is for results
        sb.create_experiment_directory(hparams["output_folder"], hparams.file, overrides)
    for log in verbose_loggers:
        log.removeFilter(_is_warning)
    _keep_libraries_off_the_terminal()
    return hparams, run_opts


def _keep_libraries_off_the_terminal() -> None:
    """Write the log of libraries to log.txt, from INFO up; show only their warnings."""
    for handler in logging.root.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.setLevel(logging.INFO)
        else:
            handler.addFilter(lambda record: _is_warning(record) or record.name.startswith("antideepfake"))


def _is_warning(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


def is_finished(hparams: HyperParameters) -> bool:
    """Check whether this experiment was already finished with exactly these settings; if so, log it."""
    folder = Path(hparams["output_folder"])
    try:
        done = json.loads((folder / FINISHED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    if done["settings"] != hparams.settings:
        return False
    logger.info(f"{folder}: training already finished on {done['date']}; to train again, pass a new --output_folder")
    return True


def _record_run(hparams: HyperParameters) -> None:
    """Record what a run depends on besides its YAML: ``run.json`` in the output folder."""
    files = [Path(path) for protocol in _protocols(hparams) for path in (protocol, segments_path(protocol))]
    protocols = {str(path): sha256([path]) for path in files if path.exists()}
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
    """Train a detector to the end, from the last checkpoint if there is one.

    Arguments
    ---------
    hparams, run_opts :
        As :func:`begin_experiment` returns them.
    train_set, valid_set : pandas.DataFrame
        Protocols. If the first has a column Weight, an epoch samples its utterances by it
        (:class:`antideepfake.dataio.BatchPlan`).

    Returns
    -------
    DetectorBrain
        With the weights that were best on the validation set; a :class:`LogisticRegressionBrain` is refit to both sets.

    Raises
    ------
    InputError
        When a set lacks a class, too many files cannot be used, or nothing was trained.
    """
    for name, table in (("training", train_set), ("validation", valid_set)):
        if set(table["Label"].unique()) != set(LABELS):
            raise InputError(
                f"the {name} set has {len(table)} utterances; it needs both real and fake ones (see the columns Label "
                "and Proportion of the protocol)"
            )
    if hparams["num_workers"]:
        check_temporary_folder()
    if if_main_process():
        _record_run(hparams)
    _warn_of_sample_rates(train_set)
    train_data, train_batches, valid_data, valid_batches = _load_data(hparams, train_set, valid_set)
    brain = _build_brain(hparams, run_opts, train_batches, valid_batches)

    loaders: list[DataLoader] = [
        DataLoader(
            SkippingDataset(data, is_training, hparams["modules"]["embedding_model"].min_samples),
            batch_sampler=batches,
            num_workers=hparams["num_workers"],
            collate_fn=PaddedBatch,
            worker_init_fn=_ignore_ctrl_c,
        )
        for data, batches, is_training in (
            (train_data, train_batches, True),
            (valid_data, valid_batches, False),
        )
    ]
    try:
        with brain.stop_on_signal(), report_lost_process():
            brain.fit(brain.rounds(), *loaders, progressbar=False)
    finally:
        brain.close_logs()
    if brain.skipped_utterances:
        count = len(brain.skipped_utterances)
        logger.warning(f"skipped utterances: {count}; see {hparams['output_folder']}/skipped.csv")
    brain.load_best()
    if isinstance(brain, LogisticRegressionBrain):
        both = pd.concat([train_set, valid_set])
        brain.refit(dict(zip(both["ID"], both["Speaker"], strict=True)))
    else:
        brain.threshold_source += _describe_validation(train_set, valid_set)
    return brain


def _load_data(
    hparams: HyperParameters, train_set: pd.DataFrame, valid_set: pd.DataFrame
) -> tuple[UtteranceDataset, PlannedBatches, UtteranceDataset, PlannedBatches]:
    """Give the utterances and the batches of training, then those of validation."""
    seed, crop, encoder = hparams["seed"], hparams["crop"], hparams["modules"]["embedding_model"]
    rank, size = rank_and_size()
    data_folder, min_samples, normalized = hparams["data_folder"], encoder.min_samples, encoder.normalize
    frame_seconds = _frame_seconds(hparams)
    segments = _read_segments(hparams) if frame_seconds or hparams["splice"] else None
    as_training: dict[str, Any] = {"crop": crop, "augmentation": hparams["augmentation"], "seed": seed}

    splice = None if hparams["splice"] is None else TrainingSplices(train_set, data_folder, hparams["splice"])
    train_data = make_dataset(
        train_set,
        data_folder,
        min_samples,
        normalized=normalized,
        segments=segments,
        splice=splice,
        frame_seconds=frame_seconds,
        **as_training,
    )
    lengths = np.minimum(train_set["Duration"].to_numpy(), crop.max_seconds if crop else np.inf)
    weights = train_set[WEIGHT].to_numpy() if WEIGHT in train_set else None
    train_plan = BatchPlan(lengths, hparams["batch_seconds"], hparams["num_buckets"], seed, weights)
    unchanged = {} if hparams["clean_validation"] else as_training
    valid_data = make_dataset(valid_set, data_folder, min_samples, normalized=normalized, **unchanged)
    valid_plan = BatchPlan(valid_set["Duration"].to_numpy(), hparams["valid_batch_seconds"], 50, seed)
    return train_data, PlannedBatches(train_plan, rank, size), valid_data, PlannedBatches(valid_plan, rank, size)


def _frame_seconds(hparams: HyperParameters) -> float | None:
    """Give the length of the frames whose labels the Brain needs; None if it needs none."""
    brain = hparams["brain_class"]
    if not getattr(getattr(brain, "func", brain), "learns_frames", False):
        return None
    if seconds := hparams["modules"]["embedding_model"].frame_seconds:
        return seconds
    raise InputError(
        f"{hparams.where('back_end')} gives no frames, which the brain_class learns from; use "
        "hparams/back_ends/frame_level.yaml, without a fixed_length"
    )


def _read_segments(hparams: HyperParameters) -> dict[str, Spans]:
    """Read where the utterances of the protocols are fake, from the segments beside those that have them."""
    segments: dict[str, Spans] = {}
    for protocol in _protocols(hparams):
        if (path := segments_path(protocol)).exists():
            segments |= read_listed_segments(path, read_protocol(protocol))
    return segments


def _build_brain(
    hparams: HyperParameters, run_opts: RunOptions, train_batches: PlannedBatches, valid_batches: PlannedBatches
) -> DetectorBrain:
    """Build the Brain with its optimizer class, learning-rate schedule and checkpointer."""
    if isinstance(hparams["lr_schedule"], type | partial):  # !name:, not yet an object
        hparams["lr_schedule"] = bind_keys(hparams["lr_schedule"], hparams)()
    checkpointer = AtomicCheckpointer(
        Path(hparams["output_folder"], "checkpoints"), {**hparams["modules"], "lr_schedule": hparams["lr_schedule"]}
    )
    try:
        brain = bind_keys(hparams["brain_class"], hparams)(
            modules=hparams["modules"],
            opt_class=bind_keys(hparams["opt_class"], hparams),
            hparams=hparams,
            run_opts=run_opts,
            checkpointer=checkpointer,
            train_batches=train_batches,
            valid_batches=valid_batches,
        )
    except ValueError as error:  # SpeechBrain's, of a precision that the device does not support
        raise InputError(f"{hparams.file}: {error}") from None
    if brain.precision == "bf16" and brain.device_type == "cpu" and not can_pack(torch.bfloat16):
        logger.warning("this processor has no bfloat16 arithmetic; emulating it is slower than --precision fp32")
    warm_up = getattr(hparams["lr_schedule"], "n_warmup_steps", 0)
    if warm_up > brain.last_step:
        logger.warning(
            f"the learning rate warms up over {warm_up} steps, but training ends after {brain.last_step}: it reaches "
            f"{brain.last_step / warm_up:.0%} of lr; lower --n_warmup_steps"
        )
    return brain


def _warn_of_sample_rates(train_set: pd.DataFrame) -> None:
    """Warn when the classes have different sample rates: the detector can then learn the bandwidth."""
    if "SampleRate" not in train_set:
        return
    fractions = train_set.groupby("Label")["SampleRate"].value_counts(normalize=True).unstack("Label", fill_value=0.0)
    # total variation distance: 0 for equal distributions, 1 for distributions without a common rate
    distance = (fractions["real"] - fractions["fake"]).abs().sum() / 2
    if distance > SAMPLE_RATE_DISTANCE:
        common = {label: int(fractions[label].idxmax()) for label in LABELS}
        logger.warning(
            f"real and fake training files differ in sample rate (mostly {common['real']} and {common['fake']} Hz), so "
            "the detector can tell them apart by bandwidth alone; resample both to the same rate"
        )


def _ignore_ctrl_c(worker: int) -> None:
    """Keep a worker alive on Ctrl-C: the current training step still needs its batches."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _describe_validation(train_set: pd.DataFrame, valid_set: pd.DataFrame) -> str:
    """Qualify a threshold whose validation set has speakers or spoofing systems of the training set."""
    known = []
    for name, column, label in (("speakers", "Speaker", "real"), ("spoofing systems", "Attack", "fake")):
        train, valid = (
            set(table.loc[table["Label"] == label, column].unique()) - {"-"} for table in (train_set, valid_set)
        )
        if not valid or not train:
            known.append(f"possibly the same {name}")
        elif valid <= train:
            known.append(f"the same {name}")
    if not known:
        return ""
    return f", which has {' and '.join(known)} as the training set: expect more errors elsewhere"


def export_model(
    brain: DetectorBrain, hparams: HyperParameters, train_set: pd.DataFrame, valid_set: pd.DataFrame
) -> None:
    """Write the model folder of a trained detector; LoRA matrices are merged into the weights.

    Arguments
    ---------
    brain : DetectorBrain
        As :func:`fit_detector` returns it.
    hparams : HyperParameters
        As :func:`begin_experiment` returns them.
    train_set, valid_set : pandas.DataFrame
        Protocols. The folder records the spoofing systems that the weights were fitted to.
    """
    if if_main_process():
        fitted = pd.concat([train_set, valid_set]) if isinstance(brain, LogisticRegressionBrain) else train_set
        attacks = fitted.loc[fitted["Label"] == "fake", "Attack"].unique()
        made_by = [Path(hparams.file).name, f"antideepfake {__version__}", f"seed {hparams['seed']}"]
        licenses = {", ".join(hparams["corpora"]): hparams["license"] or ""}
        if start := hparams.get("start_from"):
            licenses[Path(start).name] = find_license(start)
            made_by.append(f"started from {start}")
        metadata = ModelMetadata(
            threshold=brain.threshold,
            threshold_source=brain.threshold_source,
            threshold_errors=brain.threshold_errors,
            validation_scores=brain.validation_scores,
            training_corpora=[*hparams["start_corpora"], *hparams["corpora"]],
            training_attacks=sorted(set(attacks) - {"-"}),
            provenance=", ".join(made_by),
            license=combine_licenses(licenses),
            training_protocols=_describe_protocols(hparams, train_set, valid_set),
            windows={"utterance_seconds": _find_longest_clip(hparams, train_set)},
        )
        if list_lora_layers(hparams["modules"]["embedding_model"]):
            write_adapter(Path(hparams["model_folder"]).with_name("adapter"), hparams["modules"], metadata)
        merge_lora(hparams["modules"]["embedding_model"])
        write_model_folder(hparams["model_folder"], hparams.settings, hparams["modules"], metadata)
    wait_for_all(rank_and_size()[1])


def _find_longest_clip(hparams: HyperParameters, train_set: pd.DataFrame) -> float:
    """Give the length of the longest clip of training in seconds, at least that of a window."""
    longest = float(train_set["Duration"].max())
    if crop := hparams["crop"]:
        longest = min(longest, crop.max_seconds)
    return max(longest, Windowing.window_seconds)


def _protocols(hparams: HyperParameters) -> list[str]:
    return [str(path) for key, path in hparams.items() if key.endswith("protocol") and path]


def _describe_protocols(
    hparams: HyperParameters, train_set: pd.DataFrame, valid_set: pd.DataFrame
) -> list[dict[str, Any]]:
    """Describe the protocols of training for the metadata of a model folder."""
    # the start model may have been trained on other utterances of its corpora
    corpora = [name for name in hparams["corpora"] if name not in hparams["start_corpora"]]
    splits = sorted({*train_set["Proportion"].unique(), *valid_set["Proportion"].unique()})
    return [
        {
            "name": Path(path).name,
            "sha256": sha256([path]),
            "corpora": corpora,
            "splits": splits,
            "utterances": len(train_set) + len(valid_set),
        }
        for path in _protocols(hparams)
    ]


def evaluate_model(
    model_folder: str | os.PathLike,
    test_set: pd.DataFrame,
    data_folder: str | os.PathLike,
    output_folder: str | os.PathLike,
    title: str = "",
    device: str = "cpu",
    protocols: Sequence[str] = (),
) -> Outcome:
    """Score a test set with a model folder and write a report. All processes of a run call it.

    A warning names leakage from training, and how many files could not be read.

    Arguments
    ---------
    model_folder : str or Path
        The detector.
    test_set : pandas.DataFrame
        Protocol.
    data_folder : str or Path
        What ``$ROOT`` stands for.
    output_folder : str or Path
        Gets ``scores.csv`` and the folder ``report``.
    title : str
        Of the report.
    device : str
        As for :func:`antideepfake.inference.load_detector`.
    protocols : sequence of str
        Files that the test set was read from.

    Returns
    -------
    Outcome
        Table of error rates; status 1 when files could not be read. ``scores.csv.skipped.csv`` lists them.
    """
    folder = Path(output_folder)
    rank, size = rank_and_size()
    detector = load_detector(model_folder, device, trust_code=True)  # of this run
    metadata = detector.hparams.metadata
    skipped = score_protocol(
        detector,
        test_set,
        data_folder,
        folder / "scores.csv",
        rank=rank,
        world_size=size,
        protocols=protocols,
        windowing=WHOLE,
    )
    if rank > 0:
        return Outcome("", 0)
    by = ["Attack"] if (test_set["Attack"] != "-").any() else []
    by = [SEEN_ATTACK, *by] if by and metadata.training_attacks else by
    corpora = read_corpora(find_resource("recipes"))
    system = evaluate_file(folder / "scores.csv", "test set", corpora, by, metadata=metadata)
    if system.overlap:
        logger.warning(format_overlap(system.overlap))
    write_report(folder / "report", [system], title or describe_test_set(system, corpora))
    if skipped:
        logger.warning(f"skipped files of the test set: {len(skipped)}; see {folder}/scores.csv.skipped.csv")
    return Outcome(format_evaluations([system.evaluation]) + "\n", 1 if skipped else 0)


def finish_experiment(
    brain: DetectorBrain, hparams: HyperParameters, test_set: pd.DataFrame | None = None, title: str = ""
) -> Outcome:
    """Evaluate the model folder and mark the experiment as finished.

    With ``--test_only``, which skips training, the experiment is not marked.

    Arguments
    ---------
    brain : DetectorBrain
        As :func:`fit_detector` returns it.
    hparams : HyperParameters
        As :func:`begin_experiment` returns them.
    test_set : pandas.DataFrame, optional
        Protocol. Without it, nothing is evaluated.
    title : str
        Of the report.

    Returns
    -------
    Outcome
        Table of error rates and where the results are; status 1 when files of the training, validation or test set
        could not be used.
    """
    folder, results = hparams["output_folder"], Outcome("", 0)
    if test_set is not None:
        model, data = hparams["model_folder"], hparams["data_folder"]
        results = evaluate_model(model, test_set, data, folder, title, brain.device, _protocols(hparams))
    if not if_main_process():
        return results
    if not brain.test_only:
        with atomic_open(Path(folder, FINISHED)) as file:
            json.dump({"date": date.today().isoformat(), "settings": hparams.settings}, file, indent=1)
    where = f"model folder: {hparams['model_folder']}; everything else: {folder}\n"
    return Outcome(results.text + where, 1 if brain.skipped_utterances else results.status)
