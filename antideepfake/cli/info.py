"""Describe a model folder or an ONNX file.

Prints architecture, classes, threshold and its source, calibration, training corpora, license and digest.
"""

import argparse
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from antideepfake.cli import options
from antideepfake.errors import InputError

if TYPE_CHECKING:
    from antideepfake.model_folder.metadata import ModelMetadata

EXAMPLE = "info recipes/MiniCorpus/results/small/model"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("model", help="model folder, Hub id, or ONNX file of convert")
    options.add_format(parser)


def run(args: argparse.Namespace) -> int:
    """Read and print; the weights are not loaded."""
    import pandas as pd

    from antideepfake.inference.onnx_detector import is_onnx
    from antideepfake.model_folder.names import FILES, OOD_DETECTOR

    if is_onnx(args.model):
        facts = describe_onnx_file(args.model)
    else:
        folder = options.find_model(args.model, ("config.json", OOD_DETECTOR, *FILES.values()))
        if not (folder / FILES["metadata"]).is_file():
            raise InputError(f"{args.model}: not a model folder; it has no {FILES['metadata']}")
        facts = describe_folder(folder)
    if args.format == "table":
        width = max(map(len, facts)) + 2
        for name, value in facts.items():
            text = ", ".join(value) if isinstance(value, list) else str(value)
            lines = textwrap.wrap(text or "unknown", 100 - width, break_on_hyphens=False)
            print("\n".join(f"{name if not index else '':<{width}}{line}" for index, line in enumerate(lines)))
    elif args.format == "csv":
        texts = {name: " ".join(value) if isinstance(value, list) else value for name, value in facts.items()}
        options.print_table(pd.DataFrame(texts.items(), columns=["name", "value"]), "csv")
    else:
        import json

        print(json.dumps(facts, indent=1, ensure_ascii=False))
    return 0


def describe_folder(folder: Path) -> dict[str, Any]:
    """Give what a model folder is, by name."""
    from math import prod

    from antideepfake.files import read_json, sha256
    from antideepfake.model_folder.metadata import ModelMetadata
    from antideepfake.model_folder.names import FILES, OOD_DETECTOR
    from antideepfake.model_folder.shapes import read_shapes

    metadata = ModelMetadata()
    metadata.load(folder / FILES["metadata"])
    config = folder / "config.json"
    parts = read_json(config) if config.is_file() else {}
    shapes = read_shapes(folder)
    return {
        "architecture": [describe_part(name, values) for name, values in parts.items()] or ["see hyperparams.yaml"],
        "numbers in weights": sum(map(prod, shapes.values())),
        **describe_metadata(metadata, (folder / OOD_DETECTOR).is_file()),
        "SHA-256 of the weights": sha256([folder / FILES["model"]]),
    }


def describe_onnx_file(path: str) -> dict[str, Any]:
    """Give what an ONNX file is, by name."""
    from antideepfake.files import sha256
    from antideepfake.inference.onnx_detector import load_onnx_detector

    detector = load_onnx_detector(path)
    return {
        "architecture": ["ONNX file"],
        **describe_metadata(detector.metadata, detector.ood_detector is not None),
        "SHA-256 of the file": sha256([path]),
    }


def describe_metadata(metadata: "ModelMetadata", has_ood_detector: bool) -> dict[str, Any]:
    """Give what the metadata of a detector say, by name."""
    return {
        "classes": metadata.classes,
        "threshold": metadata.threshold,
        "threshold source": metadata.threshold_source,
        "calibrated": "yes" if metadata.calibration else "no",
        "out-of-distribution detector": "yes" if has_ood_detector else "no",
        "training corpora": metadata.training_corpora,
        "training attacks": metadata.training_attacks,
        "license": metadata.license,
        "provenance": metadata.provenance,
    }


def describe_part(name: str, values: Any) -> str:
    """Describe a part of a detector by its class and the settings that are numbers.

    Example
    -------
    >>> describe_part("classifier", {"class": "torch.nn.Linear", "in_features": 16, "out_features": 2})
    'classifier: Linear (in_features 16, out_features 2)'
    """
    settings = dict(values) if isinstance(values, dict) else {}
    kind = str(settings.pop("class", "unknown")).rpartition(".")[2]
    sizes = [f"{key} {value}" for key, value in settings.items() if isinstance(value, int) and value is not True]
    return f"{name}: {kind}" + (f" ({', '.join(sizes)})" if sizes else "")
