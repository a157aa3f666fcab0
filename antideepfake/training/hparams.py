"""Read HyperPyYAML files; say what is wrong with them, and where."""

import difflib
import os
from collections.abc import Iterator, Sequence
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import yaml
from hyperpyyaml import load_hyperpyyaml, resolve_references
from ruamel.yaml import Loader
from ruamel.yaml.error import YAMLError
from speechbrain.utils.seed import seed_everything

from antideepfake.errors import InputError


class HyperParameters(dict[str, Any]):
    """The keys and values of a YAML.

    Arguments
    ---------
    values : dict
        Keys and values.
    file : str or Path
        The YAML, for messages.
    settings : str
        The YAML as text, with includes, overrides and references resolved.
    given : sequence of str
        Keys that were given on the command line.

    Example
    -------
    >>> HyperParameters({}, "train.yaml")["seed"]
    Traceback (most recent call last):
    antideepfake.errors.InputError: train.yaml: the key 'seed' is missing; add it
    """

    def __init__(
        self, values: dict[str, Any], file: str | os.PathLike, settings: str = "", given: Sequence[str] = ()
    ) -> None:
        super().__init__(values)
        self.file = file
        self.settings = settings
        self.given = given

    def __missing__(self, key: str) -> Any:
        raise InputError(f"{self.file}: the key '{key}' is missing; add it")

    def where(self, key: str) -> str:
        """Say where the value of a key comes from, for messages: ``train.yaml:12: key`` or ``--key``."""
        if key in self.given:
            return f"--{key}"
        line = key_lines(Path(self.file).read_text(encoding="utf-8")).get(key)
        return f"{self.file}:{line}: {key}" if line else f"{self.file}: {key}"


def key_lines(text: str) -> dict[str, int]:
    """Find the lines of the top-level keys of a YAML, counted from 1.

    Example
    -------
    >>> key_lines("# comment\\nseed: 1\\nlr: 2")
    {'seed': 2, 'lr': 3}
    """
    return {key: node.start_mark.line + 1 for key, node in read_nodes(text).items()}


class _BuildError(Exception):
    """An object of a YAML could not be built.

    Arguments
    ---------
    line : int
        Where the object begins, counted from 1.
    reason : Exception
        What its class raised.
    """

    def __init__(self, line: int, reason: Exception) -> None:
        super().__init__(line, reason)
        self.line, self.reason = line, reason


class _LocatingLoader(Loader):
    """A loader that says which object could not be built."""

    def construct_non_recursive_object(self, node: Any, tag: str | None = None) -> Any:
        """Build an object, as the parent does."""
        try:
            return super().construct_non_recursive_object(node, tag)
        except (ImportError, OSError, TypeError, ValueError) as error:
            raise _BuildError(node.start_mark.line + 1, error) from error


