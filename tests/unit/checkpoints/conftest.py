"""Fixtures of the tests of checkpoints."""

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch

from antideepfake.checkpoints.ctranslate2 import TYPES


@pytest.fixture(scope="session")
def write_ctranslate2() -> Callable[..., Path]:
    """Write tensors, and names that share one, as CTranslate2 does."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    def write(
        path: Path,
        state: Mapping[str, torch.Tensor],
        aliases: Sequence[tuple[str, str]] = (),
        kind: str = "WhisperSpec",
    ) -> Path:
        parts = [struct.pack("<I", 6), text(kind), struct.pack("<II", 3, len(state))]
        for name, value in state.items():
            value = value.int() if value.dtype == torch.int64 else value
            data = value.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
            head = struct.pack(f"<B{value.dim()}IBI", value.dim(), *value.shape, TYPES.index(value.dtype), len(data))
            parts += [text(name), head, data]
        parts += [struct.pack("<I", len(aliases)), *(text(name) for pair in aliases for name in pair)]
        path.write_bytes(b"".join(parts))
        return path

    return write
