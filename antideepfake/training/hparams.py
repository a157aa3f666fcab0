"""Reading the YAML of an experiment."""

import os
from collections.abc import Iterable
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

import yaml
from hyperpyyaml import load_hyperpyyaml, resolve_references
from ruamel.yaml.error import YAMLError

from antideepfake.errors import InputError


class HyperParameters(dict[str, Any]):
    """What a YAML says; a key that is not there is the user's mistake, told in one sentence.

    Arguments
    ---------
    values : dict
        Keys and values.
    file : str or Path
        The YAML, for the message.
    settings : str
        The YAML as text, includes, overrides and references resolved.

    Example
    -------
    >>> HyperParameters({}, "train.yaml")["seed"]
    Traceback (most recent call last):
    antideepfake.errors.InputError: train.yaml: the key 'seed' is missing; add it
    """

    def __init__(self, values: dict[str, Any], file: str | os.PathLike, settings: str = "") -> None:
        super().__init__(values)
        self.file = file
        self.settings = settings

    def __missing__(self, key: str) -> Any:
        raise InputError(f"{self.file}: the key '{key}' is missing; add it")


def load_hparams(file: str | os.PathLike, overrides: str = "", needed: Iterable[str] = ()) -> HyperParameters:
    """Read a YAML of hyper-parameters.

    Arguments
    ---------
    file : str or Path
        In SpeechBrain's HyperPyYAML. As such it can run code: read files that you trust.
    overrides : str
        Keys and values from the command line, as ``speechbrain.parse_arguments`` gives them.
    needed : iterable of str
        Keys that must be there.

    Returns
    -------
    HyperParameters
        Keys and constructed values.

    Raises
    ------
    InputError
        When the file is missing or malformed, lacks a key, or one that must be given on the command line was not.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.yaml"
    >>> _ = path.write_text("seconds: 4")
    >>> hparams = load_hparams(path, "seconds: 10")
    >>> hparams["seconds"], hparams.settings
    (10, 'seconds: 10\\n')
    """
    try:
        with open(file, encoding="utf-8") as stream:
            settings = resolve_references(stream, overrides, overrides_must_match=True).getvalue()
        _check_numbers(file, settings, overrides)
        values = load_hyperpyyaml(StringIO(settings))
    except FileNotFoundError as error:
        raise InputError(
            f"{error.filename}: no such file" + (f"; {file} includes it" if error.filename != str(file) else "")
        ) from None
    except (YAMLError, yaml.YAMLError) as error:
        raise InputError(f"{file}: not well-formed YAML. {' '.join(str(error).split())}") from None
    except IsADirectoryError:
        raise InputError(f"{file}: a folder, not a YAML file") from None
    except (ImportError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: {error}") from None
    except KeyError as error:
        if "Override" in str(error):  # hyperpyyaml's "Override 'key' not found in: [...]"
            key = str(error).split("'")[1]
            raise InputError(f"{file}: has no key '{key}'; nothing of that name can be given") from None
        raise InputError(f"{file}: the key {error} is missing, though another refers to it") from None
    except InputError:
        raise
    except AttributeError:  # hyperpyyaml's, of a document that is no mapping
        raise InputError(f"{file}: holds no keys; a YAML of an experiment is lines of key: value") from None
    except (ValueError, TypeError) as error:
        if "PLACEHOLDER" not in str(error):
            raise InputError(f"{file}: {error}") from error
        key = str(error).split("'")[1]
        where = "in the YAML, below the line that includes it" if "[" in key else f"on the command line: --{key} VALUE"
        raise InputError(f"{file}: {key} has no value; give it {where}") from None
    hparams = HyperParameters(values, file, settings)
    for key in needed:
        hparams[key]
    return hparams


def _check_numbers(file: str | os.PathLike, settings: str, overrides: str) -> None:
    """Refuse a text in place of a number: --lr abc."""
    own, given, resolved = (_scalars(text) for text in (Path(file).read_text(encoding="utf-8"), overrides, settings))
    for key in given:
        value = resolved.get(key, "")
        if _is_number(own.get(key, "")) and not (_is_number(value) or value in ("null", "~", "")):
            raise InputError(f"--{key} is '{value}'; {file} has a number there: give a number, or null")


def _scalars(text: str) -> dict[str, str]:
    """Give the top-level keys of a YAML and their values as text; empty for what is more than a text."""
    root = yaml.compose(text)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return {key.value: node.value if isinstance(node, yaml.ScalarNode) else "[...]" for key, node in pairs}


def _is_number(text: str) -> bool:
    try:
        return isfinite(float(text))
    except ValueError:
        return False


def build_front_end(file: str | os.PathLike) -> Any:
    """Build the front end of a YAML that holds nothing else, as those of ``hparams/front_ends``.

    Arguments
    ---------
    file : str or Path
        As for :func:`load_hparams`, it can run code.

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
