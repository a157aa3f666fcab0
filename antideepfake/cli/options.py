"""Options that several verbs share. Each has the same name, meaning and default wherever it appears."""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from antideepfake.cli.program import print_error
from antideepfake.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from antideepfake.inference.recordings import RecordingScorer
    from antideepfake.model_folder.metadata import ModelMetadata
    from antideepfake.model_folder.windowing import Windowing

SEED = 1234
SPEAKER = "Speaker"  # column of utterances that are not independent
FORMATS = ("table", "json", "csv")
PRECISIONS = ("fp32", "bf16")


class Parser(argparse.ArgumentParser):
    """A parser that reports a mistake in one line, as the rest of the command does."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and how to get help; exit with status 2."""
        message = re.sub(r"^argument (--\w+): (is )?", lambda found: found[1] + (" is " if found[2] else ": "), message)
        print_error(f"{message}; see '{self.prog} --help'")
        self.exit(2)


class Names(argparse.Action):
    """Names separated by blanks; commas separate, too: ``--by Attack Language``, ``--by Attack,Language``.

    Arguments
    ---------
    allowed : sequence of str
        Names to choose from; empty: any.
    **options
        Those of ``argparse.Action``.

    Example
    -------
    >>> parser = Parser()
    >>> _ = parser.add_argument("--by", action=Names)
    >>> parser.parse_args(["--by", "Attack", "Language,Corpus"]).by
    ['Attack', 'Language', 'Corpus']
    """

    def __init__(self, allowed: Sequence[str] = (), **options: Any) -> None:
        self.allowed = allowed
        super().__init__(**{**options, "nargs": "+", "default": []})

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        """Store the names; refuse one that is not among those allowed."""
        names = [name for value in values for name in value.split(",") if name]
        wrong = [name for name in names if self.allowed and name not in self.allowed]
        if wrong or not names:
            known = f" (choose from {', '.join(self.allowed)})" if self.allowed else ""
            raise argparse.ArgumentError(self, f"is '{', '.join(wrong)}'{known}")
        setattr(namespace, self.dest, names)


def whole_number(text: str) -> int:
    """Read a whole number of 0 or more.

    Example
    -------
    >>> whole_number("-1")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: is -1; it must be 0 or more
    """
    if (number := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"is {text}; it must be 0 or more")
    return number


def positive_number(text: str) -> int:
    """Read a whole number of 1 or more.

    Example
    -------
    >>> positive_number("4")
    4
    """
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"is {text}; it must be 1 or more")
    return number


def seconds(text: str) -> float:
    """Read a length of time above 0.

    Example
    -------
    >>> seconds("nan")
    Traceback (most recent call last):
    argparse.ArgumentTypeError: is nan; it must be a number of seconds above 0
    """
    number = float(text)
    if not (isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"is {text}; it must be a number of seconds above 0")
    return number


def instant(text: str) -> float:
    """Read a time from the beginning, 0 or more seconds.

    Example
    -------
    >>> instant("0")
    0.0
    """
    number = float(text)
    if not (isfinite(number) and number >= 0):
        raise argparse.ArgumentTypeError(f"is {text}; it must be a number of seconds, 0 or more")
    return number


def fraction(text: str) -> float:
    """Read a number between 0 and 1, both excluded.

    Example
    -------
    >>> fraction("0.01")
    0.01
    """
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"is {text}; it must lie between 0 and 1")
    return number


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add ``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help="show no progress")


def add_output(parser: argparse.ArgumentParser, what: str, default: str | None = None, required: bool = True) -> None:
    """Add ``--output``, the file or folder that the verb writes, and ``--overwrite``."""
    note = f" (default: {default})" if default else ""
    parser.add_argument("--output", default=default, required=required and default is None, help=f"{what}{note}")
    add_overwrite(parser)


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add ``--overwrite``."""
    parser.add_argument("--overwrite", action="store_true", help="replace what an earlier run wrote")


def add_seed(parser: argparse.ArgumentParser, what: str, default: int = SEED) -> None:
    """Add ``--seed``."""
    parser.add_argument("--seed", type=int, default=default, help=f"seed of {what} (default: {default})")


def add_num_workers(parser: argparse.ArgumentParser) -> None:
    """Add ``--num_workers``."""
    parser.add_argument(
        "--num_workers",
        type=whole_number,
        default=0,
        help="files to process at the same time beside this process (default: 0, this process alone)",
    )


def add_scheduler(parser: argparse.ArgumentParser) -> None:
    """Add ``--scheduler``."""
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="Dask scheduler, such as tcp://node1:8786, whose workers do the work instead of --num_workers",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``; :func:`choose_device` gives its value."""
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: the best one available)")


def add_scoring(parser: argparse.ArgumentParser) -> None:
    """Add the options of verbs that run a detector; :func:`load_model` loads it."""
    parser.add_argument(
        "--detector",
        action="store_true",
        help="MODEL is a detector of other software: FILE.py:CALLABLE or MODULE:CALLABLE; needs --trust_code",
    )
    add_device(parser)
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32", help="precision (default: fp32)")
    parser.add_argument(
        "--batch_seconds",
        type=seconds,
        default=16.0,
        help="audio in a batch, in seconds (default: 16; for a GPU: 100)",
    )
    add_trust_code(parser)


