"""Reading a safetensors file."""

import os
import re

import safetensors.torch
import torch

from antideepfake.errors import InputError


def refuse_text(path: str | os.PathLike) -> None:
    """Refuse a file of weights that is empty or in truth a text which came in its place.

    Arguments
    ---------
    path : str or Path
        A file of weights in any format.

    Raises
    ------
    InputError
        When it is empty, a Git LFS pointer or a web page; says how to get the file itself.

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
        When it is damaged or no such file.

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
    except Exception as error:  # of a damaged file, safetensors and torch raise a dozen kinds
        raise_system_error(error)
        raise InputError(f"{path}: not a whole safetensors file ({first_line(error)})") from None


def raise_system_error(error: Exception) -> None:
    """Raise an error of the system, such as a lack of permission, again: it names the file."""
    if isinstance(error, OSError) and error.filename is not None:
        raise error


def first_line(error: Exception) -> str:
    """Give the first line of an error, or its kind where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:200]
