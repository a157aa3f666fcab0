"""Convert a released detector to a model folder, or a model folder to a form for other software.

Without --form, SOURCE is a checkpoint (.ckpt, .pt, .pth, .safetensors), a folder that contains one, or the id of a
published detector on the Hugging Face Hub ('antideepfake models' lists them), and --output is a model folder. Every
tensor is used, or left out for a reason that is printed; anything else is an error. Detectors of other authors (AASIST,
Nes2Net, MHFA, SLS) are recognized by their tensors; --published adds training corpora and license.

With the other forms, SOURCE is a model folder or its Hub id. --form transformers writes a folder for
AutoModelForAudioClassification and the pipeline "audio-classification": of wav2vec 2.0, HuBERT, WavLM and w2v-BERT 2.0
with mean pooling and a linear classifier. --form onnx writes a file for ONNX Runtime, which 'antideepfake score' takes
in place of the model folder: of any front end of this package.

With --adapter, SOURCE is the model folder from which training with LoRA started; training writes the folder 'adapter'
beside its own model folder. Any form can be written of the two.
"""

import argparse
import os
import sys
import textwrap
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from antideepfake.cli import options
from antideepfake.errors import InputError

if TYPE_CHECKING:
    from antideepfake.checkpoints.key_mapping import Checkpoint
    from antideepfake.checkpoints.systems import MappedSystem

FORMS = ("model_folder", "transformers", "onnx")
QUANTIZATIONS = ("int8",)
EXAMPLE = "convert nii-yamagishilab/mms-300m-anti-deepfake --output models/mms-300m"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("source", help="checkpoint, folder or Hub id")
    options.add_output(parser, "folder, or ONNX file, to write")
    parser.add_argument("--form", choices=FORMS, default=FORMS[0], help=f"what to write (default: {FORMS[0]})")
    parser.add_argument(
        "--published",
        type=published_name,
        metavar="NAME",
        help="which published detector it is, if the name of the file does not say",
    )
    parser.add_argument(
        "--num_attention_heads", type=options.positive_number, help="for an encoder whose size was never published"
    )
    parser.add_argument("--adapter", help="folder of a LoRA adapter to merge into the model folder SOURCE")
    parser.add_argument(
        "--quantize", choices=QUANTIZATIONS, help="with --form onnx: round the weights of linear layers to 8 bits"
    )
    parser.add_argument("--push", metavar="OWNER/NAME", help="upload the folder to a private Hub repository")


def published_name(text: str) -> str:
    """Check the name of a published detector; the list is read only when the option is given."""
    from antideepfake.model_folder.published import read_published_detectors

    names = read_published_detectors()
    if text not in names:
        raise argparse.ArgumentTypeError(f"is '{text}' (choose from {', '.join(names)})")
    return text


def run(args: argparse.Namespace) -> int:
    """Convert, print, and upload if asked."""
    from antideepfake.files import TEMPORARIES, lock_output

    if args.quantize and args.form != "onnx":
        raise InputError("--quantize is for --form onnx")
    if args.push and args.form == "onnx":
        raise InputError("--push uploads a folder; upload an ONNX file with 'hf upload'")
    with lock_output(args.output):
        if args.form == "model_folder" and not args.adapter:
            convert(args)
        else:
            export(args)
    if args.push:
        import huggingface_hub

        api = huggingface_hub.HfApi()
        api.create_repo(args.push, private=True, exist_ok=True)
        api.upload_folder(repo_id=args.push, folder_path=os.fspath(args.output), ignore_patterns=list(TEMPORARIES))
        print(f"uploaded to {args.push}, private; make it public there once its card is complete")
    elif args.form == "model_folder":
        print(f"to use it: antideepfake score {args.output} recording.wav")
    return 0


def convert(args: argparse.Namespace) -> None:
    """Convert a released detector to a model folder."""
    from antideepfake.checkpoints.conversion import convert_checkpoint, find_published
    from antideepfake.model_folder.names import is_unfinished
    from antideepfake.model_folder.published import read_published_detectors

    output = Path(args.output)
    detectors = read_published_detectors()
    published = detectors[args.published] if args.published else find_published(args.source, detectors)
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: a file; --output names a folder")
    if not (output.is_dir() and is_unfinished(output)):
        options.refuse_existing(output, args.overwrite)
    checkpoint, metadata = convert_checkpoint(args.source, output, published, args.num_attention_heads, args.push)
    print(format_report(checkpoint))
    corpora = f"{len(metadata.training_corpora)} corpora" if metadata.training_corpora else "unknown corpora"
    print(f"model folder: {output}; license: {metadata.license or 'unknown'}; trained on {corpora}")
    if not published:
        print(
            f"{args.source}: not known as a published detector; if it is one, name it with --published", file=sys.stderr
        )


def export(args: argparse.Namespace) -> None:
    """Write a model folder, with its adapter if it has one, in any form."""
    for name in ("published", "num_attention_heads"):
        if getattr(args, name):
            raise InputError(f"--{name} describes a released checkpoint; with --form or --adapter, pass a model folder")
    options.refuse_existing(args.output, args.overwrite)

    from antideepfake.inference.detector import load_detector

    detector = load_detector(args.source)
    if args.adapter:
        from antideepfake.training.adapter import apply_adapter

        detector.hparams.metadata = apply_adapter(detector, args.adapter)
    if args.form == "model_folder":
        from antideepfake.checkpoints.loading import fetch_folder
        from antideepfake.model_folder.folder import write_model_folder

        settings = Path(fetch_folder(args.source, ("hyperparams.yaml",)), "hyperparams.yaml").read_text("utf-8")
        write_model_folder(args.output, settings, detector.mods, detector.metadata, args.push)
        print(f"model folder: {args.output}")
    elif args.form == "transformers":
        from antideepfake.exports.transformers_folder import write_transformers_folder

        write_transformers_folder(args.output, detector, args.push)
        print(f"folder of transformers: {args.output}")
    else:
        from antideepfake.exports.onnx_file import write_onnx

        difference = write_onnx(args.output, detector, args.quantize)
        print(f"ONNX file: {args.output}; {os.path.getsize(args.output) / 1e6:.1f} MB")
        print(f"largest difference of a logit from the model folder, on ten generated signals: {difference:.1g}")
        print(f"to use it: antideepfake score {args.output} recording.wav")


def format_report(checkpoint: "Checkpoint | MappedSystem") -> str:
    """Account for every tensor."""
    reasons = defaultdict(list)
    for name, reason in checkpoint.left_out.items():
        reasons[reason].append(name)
    used, left_out = checkpoint.used, len(checkpoint.left_out)
    lines = [checkpoint.description, f"{used + left_out} tensors: {used} used, {left_out} left out"]
    for reason, names in reasons.items():
        text = f"left out, {reason}: {', '.join(names)}"
        lines.append(textwrap.fill(text, 100, initial_indent="  ", subsequent_indent="    ", break_long_words=False))
    return "\n".join(lines)
