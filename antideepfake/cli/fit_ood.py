"""Enable the decision 'unsure' for out-of-distribution recordings.

EMBEDDINGS are those of speech like the training data, preferably the validation set: at least several hundred real and
fake utterances, written by 'antideepfake score --embeddings' with this model. Afterwards, the decision is 'unsure' for
a recording that is farther away than all but --fraction of these. With --scores, the score file of the embeddings, the
limit applies to new speakers.
"""

import argparse
import sys
from pathlib import Path

from antideepfake.cli import options
from antideepfake.errors import InputError

EXAMPLE = (
    "score recipes/MiniCorpus/results/small/model data/MiniCorpus.csv --data_folder data --split valid "
    "--output valid.csv --embeddings valid.parquet\n"
    "fit-ood recipes/MiniCorpus/results/small/model valid.parquet --scores valid.csv"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("model", help="model folder; the out-of-distribution detector is written to it")
    parser.add_argument("embeddings", help="embeddings of in-distribution speech (.parquet)")
    parser.add_argument(
        "--fraction",
        type=options.fraction,
        default=0.01,
        help="fraction of these utterances to flag: the acceptable false-alarm rate (default: 0.01)",
    )
    parser.add_argument("--scores", help="score file of the embeddings, which names the speakers")
    options.add_cluster(parser)
    options.add_overwrite(parser)


def run(args: argparse.Namespace) -> int:
    """Fit, write and print."""
    import numpy as np

    from antideepfake.model_folder.names import OOD_DETECTOR
    from antideepfake.model_folder.out_of_distribution import fit_ood_detector
    from antideepfake.model_folder.shapes import read_shapes
    from antideepfake.scoring.embeddings import read_embeddings
    from antideepfake.scoring.score_file import read_columns

    folder = Path(args.model)
    if not (folder / "metadata.json").is_file():
        raise InputError(f"{folder}: not a model folder; it has no metadata.json")
    path = folder / OOD_DETECTOR
    if path.exists() and not args.overwrite:
        raise InputError(f"{path}: already exists; pass --overwrite to replace it")
    ids, embeddings = read_embeddings(args.embeddings)
    size = embeddings.shape[1]
    shapes = read_shapes(folder)
    if size not in {shape[-1] for name, shape in shapes.items() if name.startswith("classifier.") and shape}:
        raise InputError(f"{args.embeddings}: embeddings of {size} dimensions, of another model; score with {folder}")
    clusters = None
    if args.scores and args.cluster != "none":
        column = args.cluster or options.SPEAKER
        clusters = read_columns(args.scores, ids, [column])[column].to_numpy(dtype=object)
    try:
        ood_detector = fit_ood_detector(embeddings, args.fraction, clusters)
    except InputError as error:
        raise InputError(f"{args.embeddings}: {error}") from None
    ood_detector.save(path)
    distances = ood_detector.distance(embeddings)
    print(
        f"{len(embeddings)} utterances of {size} dimensions; distances {distances.min():.2f} to "
        f"{distances.max():.2f}, median {np.median(distances):.2f}"
    )
    print(f"out of distribution: a distance above {ood_detector.limit:.2f}; written to {path}")
    if clusters is None:
        print(
            "speakers are unknown (see --scores): more than --fraction of new speakers may be flagged", file=sys.stderr
        )
    return 0
