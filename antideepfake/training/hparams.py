"""Read HyperPyYAML files; say what is wrong with them, and where."""

import difflib
import os
from collections.abc import Sequence
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import yaml
from hyperpyyaml import load_hyperpyyaml, resolve_references
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
    return {key: node.start_mark.line + 1 for key, node in _top_level(text).items()}


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
        given = list(_top_level(overrides))
        _check_overrides(file, text, given)
        with open(file, encoding="utf-8") as stream:  # a stream, whose name is where relative includes start
            settings = resolve_references(stream, overrides).getvalue()
        _check_numbers(file, text, settings, given)
        seed = _top_level(settings).get("seed")
        if seed is not None and _is_number(seed.value):
            seed_everything(int(float(seed.value)))
        values = load_hyperpyyaml(StringIO(settings))
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
        if "PLACEHOLDER" not in str(error):
            raise InputError(f"{file}: {error}") from error
        # a placeholder of an included file, for which hyperpyyaml has no error of its own
        key = str(error).split("'")[1]
        raise InputError(f"{file}: {key} has no value; set it below the line that includes the file") from None
    return HyperParameters(values, file, settings, given)


def _top_level(text: str) -> dict[str, yaml.Node]:
    """Give the top-level keys of a YAML and the nodes of their values."""
    root = yaml.compose(text)
    return {key.value: value for key, value in root.value} if isinstance(root, yaml.MappingNode) else {}


def _check_overrides(file: str | os.PathLike, text: str, given: Sequence[str]) -> None:
    """Refuse options that the YAML has no key for, and keys that need an option which is not given."""
    nodes = _top_level(text)
    if not nodes:
        raise InputError(f"{file}: has no keys; the YAML of an experiment has lines of the form 'key: value'")
    for key in given:
        if key not in nodes:
            similar = difflib.get_close_matches(key, nodes, 1)
            hint = f"; did you mean --{similar[0]}?" if similar else "; use one of its keys"
            raise InputError(f"--{key}: {file} has no key '{key}'{hint}")
    for key, node in nodes.items():
        if node.tag == "!PLACEHOLDER" and key not in given:
            raise InputError(f"{file}:{node.start_mark.line + 1}: {key} has no value; pass --{key} VALUE")


def _check_numbers(file: str | os.PathLike, text: str, settings: str, given: Sequence[str]) -> None:
    """Refuse text in place of a number: --lr abc."""
    own, resolved = (_scalars(yaml_text) for yaml_text in (text, settings))
    for key in given:
        value = resolved.get(key, "")
        if _is_number(own.get(key, "")) and not (_is_number(value) or value in ("null", "~", "")):
            raise InputError(f"--{key} is '{value}'; {file} has a number there: give a number, or null")


def _scalars(text: str) -> dict[str, str]:
    """Give the top-level keys of a YAML and their values as text; ``[...]`` for lists and mappings."""
    return {key: node.value if isinstance(node, yaml.ScalarNode) else "[...]" for key, node in _top_level(text).items()}


def _is_number(text: Any) -> bool:
    try:
        return isfinite(float(text))
    except (ValueError, TypeError):
        return False


def build_front_end(file: str | os.PathLike) -> Any:
    """Build the front end of a YAML that holds nothing else, like those of ``hparams/front_ends``.

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
