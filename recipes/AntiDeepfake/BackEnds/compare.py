#!/usr/bin/env python
"""Compare back ends on the same front end: the same data, the same number of steps, several seeds.

Takes the YAML of any recipe whose protocol has the splits train, valid and test, a YAML of back ends, and keys of the
first. Writes a folder for each run, and back_ends.csv. Run the same command to resume: finished runs are skipped.
"""

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import yaml
from speechbrain.dataio.batch import PaddedBatch
from speechbrain.utils.distributed import if_main_process
from speechbrain.utils.run_opts import RunOptions

from antideepfake.cli import options
from antideepfake.cli.program import run_program
from antideepfake.errors import InputError
from antideepfake.evaluation.tables import format_text
from antideepfake.files import atomic_open
from antideepfake.metrics.rates import equal_error_rate, error_rates, sort_trials
from antideepfake.protocol.table import read_protocol, split_protocol
from antideepfake.scoring.score_file import read_scores
from antideepfake.training.brain import DetectorBrain
from antideepfake.training.experiment import (
    begin_experiment,
    evaluate_model,
    export_model,
    finish_experiment,
    fit_detector,
    is_finished,
)
from antideepfake.training.hparams import HyperParameters

COSTS = "costs.json"
RATES = {"eer": "test", "unseen_eer": "unseen systems", "second_eer": "second test"}
EXAMPLE = "python compare.py ../../MiniCorpus/hparams/train.yaml --data_folder DATA --output_folder results/back_ends"