def add_windows(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how long recordings are scored."""
    group = parser.add_argument_group("long recordings")
    group.add_argument("--whole", action="store_true", help="score recordings of up to half an hour as one utterance")
    group.add_argument("--window_seconds", type=seconds, help="length of a window (default: as the model says, or 4)")
    group.add_argument("--hop_seconds", type=seconds, help="time between windows (default: as the model says, or 2)")
    group.add_argument(
        "--aggregate",
        help="from windows to a score: mean; max, the window most likely fake; top-N, the mean of the N most "
        "likely fake; share, the share of windows that count as real (default: as the model says, or mean)",
    )


def choose_windowing(args: argparse.Namespace, metadata: "ModelMetadata") -> "Windowing":
    """Combine the settings of the model folder with those of the command line."""
    from antideepfake.model_folder.windowing import WHOLE

    given = {name: getattr(args, name) for name in ("window_seconds", "hop_seconds", "aggregate")}
    if args.whole:
        given["utterance_seconds"] = WHOLE.utterance_seconds
    return replace(metadata.windowing(), **{name: value for name, value in given.items() if value is not None})


def add_trust_code(parser: argparse.ArgumentParser) -> None:
    """Add ``--trust_code``."""
    parser.add_argument(
        "--trust_code",
        action="store_true",
        help="load a model that can run code (its hyperparams.yaml, or --detector); you trust it",
    )


def add_data_folder(parser: argparse.ArgumentParser) -> None:
    """Add ``--data_folder``."""
    parser.add_argument("--data_folder", default=".", help="folder that $ROOT stands for in a protocol (default: .)")


def add_split(parser: argparse.ArgumentParser) -> None:
    """Add ``--split``."""
    parser.add_argument("--split", default="", help="split to take: a value of Proportion (default: all)")


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Add ``--limit``."""
    parser.add_argument(
        "--limit",
        type=whole_number,
        default=10_000,
        help="with more utterances, take a random sample of this many; 0: take all (default: 10000)",
    )


def add_by(parser: argparse.ArgumentParser) -> None:
    """Add ``--by``."""
    parser.add_argument("--by", action=Names, metavar="COLUMN", help="columns to group by, such as Attack Language")


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add ``--cluster``."""
    parser.add_argument(
        "--cluster",
        metavar="COLUMN",
        help="column of utterances that are not independent, such as Speaker; none: all are independent",
    )


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add ``--format``, the form of what goes to standard output."""
    parser.add_argument(
        "--format", choices=FORMATS, default="table", help="form of the result on standard output (default: table)"
    )


def find_model(model: str, names: Sequence[str]) -> Path:
    """Give the folder of a model, some files of it downloaded where it is a Hub id.

    Example
    -------
    >>> find_model(".", ["metadata.json"])
    PosixPath('.')
    """
    if os.path.isdir(model):
        return Path(model)
    from antideepfake.checkpoints.loading import fetch_folder  # needs torch, which takes seconds to import

    return fetch_folder(model, tuple(names))


def choose_device(device: str | None, quiet: bool = False) -> str:
    """Give the device to compute on, by default the best one; says which on standard error.

    Under ``torchrun``, ``cuda`` is the GPU of this process.

    Arguments
    ---------
    device : str, optional
        The value of ``--device``.
    quiet : bool
        Say nothing.

    Returns
    -------
    str
        A name for torch.

    Example
    -------
    >>> choose_device("cpu")
    'cpu'
    """
    if device is None:
        import torch

        has_mps = torch.backends.mps.is_available()
        device = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
        if not quiet and os.environ.get("RANK", "0") == "0":
            print(f"device: {device}", file=sys.stderr)
    return f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if device == "cuda" else device


def load_model(args: argparse.Namespace) -> "RecordingScorer":
    """Load the detector of the argument ``model`` for scoring.

    It is a model folder, a Hub id or an ONNX file, or, with ``--detector``, code of other software.
    """
    if args.detector:
        from antideepfake.inference.foreign_detector import load_foreign_detector

        if args.device is not None or args.precision != "fp32":
            raise InputError("--device and --precision are for models of this package; set them in your own code")
        return load_foreign_detector(args.model, args.trust_code)
    from antideepfake.inference.onnx_detector import is_onnx, load_onnx_detector

    if not is_onnx(args.model):
        from antideepfake.inference.detector import load_detector

        return load_detector(args.model, choose_device(args.device, args.quiet), args.precision, args.trust_code)
    if args.device not in (None, "cpu"):
        raise InputError(
            f"--device is {args.device}; an ONNX file is computed on the cpu, a model folder on any device"
        )
    if args.precision != "fp32":
        raise InputError("--precision is for model folders; the precision of an ONNX file is that of its weights")
    return load_onnx_detector(args.model)


def refuse_existing(path: str | os.PathLike, overwrite: bool, option: str = "--output") -> None:
    """Refuse to replace a file or folder unless asked.

    Raises
    ------
    InputError
        When it exists and may not be replaced.

    Example
    -------
    >>> refuse_existing(getfixture("tmp_path") / "new.csv", overwrite=False)
    """
    if not overwrite and os.path.lexists(path):
        raise InputError(f"{os.fspath(path)}: already exists; choose another {option} or pass --overwrite")


def print_table(table: "pd.DataFrame", form: str) -> None:
    """Print a table on standard output, for people or for programs.

    Arguments
    ---------
    table : pandas.DataFrame
        Texts and numbers.
    form : str
        One of ``FORMATS``. JSON is a list of objects, one a row.

    Example
    -------
    >>> import pandas as pd
    >>> print_table(pd.DataFrame({"name": ["a"], "count": [1]}), "csv")
    name,count
    a,1
    """
    if form == "json":
        import json

        rows = json.loads(table.to_json(orient="records", double_precision=15))  # null where a number is unknown
        print(json.dumps(rows, indent=1, ensure_ascii=False))
    elif form == "csv":
        print(table.to_csv(index=False), end="")
    else:
        from antideepfake.evaluation.tables import format_text

        print(format_text(table.map(_as_text), width=60))


def _as_text(value: Any) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.4g}"
    return str(value)
