"""Files that the library reads beside its code: ``hparams/`` and ``recipes/``."""

from pathlib import Path

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