class TimedBrain(DetectorBrain):
    """A Brain that measures the time of its training batches."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.durations: list[float] = []

    def fit_batch(self, batch: PaddedBatch) -> torch.Tensor:
        """Fit a batch and keep the time that it took."""
        began = time.perf_counter()
        loss = super().fit_batch(batch)
        self.durations.append(time.perf_counter() - began)
        return loss


def parse_arguments(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse the program's own options; everything else is passed on to the YAML."""
    parser = options.Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"example:\n  {EXAMPLE}",
        allow_abbrev=False,
    )
    parser.add_argument("hparams_file", help="YAML of a recipe; its keys are options, such as --data_folder")
    parser.add_argument("--output_folder", required=True, help="takes a folder for each run and back_ends.csv")
    parser.add_argument(
        "--back_ends",
        default=str(Path(__file__).with_name("whisper_tiny_en.yaml")),
        help="YAML of back ends: a name, and keys of the other YAML to replace (default: those for Whisper tiny.en)",
    )
    parser.add_argument("--names", nargs="+", help="some of these back ends (default: all)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="a run each (default: 1 2 3)")
    parser.add_argument("--test", metavar="PROTOCOL", help="second protocol to test on, all of its utterances")
    parser.add_argument("--test_folder", default=".", help="what $ROOT stands for in it (default: .)")
    return parser.parse_known_args(argv)


def read_back_ends(path: str, names: Sequence[str] | None) -> dict[str, dict[str, str]]:
    """Read the keys to replace for each back end."""
    back_ends = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if unknown := sorted(set(names or []) - set(back_ends)):
        raise InputError(f"{path}: has no back end {', '.join(unknown)}; choose from {', '.join(back_ends)}")
    return {name: back_ends[name] for name in names or back_ends}


def replace_keys(path: str, keys: Mapping[str, str]) -> str:
    """Give the text of a YAML with other values of some keys; an override would keep the class of the old value."""
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file; check the path")
    text = Path(path).read_text(encoding="utf-8")
    for key, value in keys.items():
        new = f"{key}: {value}\n".replace("\\", r"\\")  # a backslash in a replacement is an escape
        text, count = re.subn(rf"^{key}:.*\n(?:[ \t]+.*\n)*", new, text, flags=re.M)
        if not count:
            raise InputError(f"{path}: has no key '{key}', which the back ends replace; add '{key}: null'")
    folder = Path(path).resolve().parent
    return re.sub(r"!include:([^/\s]\S*)", lambda found: f"!include:{folder / found[1]}", text)


def train(hparams: HyperParameters, run_opts: RunOptions, sets: Sequence[pd.DataFrame], title: str) -> int:
    """Train, export and evaluate a detector, unless this is done; return the exit status."""
    if is_finished(hparams):
        return 0
    train_set, valid_set, test_set = sets
    hparams["brain_class"] = TimedBrain
    weights = [weight for module in hparams["modules"].values() for weight in module.parameters()]
    brain = fit_detector(hparams, run_opts, train_set, valid_set)
    assert isinstance(brain, TimedBrain)
    export_model(brain, hparams, train_set, valid_set)
    if if_main_process():
        seconds = statistics.median(brain.durations) * brain.grad_accumulation_factor if brain.durations else None
        costs = {
            "parameters": sum(weight.numel() for weight in weights if weight.requires_grad),
            "seconds_per_step": seconds,
        }
        with atomic_open(Path(hparams["output_folder"], COSTS)) as file:
            json.dump(costs, file)
    return finish_experiment(brain, hparams, test_set, title).status


def compute_eer(scores: pd.DataFrame) -> float:
    """Compute the equal error rate, a fraction; NaN without a class."""
    real, fake = (scores.loc[scores["Label"] == label, "Score"].to_numpy() for label in ("real", "fake"))
    if not (len(real) and len(fake)):
        return float("nan")
    return float(equal_error_rate(error_rates(sort_trials(real, fake)))[0])


def describe_run(folder: Path) -> dict[str, Any]:
    """Read the costs and error rates of a finished run."""
    scores = read_scores(folder / "scores.csv")
    trained = json.loads((folder / "model" / "metadata.json").read_text(encoding="utf-8"))["training_attacks"]
    unseen = scores[(scores["Label"] == "real") | ~scores["Attack"].isin([*trained, "-"])]
    row = {**json.loads((folder / COSTS).read_text(encoding="utf-8")), "eer": compute_eer(scores)}
    row["unseen_eer"] = compute_eer(unseen)
    second = folder / "second_test" / "scores.csv"
    return row | {"second_eer": compute_eer(read_scores(second)) if second.exists() else float("nan")}


def summarize(rows: pd.DataFrame) -> pd.DataFrame:
    """Average the runs of each back end, in their order: means, and the standard deviations of error rates."""
    groups = rows.groupby("back_end", sort=False)
    table = groups[["parameters", "seconds_per_step", *RATES]].mean()
    return table.join(groups[list(RATES)].std().add_suffix("_std")).assign(seeds=groups.size()).reset_index()


def format_back_ends(table: pd.DataFrame) -> str:
    """Format the result of :func:`summarize` for a terminal; error rates are in percent."""
    lines = []
    for row in table.to_dict("records"):
        rates = ["-" if pd.isna(row[name]) else f"{100 * row[name]:.2f}" for name in RATES]
        spreads = ["" if pd.isna(row[f"{name}_std"]) else f" +- {100 * row[f'{name}_std']:.2f}" for name in RATES]
        seconds = "-" if pd.isna(row["seconds_per_step"]) else f"{row['seconds_per_step']:.2f}"
        rates = [rate + spread for rate, spread in zip(rates, spreads, strict=True)]
        lines.append([row["back_end"], f"{row['parameters']:,.0f}", seconds, *rates])
    heads = ["back end", "trained weights", "s/step", *(f"EER % {name}" for name in RATES.values())]
    return format_text(pd.DataFrame(lines, columns=heads))


def main() -> int:
    """Train every back end with every seed, and compare."""
    args, given = parse_arguments(sys.argv[1:])
    back_ends: Mapping[str, Mapping[str, str]] = read_back_ends(args.back_ends, args.names)
    second = read_protocol(args.test) if args.test else None
    status, rows = 0, []
    for name, keys in back_ends.items():
        for seed in args.seeds:
            folder = Path(args.output_folder, f"{name}_{seed}")
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_open(folder / "train.yaml") as file:
                file.write(replace_keys(args.hparams_file, keys))
            own = ["--seed", str(seed), "--output_folder", str(folder)]
            hparams, run_opts = begin_experiment([str(folder / "train.yaml"), *given, *own])
            sets = split_protocol(read_protocol(hparams["protocol"]), hparams["protocol"])
            status |= train(hparams, run_opts, sets, f"{name}, seed {seed}")
            output = folder / "second_test"
            if second is not None and not (output / "scores.csv").exists():
                output.mkdir(exist_ok=True)
                model, title = hparams["model_folder"], f"{name}, seed {seed}"
                where = (args.test_folder, output, title, run_opts.device, [args.test])
                status |= evaluate_model(model, second, *where).status
            if if_main_process():
                rows.append({"back_end": name, **describe_run(folder)})
    if if_main_process():
        table = summarize(pd.DataFrame(rows))
        with atomic_open(Path(args.output_folder, "back_ends.csv")) as file:
            table.to_csv(file, index=False)
        print(format_back_ends(table))
    return status


if __name__ == "__main__":
    run_program(main)
