"""Evaluate score files: error rates by any column, of one system or several.

Every error rate has a 95 % interval.

SCORES is a score file of 'antideepfake score' or of the released code (ID,Score,Label), a file with the four columns of
ASVspoof 2019 and AASIST (name attack key score), or with --protocol a submission to ASVspoof 5 or an Arena. Several
files are several systems: each is compared with the first on the utterances that both have.
--output takes a page to send to a colleague (report.html), metrics.json, metrics.csv, tables in Markdown and LaTeX, and
a plot.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from antideepfake.cli import options

if TYPE_CHECKING:
    from antideepfake.model_folder.metadata import ModelMetadata

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
    parser.add_argument("--title", help="title of the report (default: the corpora and number of utterances)")
    options.add_seed(parser, "the intervals")
    options.add_format(parser)
    options.add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Evaluate, write the report and print."""
    import json
    from concurrent.futures import ThreadPoolExecutor
    from functools import partial

    from antideepfake.audit.leakage import format_overlap
    from antideepfake.corpora.registry import read_corpora
    from antideepfake.evaluation.report import describe_systems, write_report
    from antideepfake.evaluation.systems import compare_with_first, describe_test_set, evaluate_file, name_systems
    from antideepfake.evaluation.tables import flatten, format_evaluations
    from antideepfake.files import sha256
    from antideepfake.metrics.costs import min_a_dcf
    from antideepfake.protocol.table import read_protocol
    from antideepfake.resources import find_resource
    from antideepfake.scoring.score_file import read_asv_scores

    for name in REPORT if args.output else ():
        options.refuse_existing(Path(args.output, name), args.overwrite)
    cluster = None if args.cluster == "none" else args.cluster
    corpora = read_corpora(find_resource("recipes"))
    asv = read_asv_scores(args.asv_scores) if args.asv_scores else None
    evaluate = partial(
        evaluate_file,
        corpora=corpora,
        by=args.by,
        protocol=read_protocol(args.protocol) if args.protocol else None,
        protocols=[sha256([args.protocol])] if args.protocol else [],
        metadata=read_metadata(args.model) if args.model else None,
        threshold=args.threshold,
        cluster=cluster,
        asv=asv,
        seed=args.seed,
        quiet=args.quiet,
    )
    with ThreadPoolExecutor(2) as pool:  # Arrow and numpy leave the interpreter to the other thread
        systems = list(pool.map(evaluate, args.scores, name_systems(args.scores)))
    remarks = compare_with_first(systems, cluster, args.seed)
    for sentence in [*(sentence for system in systems for sentence in system.left_out), *remarks]:
        print(sentence, file=sys.stderr)
    evaluations = [system.evaluation for system in systems]
    title = args.title
    if not title and (args.output or args.format == "json"):
        title = describe_test_set(systems[0], corpora)
    if args.output:
        write_report(args.output, systems, title)
        print(f"report: {Path(args.output, 'report.html')}", file=sys.stderr)
    if args.format == "json":
        print(json.dumps(describe_systems(systems, title), indent=1, ensure_ascii=False, allow_nan=False))
    elif args.format == "csv":
        options.print_table(flatten(evaluations), "csv")
    else:
        print(format_evaluations(evaluations))
        if asv:
            print(f"a-DCF of the speaker verification by itself: {min_a_dcf(asv):.3f}")
    for system in systems:  # last, so that it is seen
        if system.overlap:
            print(f"{system.evaluation.name}\n{format_overlap(system.overlap)}", file=sys.stderr)
    return 1 if any(system.left_out for system in systems) else 0


def read_metadata(model: str) -> "ModelMetadata":
    """Read the metadata of a model folder."""
    from antideepfake.model_folder.metadata import ModelMetadata

    metadata = ModelMetadata()
    metadata.load(Path(model, "metadata.json"))
    return metadata
