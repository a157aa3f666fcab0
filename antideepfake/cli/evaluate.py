"""Evaluate score files: error rates with their intervals, by any column, of one system or several.

SCORES is a score file of 'antideepfake score' or of the released code (ID,Score,Label), a file with the four columns of
ASVspoof 2019 and AASIST (name attack key score), or with --protocol a submission to ASVspoof 5 or an Arena. Several
files are several systems: each is compared with the first on the utterances that both have.
--output takes a page to send to a colleague (report.html), metrics.json, metrics.csv, tables in Markdown and LaTeX, and
a plot.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from antideepfake.cli import options
from antideepfake.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from antideepfake.audit.leakage import Overlap
    from antideepfake.evaluation.evaluator import System
    from antideepfake.metrics.costs import AsvScores
    from antideepfake.model_folder.metadata import ModelMetadata
    from antideepfake.scoring.provenance import ScoreProvenance

REPORT = ("report.html", "metrics.json", "metrics.csv", "tables.md", "tables.tex", "scores.png")
EXAMPLE = "evaluate scores.csv --by Attack Language --output report"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("scores", nargs="+", help="score file; others are compared with the first")
    options.add_by(parser)
    options.add_output(parser, "folder for the report", required=False)
    parser.add_argument("--protocol", help="protocol with labels and columns, for scores that lack them")
    parser.add_argument("--model", help="model folder whose threshold and calibration are used, not the scores' own")
    parser.add_argument(
        "--threshold", type=float, help="a score at or above it means real (default: the model folder's)"
    )
    options.add_cluster(parser)
    parser.add_argument(
        "--asv_scores", help="scores of a speaker-verification system (CSV with Key and Score), for min t-DCF"
    )
    parser.add_argument("--title", help="title of the report (default: the names of the score files)")
    options.add_seed(parser, "the intervals")
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, write the report and print."""
    from antideepfake.audit.leakage import explain_held_out, explain_overlap, format_overlap
    from antideepfake.evaluation.evaluator import Evaluator
    from antideepfake.evaluation.tables import flatten, format_evaluations
    from antideepfake.metrics.costs import min_a_dcf
    from antideepfake.scoring.score_file import read_asv_scores

    for name in REPORT if args.output else ():
        options.refuse_existing(Path(args.output, name), args.overwrite)
    cluster = None if args.cluster == "none" else args.cluster
    asv = read_asv_scores(args.asv_scores) if args.asv_scores else None
    names = name_systems(args.scores)
    systems, left_out, overlaps = [], 0, []
    for path, name in zip(args.scores, names, strict=True):
        system, missing, overlap = evaluate_file(path, name, args, cluster, asv)
        systems.append(system)
        left_out += missing
        if overlap:
            overlaps.append((name, overlap))
        if note := explain_held_out(overlap):
            system.evaluation.remarks.append(note)
    evaluations = [system.evaluation for system in systems]
    first = systems[0]
    for system in systems[1:]:
        Evaluator(cluster=cluster, seed=args.seed).compare(first.scores, system.scores, system.evaluation)
        common = system.evaluation.common
        if not common:
            raise InputError(f"{first.source} and {system.source} have no utterance in common; evaluate each by itself")
        lone = len(first.scores) + len(system.scores) - 2 * common
        if lone:
            pair = f"{system.evaluation.name} and {first.evaluation.name}"
            print(f"{pair}: compared on the {common} utterances of both; {lone} are in one alone", file=sys.stderr)
    title = args.title or ", ".join(names)
    warnings = ["\n".join([f"{name}:", *explain_overlap(overlap)]) for name, overlap in overlaps]
    if args.output:
        from antideepfake.evaluation.report import write_report

        write_report(args.output, systems, title, warnings)
        print(f"report: {Path(args.output, 'report.html')}", file=sys.stderr)
    if args.format == "json":
        from antideepfake.evaluation.report import describe_systems

        print(json.dumps(describe_systems(systems, title, warnings), indent=1, ensure_ascii=False, allow_nan=False))
    elif args.format == "csv":
        options.print_table(flatten(evaluations), "csv")
    else:
        print(format_evaluations(evaluations))
        if asv:
            print(f"a-DCF of the speaker verification by itself: {min_a_dcf(asv):.3f}")
    for name, overlap in overlaps:  # last, so that it is seen
        print(f"{name}\n{format_overlap(overlap)}", file=sys.stderr)
    return 1 if left_out else 0


