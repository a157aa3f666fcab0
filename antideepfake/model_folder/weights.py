"""Reading of safetensors files."""

import os
import re

import safetensors.torch
import torch

from antideepfake.errors import InputError


def refuse_text(path: str | os.PathLike) -> None:
    """Raise an error for a file of weights that is empty, a Git LFS pointer or a web page.

    Arguments
    ---------
    path : str or Path
        A file of weights in any format.

    Raises
    ------
    InputError
        If the file is one of these; the message says how to obtain the weights.

    Example
    -------
    >>> path = getfixture("tmp_path") / "page.ckpt"
    >>> _ = path.write_text("<!DOCTYPE html><html>...")
    >>> refuse_text(path)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    antideepfake.errors.InputError: ...page.ckpt: an HTML page, not a checkpoint; download the file itself
    """
    with open(path, "rb") as file:
        beginning = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not beginning:
        raise InputError(f"{path}: empty; download it again")
    if beginning.startswith(b"version https://git-lfs.github.com/spec/"):
        raise InputError(
            f"{path}: a Git LFS pointer, not the checkpoint; run `git lfs pull` in its repository or download the file"
        )
    if re.match(rb"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype html|html|head|body)\b", beginning, re.DOTALL):
        raise InputError(f"{path}: an HTML page, not a checkpoint; download the file itself")


def read_safetensors(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """Read all tensors of a safetensors file.

    Arguments
    ---------
    path : str or Path
        The file.

    Raises
    ------
    InputError
        If the file is damaged or has another format.

    Example
    -------
    >>> path = getfixture("tmp_path") / "a.safetensors"
    >>> safetensors.torch.save_file({"a": torch.ones(2)}, path)
    >>> read_safetensors(path)
    {'a': tensor([1., 1.])}
    """
    refuse_text(path)
    try:
        return safetensors.torch.load_file(path)
    except Exception as error:  # safetensors and torch raise many types of errors for a damaged file
        raise_system_error(error)
        raise InputError(
            f"{path}: not a complete safetensors file ({first_line(error)}); copy or download it again"
        ) from None


def raise_system_error(error: Exception) -> None:
    """Raise an error of the operating system, such as a missing permission, again; it names the file."""
    if isinstance(error, OSError) and error.filename is not None:
        raise error


def first_line(error: Exception) -> str:
    """Return the first line of an error message, or the type of the error if there is none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
