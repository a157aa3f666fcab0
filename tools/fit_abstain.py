#!/usr/bin/env python
"""Let a model folder know what is usual, so that it abstains from recordings that are far from that.

EMBEDDINGS are of speech like that which the model was trained on, best its validation set: real and fake, some hundred
utterances or more, from tools/score.py --embeddings. Afterwards the decision of tools/score.py on a recording that lies
farther than all but --share of these is `unsure`.
"""

import argparse
from pathlib import Path

import numpy as np

from antideepfake.errors import InputError, run_program
from antideepfake.scoring.embeddings import read_embeddings
from antideepfake.typicality import TYPICALITY, fit_typicality


def main() -> int:
    """Parse the command line, fit, write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/fit_abstain.py models/mine validation.parquet --share 0.01",
    )
    parser.add_argument("model", help="model folder; takes the file " + TYPICALITY)
    parser.add_argument("embeddings", help="of usual speech (.parquet)")
    parser.add_argument("--share", type=float, default=0.01, help="of these that may count as far (default: 0.01)")
    args = parser.parse_args()
    folder = Path(args.model)
    if not (folder / "metadata.json").is_file():
        raise InputError(f"{folder}: not a model folder; it holds no metadata.json")
    embeddings = read_embeddings(args.embeddings).values
    typicality = fit_typicality(embeddings, args.share)
    typicality.save(folder / TYPICALITY)
    distances = typicality.distance(embeddings)
    print(
        f"{len(embeddings)} utterances of {embeddings.shape[1]} dimensions; distances {distances.min():.2f} to "
        f"{distances.max():.2f}, median {np.median(distances):.2f}"
    )
    print(f"far: a distance above {typicality.limit:.2f}; remembered in {folder / TYPICALITY}")
    return 0


if __name__ == "__main__":
    run_program(main)
