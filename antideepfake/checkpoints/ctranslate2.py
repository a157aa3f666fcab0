"""Read the tensors of CTranslate2's ``model.bin``, the form in which faster-whisper publishes Whisper."""

import os
import struct
from pathlib import Path
from typing import Any

import torch

from antideepfake.errors import InputError

TYPES = (torch.float32, torch.int8, torch.int16, torch.int32, torch.float16, torch.bfloat16)  # by number in the file


def is_ctranslate2(path: str | os.PathLike) -> bool:
    """Whether a file begins like a Whisper of CTranslate2: version, length of a name, name."""
    with open(path, "rb") as file:
        return file.read(18)[4:] == b"\x0c\x00WhisperSpec\x00"


def read_ctranslate2(path: str | os.PathLike) -> dict[str, torch.Tensor]:
    """Read all tensors by CTranslate2's names; those in int8 or int16 are divided by their scales.

    Raises
    ------
    InputError
        When the file is incomplete.
    """
    data, position = Path(path).read_bytes(), 0

    def take(form: str) -> Any:
        nonlocal position
        values = struct.unpack_from(f"<{form}", data, position)
        position += struct.calcsize(f"<{form}")
        return values if len(values) > 1 else values[0]

    def take_text() -> str:
        return take(f"{take('H')}s").rstrip(b"\0").decode()

    state: dict[str, torch.Tensor] = {}
    try:
        take("I"), take_text(), take("I")  # version of the format (6 since 2021), kind of the model and its revision
        for _ in range(take("I")):
            name, rank = take_text(), take("B")
            shape, (kind, size) = [take("I") for _ in range(rank)], take("BI")
            position += size
            state[name] = torch.frombuffer(bytearray(data[position - size : position]), dtype=TYPES[kind]).view(shape)
        for _ in range(take("I")):  # names of tensors that equal another one
            name, original = take_text(), take_text()
            state[name] = state[original]
    except (struct.error, ValueError, IndexError, KeyError, RuntimeError):
        raise InputError(f"{path}: not a complete model of CTranslate2; copy or download it again") from None
    for name in [name for name in state if name.endswith("_scale")]:  # one for each row, or one for all
        scale, weight = state.pop(name), state[name.removesuffix("_scale")]
        state[name.removesuffix("_scale")] = weight / scale.reshape(-1, *[1] * (weight.dim() - 1))
    return state