def evaluate_file(
    path: str, name: str, args: argparse.Namespace, cluster: str | None, asv: "AsvScores | None"
) -> "tuple[System, int, Overlap]":
    """Evaluate a score file; gives how many utterances were left out, and what the model may know of the others."""
    from antideepfake.audit.leakage import Overlap, find_overlap
    from antideepfake.corpora.registry import find_corpora, read_corpora
    from antideepfake.evaluation.evaluator import Evaluator, System, group_by_seen_attacks
    from antideepfake.files import sha256
    from antideepfake.protocol.table import read_protocol
    from antideepfake.resources import find_resource
    from antideepfake.scoring.provenance import read_provenance

    scores, left_out = read_system(path, read_protocol(args.protocol) if args.protocol else None)
    record = read_provenance(path)
    metadata = describe_model(args.model, record)
    threshold, source = metadata.threshold, metadata.threshold_source
    if args.threshold is not None:
        threshold, source = args.threshold, "as given on the command line"
    corpora = read_corpora(find_resource("recipes"))
    if "Corpus" in args.by and "Corpus" not in scores:
        scores["Corpus"] = find_corpora(scores["ID"], corpora).astype(str)
    if "Attack" in scores and metadata.training_attacks:
        scores["Generators"] = group_by_seen_attacks(scores, metadata.training_attacks)
    calibration = metadata.log_likelihood_ratio()
    chosen = metadata.threshold_errors if args.threshold is None else {}
    evaluator = Evaluator(threshold, source, calibration, asv, cluster, args.seed, threshold_errors=chosen)
    evaluation = evaluator.evaluate(scores, name, args.by, args.quiet)
    overlap = Overlap(0)
    if metadata.training_corpora:
        protocols = [sha256([args.protocol])] if args.protocol else record.protocols if record else []
        splits = scores["Proportion"].tolist() if "Proportion" in scores else []
        known = (metadata.training_corpora, corpora, (), splits, protocols, metadata.training_protocols)
        overlap = find_overlap(scores["ID"], *known)
    return System(scores, evaluation, calibration, path, sha256([path]), record), left_out, overlap


def read_system(path: str, protocol: "pd.DataFrame | None") -> "tuple[pd.DataFrame, int]":
    """Read scores, with labels and further columns from a protocol; gives how many utterances one of the two lacks."""
    import pandas as pd

    from antideepfake.protocol.table import text_encoding
    from antideepfake.scoring.score_file import read_scores
    from antideepfake.scoring.submissions import find_utterances, read_submission

    with open(path, encoding=text_encoding(path), errors="replace") as file:
        is_score_file = bool({"ID", "Score", "Label"} & set(file.readline().strip().split(",")))
    scores = read_scores(path) if is_score_file else read_submission(path)
    if protocol is None:
        if "Label" not in scores:
            raise InputError(f"{path}: has names and scores alone; name the protocol of its utterances with --protocol")
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
    repeated = pd.Series(rows[known]).duplicated()
    if repeated.any():
        name = protocol["ID"].iloc[rows[known][repeated.to_numpy()][0]]
        raise InputError(f"{path}: {repeated.sum()} utterances occur twice, such as '{name}'; keep one line of each")
    kept = (scores.drop(columns="Label") if is_score_file else scores[["Score"]])[known].reset_index(drop=True)
    added = protocol[[column for column in protocol if column not in kept]].iloc[rows[known]].reset_index(drop=True)
    joined = pd.concat([kept, added], axis=1)
    unknown, unscored = int((~known).sum()), len(protocol) - len(joined)
    for count, text in ((unknown, "scored utterances are not in the protocol"), (unscored, "of it have no score")):
        if count:
            print(f"{path}: {count} {text}; they are left out", file=sys.stderr)
    return joined, unknown + unscored


def name_rows(scores: "pd.DataFrame") -> "pd.DataFrame":
    """Give the utterances of a submission with labels an ID: the name, or the number of the line among the scores."""
    names = scores["Name"] if "Name" in scores else [f"line {number}" for number in range(1, len(scores) + 1)]
    return scores.assign(ID=names)


def name_systems(paths: list[str]) -> list[str]:
    """Name score files by as much of the ends of their paths as distinguishes them."""
    parts = [Path(path).with_suffix("").parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise InputError("a score file is given twice; name each once")


def describe_model(model: str | None, record: "ScoreProvenance | None") -> "ModelMetadata":
    """Give what is known of the detector: from its folder, or else from the record beside its scores."""
    from antideepfake.model_folder.metadata import ModelMetadata

    metadata = record.metadata if record else ModelMetadata()
    if model:
        metadata.load(Path(model, "metadata.json"))
    return metadata
