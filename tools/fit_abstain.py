#!/usr/bin/env python
"""Let a model folder abstain from recordings that are out of distribution.

EMBEDDINGS are of speech like that which the model was trained on, best its validation set: real and fake, some hundred
utterances or more, from tools/score.py --embeddings with this model. Afterwards the decision of tools/score.py on a
recording that lies farther than all but --share of these is `unsure`. With --scores, the score file of the embeddings,
the limit is that of new speakers.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from antideepfake.cli.program import run_program
from antideepfake.errors import InputError
from antideepfake.model_folder.names import OOD_DETECTOR
from antideepfake.model_folder.out_of_distribution import fit_ood_detector
from antideepfake.scoring.embeddings import read_embeddings
from antideepfake.scoring.score_file import read_scores


def check_dimension(folder: Path, size: int, source: str) -> None:
    """Refuse embeddings that are not as long as the ones that the model's classifier takes."""
    try:
        with safe_open(folder / "model.safetensors", "np") as file:
            names = [name for name in list(file.keys()) if name.startswith("classifier.")]
            sizes = {file.get_slice(name).get_shape()[-1] for name in names}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{folder / 'model.safetensors'}: not the weights of a model folder ({error})") from None
    if size not in sizes:
        raise InputError(f"{source}: embeddings of {size} dimensions are not of this model; score with {folder}")


def read_speakers(path: str, ids: list[str], column: str) -> np.ndarray:
    """Read what each utterance belongs to from the score file of the embeddings."""
    table = read_scores(path).set_index("ID")
    if column not in table:
        raise InputError(f"{path}: no column {column}")
    unknown = [name for name in ids if name not in table.index]
    if unknown:
        raise InputError(f"{path}: does not hold {len(unknown)} of the utterances, such as '{unknown[0]}'")
    return table.loc[ids, column].to_numpy(dtype=object)


def main() -> int:
    """Parse the command line, fit, write."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/fit_abstain.py models/mine validation.parquet --share 0.01",
    )
    parser.add_argument("model", help="model folder; takes the file " + OOD_DETECTOR)
    parser.add_argument("embeddings", help="of in-distribution speech (.parquet)")
    parser.add_argument("--share", type=float, default=0.01, help="fraction of them to flag (default: 0.01)")
    parser.add_argument("--scores", help="score file of the embeddings, which has the speakers")
    parser.add_argument("--cluster", default="Speaker", help="column of what belongs together (default: Speaker)")
    args = parser.parse_args()
    folder = Path(args.model)
    if not (folder / "metadata.json").is_file():
        raise InputError(f"{folder}: not a model folder; it holds no metadata.json")
    ids, embeddings = read_embeddings(args.embeddings)
    check_dimension(folder, embeddings.shape[1], args.embeddings)
    clusters = read_speakers(args.scores, ids, args.cluster) if args.scores and args.cluster != "none" else None
    try:
        ood_detector = fit_ood_detector(embeddings, args.share, clusters)
    except InputError as error:
        raise InputError(f"{args.embeddings}: {error}") from None
    ood_detector.save(folder / OOD_DETECTOR)
    distances = ood_detector.distance(embeddings)
    print(
        f"{len(embeddings)} utterances of {embeddings.shape[1]} dimensions; distances {distances.min():.2f} to "
        f"{distances.max():.2f}, median {np.median(distances):.2f}"
    )
    print(f"out of distribution: a distance above {ood_detector.limit:.2f}; remembered in {folder / OOD_DETECTOR}")
    if clusters is None:
        print("speakers are unknown (--scores): of new speakers, more than --share may be flagged", file=sys.stderr)
    return 0


if __name__ == "__main__":
    run_program(main)
