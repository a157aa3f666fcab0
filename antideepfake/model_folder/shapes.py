"""Shapes of the weights of a model folder, read from the header of the file."""

import os
from pathlib import Path

from safetensors import SafetensorError, safe_open

from antideepfake.errors import InputError
from antideepfake.model_folder.names import FILES


def read_shapes(folder: str | os.PathLike) -> dict[str, list[int]]:
    """Read the shapes of the tensors of a model folder, without torch and without loading the weights.

    Arguments
    ---------
    folder : str or Path
        The model folder.

    Returns
    -------
    dict
        Name of each tensor -> its shape.

    Raises
    ------
    InputError
        If the weights are missing or damaged.

    Example
    -------
    >>> import numpy as np
    >>> from safetensors.numpy import save_file
    >>> folder = getfixture("tmp_path")
    >>> save_file({"classifier.weight": np.ones((2, 16))}, folder / "model.safetensors")
    >>> read_shapes(folder)
    {'classifier.weight': [2, 16]}
    """
    path = Path(folder, FILES["model"])
    try:
        with safe_open(path, "np") as file:
            return {name: file.get_slice(name).get_shape() for name in list(file.keys())}
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: not the weights of a model folder ({error}); copy the folder again") from None
