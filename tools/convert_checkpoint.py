#!/usr/bin/env python
"""Turn a detector of the released AntiDeepfake code into a model folder.

SOURCE is a checkpoint (.ckpt, .pt, .safetensors), a folder that holds one, or the id of a published detector on the
Hugging Face hub. Every tensor is used, or left out for a reason that is printed; anything else is an error.
"""

import argparse
import os
import sys
import textwrap
from collections import defaultdict
from pathlib import Path

import huggingface_hub
import torch
import yaml

from antideepfake.checkpoints.key_mapping import Checkpoint, read_checkpoint
from antideepfake.cli.program import run_program
from antideepfake.errors import InputError
from antideepfake.files import TEMPORARIES, lock_output
from antideepfake.lobes.back_ends import MeanPooling
from antideepfake.lobes.detector import UtteranceEncoder
from antideepfake.model_folder.folder import write_model_folder
from antideepfake.model_folder.metadata import ModelMetadata
from antideepfake.model_folder.names import is_unfinished

PUBLISHED = yaml.safe_load(Path(__file__).with_name("published_detectors.yaml").read_text(encoding="utf-8"))
UNION = yaml.safe_load(Path(__file__).parents[1].joinpath("hparams", "union.yaml").read_text(encoding="utf-8"))
# What the released detectors are made of; the front end tells its own settings.
DETECTOR = """
front_end: !new:antideepfake.lobes.{kind}
back_end: !new:antideepfake.lobes.MeanPooling
classifier: !new:torch.nn.Linear
  in_features: {size}
  out_features: 2
"""


def find_published(source: str) -> str:
    """Tell which published detector a source is by its name; empty when it is none."""
    path = Path(source)
    name = (path.stem if path.is_file() else path.name).lower().replace("_", "-")
    return name if name in PUBLISHED["names"] else ""


def describe(checkpoint: Checkpoint, published: str) -> ModelMetadata:
    """Say what is known of a converted detector."""
    threshold_source = "equal probabilities, P(real) = 0.5, as published; not calibrated"
    if not published:
        return ModelMetadata(0.0, threshold_source, provenance=f"converted from {checkpoint.provenance}")
    return ModelMetadata(
        threshold=0.0,
        threshold_source=threshold_source,
        training_corpora=UNION,
        provenance=f"{PUBLISHED['owner']}/{published} ({PUBLISHED['paper']}), converted from {checkpoint.provenance}",
        license=PUBLISHED["license"],
    )


def report(checkpoint: Checkpoint) -> str:
    """Account for every tensor."""
    reasons = defaultdict(list)
    for name, reason in checkpoint.left_out.items():
        reasons[reason].append(name)
    used = len(checkpoint.encoder) + len(checkpoint.classifier)
    layers, size = checkpoint.settings["num_hidden_layers"], checkpoint.settings["hidden_size"]
    lines = [
        f"{checkpoint.kind.__name__}, {layers} layers of {size}",
        f"{used + len(checkpoint.left_out)} tensors: {used} used, {len(checkpoint.left_out)} left out",
    ]
    for reason, names in reasons.items():
        text = f"left out, {reason}: {', '.join(names)}"
        lines.append(textwrap.fill(text, 100, initial_indent="  ", subsequent_indent="    ", break_long_words=False))
    return "\n".join(lines)


def main() -> int:
    """Parse the command line and convert."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="example:\n  python tools/convert_checkpoint.py nii-yamagishilab/mms-300m-anti-deepfake models/mms-300m",
    )
    parser.add_argument("source", help="checkpoint, folder or hub id")
    parser.add_argument("output", help="model folder to write")
    parser.add_argument(
        "--published",
        choices=PUBLISHED["names"],
        metavar="NAME",
        help="which published detector it is, if the file's name does not tell",
    )
    parser.add_argument("--num_attention_heads", type=int, help="of an encoder whose size was never published")
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload the folder to a private hub repository")
    parser.add_argument("--overwrite", action="store_true", help="replace a model folder that is there")
    args = parser.parse_args()

    if args.num_attention_heads is not None and args.num_attention_heads < 1:
        raise InputError(f"--num_attention_heads is {args.num_attention_heads}; it must be 1 or more")
    with lock_output(args.output):
        return convert(args)


def convert(args: argparse.Namespace) -> int:
    """Read, write, and upload if asked."""
    output = Path(args.output)
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: a file; name a folder to write")
    if output.is_dir() and not (args.overwrite or is_unfinished(output)):
        raise InputError(f"{output}: already exists; name another folder or pass --overwrite")
    checkpoint = read_checkpoint(args.source, args.num_attention_heads)
    if not checkpoint.classifier:
        raise InputError(
            f"{args.source}: a self-supervised model, no detector: it has no classifier (proj_fc). To train one on it, "
            "load it with antideepfake.checkpoints.key_mapping.load_pretrained"
        )
    published = args.published or find_published(args.source)
    metadata = describe(checkpoint, published)
    size = checkpoint.settings["hidden_size"]
    classifier = torch.nn.Linear(size, 2)
    classifier.load_state_dict(checkpoint.classifier)
    modules = {"embedding_model": UtteranceEncoder(checkpoint.build(), MeanPooling()), "classifier": classifier}
    settings = DETECTOR.format(kind=checkpoint.kind.__name__, size=size)
    write_model_folder(output, settings, modules, metadata, args.push or args.output)

    print(report(checkpoint))
    corpora = f"{len(metadata.training_corpora)} corpora" if metadata.training_corpora else "unknown corpora"
    print(f"model folder: {output}; license: {metadata.license or 'unknown'}; trained on {corpora}")
    if not published:
        print(f"{args.source}: not known as a published detector; say which with --published", file=sys.stderr)
    if args.push:
        api = huggingface_hub.HfApi()
        api.create_repo(args.push, private=True, exist_ok=True)
        api.upload_folder(repo_id=args.push, folder_path=os.fspath(output), ignore_patterns=list(TEMPORARIES))
        print(f"uploaded to {args.push}, private; make it public there once its card is complete")
    else:
        print(f"to use it: python tools/score.py {output} recording.wav")
    return 0


if __name__ == "__main__":
    run_program(main)
