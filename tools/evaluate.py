#!/usr/bin/env python
"""Turn score files into figures: error rates with their intervals, by any column, of one system or several.

SCORES is a score file of tools/score.py or of the released code (ID,Score,Label), a file with the four columns of
ASVspoof 2019 and AASIST (name attack key score), or with --protocol a submission to ASVspoof 5 or an Arena. Several
files are several systems: each is compared with the first on the utterances that both have.
--output takes a page to send to a colleague (report.html), metrics.json, metrics.csv, tables in Markdown and LaTeX, and
a picture.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from antideepfake.audit.leakage import Overlap, explain_held_out, explain_overlap, find_overlap, format_overlap
from antideepfake.cli.program import run_program
from antideepfake.corpora.registry import find_corpora, read_corpora
from antideepfake.errors import InputError
from antideepfake.evaluation.evaluator import Evaluator, System, group_by_seen_attacks
from antideepfake.evaluation.tables import format_evaluations
from antideepfake.files import sha256
from antideepfake.metrics.costs import AsvScores, min_a_dcf
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.protocol.table import read_protocol, text_encoding
from antideepfake.scoring.provenance import ScoreProvenance, read_provenance
from antideepfake.scoring.score_file import read_asv_scores, read_scores
from antideepfake.scoring.submissions import find_utterances, read_submission

CORPORA = read_corpora(Path(__file__).resolve().parents[1] / "recipes")


def read_system(path: str, protocol: pd.DataFrame | None) -> tuple[pd.DataFrame, int]:
    """Read scores, with labels and further columns from a protocol; gives how many utterances one of the two lacks."""
    with open(path, encoding=text_encoding(path), errors="replace") as file:
        is_score_file = bool({"ID", "Score", "Label"} & set(file.readline().strip().split(",")))
    scores = read_scores(path) if is_score_file else read_submission(path)
    if protocol is None:
        if "Label" not in scores:
            raise InputError(f"{path}: names and scores alone; --protocol tells what they are of")
        return (scores if is_score_file else name_rows(scores)), 0
    if is_score_file:
        rows = pd.Index(protocol["ID"]).get_indexer(pd.Index(scores["ID"]))
    elif "Name" in scores:
        rows = find_utterances(scores["Name"].tolist(), protocol, path)
    else:
        raise InputError(f"{path}: has no names to find in the protocol; its labels are enough without --protocol")
    known = rows >= 0
    if not known.any():
        raise InputError(f"{path}: none of its {len(scores)} utterances is in the protocol; is it of the same corpus?")
    twice = pd.Series(rows[known]).duplicated()
    if twice.any():
        name = protocol["ID"].iloc[rows[known][twice.to_numpy()][0]]
        raise InputError(
            f"{path}: {twice.sum()} utterances come a second time, such as '{name}'; keep one line of each"
        )
    kept = (scores.drop(columns="Label") if is_score_file else scores[["Score"]])[known].reset_index(drop=True)
    told = protocol[[column for column in protocol if column not in kept]].iloc[rows[known]].reset_index(drop=True)
    joined = pd.concat([kept, told], axis=1)
    unknown, unscored = int((~known).sum()), len(protocol) - len(joined)
    for count, text in ((unknown, "scored utterances are not in the protocol"), (unscored, "of it have no score")):
        if count:
            print(f"{path}: {count} {text}; they are left out", file=sys.stderr)
    return joined, unknown + unscored


def name_rows(scores: pd.DataFrame) -> pd.DataFrame:
    """Give the utterances of a submission with labels an ID: the name, or the number of the line among the scores."""
    names = scores["Name"] if "Name" in scores else [f"line {number}" for number in range(1, len(scores) + 1)]
    return scores.assign(ID=names)


def name_systems(paths: list[str]) -> list[str]:
    """Name score files by as much of the ends of their paths as tells them apart."""
    parts = [Path(path).with_suffix("").parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise InputError("a score file is given twice; name each once")


def describe_model(model: str | None, record: ScoreProvenance | None) -> ModelMetadata:
    """What is known of the detector: from its folder, or else from what its scores remember of it."""
    metadata = record.metadata if record else ModelMetadata()
    if model:
        metadata.load(Path(model, "metadata.json"))
    return metadata


def evaluate_file(path: str, name: str, args: argparse.Namespace, asv: AsvScores | None) -> tuple[System, int, Overlap]:
    """Evaluate a score file; gives how many utterances were left out, and what of them the model may know."""
    scores, left_out = read_system(path, read_protocol(args.protocol) if args.protocol else None)
    record = read_provenance(path)
    metadata = describe_model(args.model, record)
    threshold, source = metadata.threshold, metadata.threshold_source
    if args.threshold is not None:
        threshold, source = args.threshold, "as given on the command line"
    by = args.by.split(",") if args.by else []
    if "Corpus" in by and "Corpus" not in scores:
        scores["Corpus"] = find_corpora(scores["ID"], CORPORA).astype(str)
    if "Attack" in scores and metadata.training_attacks:
        scores["Generators"] = group_by_seen_attacks(scores, metadata.training_attacks)
    calibration = metadata.log_likelihood_ratio()
    chosen = metadata.threshold_errors if args.threshold is None else {}
    evaluator = Evaluator(threshold, source, calibration, asv, args.cluster, args.seed, threshold_errors=chosen)
    evaluation = evaluator.evaluate(scores, name, by, args.quiet)
    known = metadata.training_corpora
    overlap = Overlap(0)
    if known:
        protocols = [sha256([args.protocol])] if args.protocol else record.protocols if record else []
        splits = scores["Proportion"].tolist() if "Proportion" in scores else []
        trained = metadata.training_protocols
        overlap = find_overlap(scores["ID"], known, CORPORA, (), splits, protocols, trained)
    system = System(scores, evaluation, calibration, path, sha256([path]), record)
    return system, left_out, overlap


def main() -> int:
    """Parse the command line, evaluate, print, report."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/evaluate.py scores.csv --by Attack,Language --output report",
    )
    parser.add_argument("scores", nargs="+", help="score file; the first is the one that others are held against")
    parser.add_argument("--by", default="", help="columns to divide by, such as Attack,Language,Duration,Corpus")
    parser.add_argument("--output", help="folder for the report")
    parser.add_argument("--protocol", help="takes labels and columns from here, for scores that lack them")
    parser.add_argument("--model", help="model folder: takes threshold and calibration from here, not from the scores")
    parser.add_argument(
        "--threshold", type=float, help="a score at or above it means real (default: the model folder's)"
    )
    parser.add_argument("--cluster", help="column of what belongs together, such as Speaker: wider, truer intervals")
    parser.add_argument("--asv_scores", help="of a speaker verification to guard, CSV with Key and Score: min t-DCF")
    parser.add_argument("--title", help="of the report (default: the names of the score files)")
    parser.add_argument("--seed", type=int, default=1234, help="of the intervals (default: 1234)")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    args = parser.parse_args()

    asv = read_asv_scores(args.asv_scores) if args.asv_scores else None
    names = name_systems(args.scores)
    systems, left_out, overlaps = [], 0, []
    for path, name in zip(args.scores, names, strict=True):
        system, missing, overlap = evaluate_file(path, name, args, asv)
        systems.append(system)
        left_out += missing
        if overlap:
            overlaps.append((name, overlap))
        if note := explain_held_out(overlap):
            system.evaluation.remarks.append(note)
    evaluations = [system.evaluation for system in systems]
    first = systems[0]
    for system in systems[1:]:
        Evaluator(cluster=args.cluster, seed=args.seed).compare(first.scores, system.scores, system.evaluation)
        common = system.evaluation.common
        if not common:
            raise InputError(f"{first.source} and {system.source} have no utterance in common; evaluate each by itself")
        lone = len(first.scores) + len(system.scores) - 2 * common
        if lone:
            pair = f"{system.evaluation.name} and {first.evaluation.name}"
            print(f"{pair}: compared on the {common} utterances of both; {lone} are in one alone", file=sys.stderr)
    if args.output:
        from antideepfake.evaluation.report import write_report

        warnings = ["\n".join([f"{name}:", *explain_overlap(overlap)]) for name, overlap in overlaps]
        write_report(args.output, systems, args.title or ", ".join(names), warnings)
        print(f"report: {Path(args.output, 'report.html')}", file=sys.stderr)
    print(format_evaluations(evaluations))
    if asv:
        print(f"a-DCF of the speaker verification by itself: {min_a_dcf(asv):.3f}")
    for name, overlap in overlaps:  # last, so that it is seen
        print(f"{name}\n{format_overlap(overlap)}", file=sys.stderr)
    return 1 if left_out else 0


if __name__ == "__main__":
    run_program(main)