def load_hparams(file: str | os.PathLike, overrides: str = "") -> HyperParameters:
    """Read a YAML of hyperparameters. A key ``seed`` seeds all random number generators before anything is built.

    Arguments
    ---------
    file : str or Path
        In SpeechBrain's HyperPyYAML. It can run code: read only files that you trust.
    overrides : str
        Keys and values from the command line, as ``speechbrain.parse_arguments`` returns them.

    Returns
    -------
    HyperParameters
        Keys and constructed values.

    Raises
    ------
    InputError
        When the file is missing or malformed, or an override is unknown or missing. The message names the line where
        it can.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.yaml"
    >>> _ = path.write_text("seconds: 4")
    >>> hparams = load_hparams(path, "seconds: 10")
    >>> hparams["seconds"], hparams.settings
    (10, 'seconds: 10\\n')
    """
    try:
        text = Path(file).read_text(encoding="utf-8")
        given = list(read_nodes(overrides))
        _check_overrides(file, text, given)
        with open(file, encoding="utf-8") as stream:  # a stream, whose name is where relative includes start
            settings = resolve_references(stream, overrides).getvalue()
        _check_numbers(file, text, settings, given)
    except FileNotFoundError as error:
        included = f"; {file} includes it" if error.filename != str(file) else ""
        raise InputError(f"{error.filename}: no such file{included}") from None
    except (YAMLError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or error
        where = f"{file}:{mark.line + 1}" if mark else file
        raise InputError(f"{where}: not well-formed YAML: {' '.join(str(problem).split())}") from None
    except IsADirectoryError:
        raise InputError(f"{file}: a folder, not a YAML file") from None
    except (ImportError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {error}") from None
    except KeyError as error:
        raise InputError(f"{file}: the key {error} is missing, but another key refers to it; add it") from None
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        raise InputError(f"{file}: {error}") from error
    seed = read_nodes(settings).get("seed")
    if seed is not None and _is_number(seed.value):
        seed_everything(int(float(seed.value)))
    try:
        values = load_hyperpyyaml(StringIO(settings), loader=_LocatingLoader)
    except _BuildError as error:
        # the line is that of the resolved settings; the key that it belongs to is the same in the file
        key = [key for key, line in key_lines(settings).items() if line <= error.line][-1]
        where = HyperParameters({}, file, settings, given).where(key)
        # a TypeError of hyperpyyaml has two texts: which class, and what it refuses
        reason = ": ".join(map(str, error.reason.args)) if isinstance(error.reason, TypeError) else str(error.reason)
        raise InputError(f"{where}: {' '.join(reason.split())}") from error.reason
    return HyperParameters(values, file, settings, given)


def read_include(file: str | os.PathLike, node: yaml.Node) -> tuple[Path, dict[str, yaml.Node]]:
    """Read the YAML that a node ``!include:PATH`` includes.

    Arguments
    ---------
    file : str or Path
        The including YAML.
    node : yaml.Node
        Any node of it.

    Returns
    -------
    path : Path
        The included file, or ``file`` for another node.
    nodes : dict
        Its top-level keys and the nodes of their values; empty for another node.

    Raises
    ------
    FileNotFoundError
        When the included file does not exist.
    """
    if not node.tag.startswith("!include:"):
        return Path(file), {}
    path = Path(file).parent / node.tag.removeprefix("!include:")
    return path, read_nodes(path.read_text(encoding="utf-8"))


def read_nodes(text: str) -> dict[str, yaml.Node]:
    """Return the top-level keys of a YAML and the nodes of their values.

    Example
    -------
    >>> read_nodes("seed: 1")["seed"].value
    '1'
    """
    return children(yaml.compose(text))


def children(node: yaml.Node | None) -> dict[str, yaml.Node]:
    """Return the keys below a node and the nodes of their values; none if it is not a mapping."""
    return {key.value: value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}


def _check_overrides(file: str | os.PathLike, text: str, given: Sequence[str]) -> None:
    """Refuse options that the YAML has no key for, and keys that need an option which is not given."""
    nodes = read_nodes(text)
    if not nodes:
        raise InputError(f"{file}: has no keys; the YAML of an experiment has lines of the form 'key: value'")
    for key in given:
        if key not in nodes:
            similar = difflib.get_close_matches(key, nodes, 1)
            hint = f"; did you mean --{similar[0]}?" if similar else "; use one of its keys"
            raise InputError(f"--{key}: {file} has no key '{key}'{hint}")
    for key, node in nodes.items():
        if key in given:
            continue
        if node.tag == "!PLACEHOLDER":
            raise InputError(f"{file}:{node.start_mark.line + 1}: {key} has no value; pass --{key} VALUE")
        nested = dict(_walk(node))
        for name, value in nested.items():
            if value.tag == "!PLACEHOLDER":
                raise InputError(f"{file}:{value.start_mark.line + 1}: {key}{name} has no value; write it on this line")
        for name, value in read_include(file, node)[1].items():
            if value.tag == "!PLACEHOLDER" and f"[{name}]" not in nested:
                line = node.start_mark.line + 1
                raise InputError(f"{file}:{line}: {key}[{name}] has no value; set '{name}' below this line")


def _walk(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    """Iterate over the nodes below a node, named as hyperpyyaml's references name them: ``[key][0]``."""
    below = dict(enumerate(node.value)) if isinstance(node, yaml.SequenceNode) else children(node)
    for key, value in below.items():
        yield f"[{key}]", value
        yield from ((f"[{key}]{name}", child) for name, child in _walk(value))


def _check_numbers(file: str | os.PathLike, text: str, settings: str, given: Sequence[str]) -> None:
    """Refuse text in place of a number: --lr abc."""
    own, resolved = (_scalars(yaml_text) for yaml_text in (text, settings))
    for key in given:
        value = resolved.get(key, "")
        if _is_number(own.get(key, "")) and not (_is_number(value) or value in ("null", "~", "")):
            raise InputError(f"--{key} is '{value}'; {file} has a number there: give a number, or null")


def _scalars(text: str) -> dict[str, str]:
    """Give the top-level keys of a YAML and their values as text; ``[...]`` for lists and mappings."""
    return {key: node.value if isinstance(node, yaml.ScalarNode) else "[...]" for key, node in read_nodes(text).items()}


def _is_number(text: Any) -> bool:
    try:
        return isfinite(float(text))
    except (ValueError, TypeError):
        return False


def build_front_end(file: str | os.PathLike) -> Any:
    """Build the front end of a YAML that contains nothing else, like those of ``hparams/front_ends``.

    Arguments
    ---------
    file : str or Path
        As for :func:`load_hparams`: it can run code.

    Returns
    -------
    torch.nn.Module
        With random weights.

    Raises
    ------
    InputError
        When there is no such file.

    Example
    -------
    >>> path = getfixture("tmp_path") / "front_end.yaml"
    >>> _ = path.write_text("!new:antideepfake.lobes.LogFilterBank\\nn_filters: 60")
    >>> build_front_end(path)
    LogFilterBank()
    """
    if not Path(file).is_file():
        raise InputError(f"{file}: no such file")
    return load_hyperpyyaml(f"front_end: !include:{Path(file).resolve()}\n")["front_end"]
