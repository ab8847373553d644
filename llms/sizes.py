"""How many parameters a model has, from its name or from the head of its GGUF file."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

SMALL = 4e9  # parameters under which a model is a small one
_SMALL_FILE = 2 << 30  # bytes: four-bit weights of so many, where the file does not say

# 0.5b, 1.7B, 135M, 8x7b; not the 32k of a context, nor the b of a word.
_COUNT = re.compile(r"(?<![A-Za-z0-9.])(?:(\d+)x)?[ae]?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", re.I)
_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9
_LONGEST = 1 << 24  # bytes of a string; a chat template has some thousands


@dataclass(frozen=True, slots=True)
class Gguf:
    """What the head of a GGUF file says: its metadata, and the parameters in its tensors."""

    metadata: dict[str, Any]
    parameters: int

    @property
    def context(self) -> int | None:
        """Tokens of context that the model was made for."""
        architecture = self.metadata.get("general.architecture")
        context = self.metadata.get(f"{architecture}.context_length")
        return int(context) if context else None


def parameters_in(name: str) -> float | None:
    """Parameters by a model's name (``qwen2.5-0.5b``), None if it does not say.

    Of several the largest counts: ``30b-a3b`` has 30 billion, of which 3 work at a time.
    """
    units = {"b": 1e9, "m": 1e6}
    found = [
        int(experts or 1) * float(count) * units[unit.lower()]
        for experts, count, unit in _COUNT.findall(name)
    ]
    return max(found, default=None)


def is_small(name: str) -> bool:
    """Whether a model's name says that it is a small one."""
    count = parameters_in(name.rsplit("/", 1)[-1])
    return count is not None and count < SMALL


def is_small_file(path: Path) -> bool:
    """Whether weights are those of a small model."""
    head = read_gguf(path)
    if head is None:
        return path.stat().st_size < _SMALL_FILE
    told = head.metadata.get("general.parameter_count")
    return float(told or head.parameters) < SMALL


def read_gguf(path: Path) -> Gguf | None:
    """Read the head of a GGUF file; None if it is none, or of a version that is not known."""
    # The package gguf maps every word of a vocabulary: 2.1 s and 189 MB for SmolLM2, where this
    # takes 0.04 s and 12 MB; and it reads no file of which the tensors are cut.
    try:
        with path.open("rb") as file:
            magic, version = struct.unpack("<4sI", file.read(8))
            if magic != b"GGUF" or version not in (2, 3):
                return None
            tensors, pairs = struct.unpack("<QQ", file.read(16))
            metadata = {_text(file): _value(file, _number(file, "I")) for _ in range(pairs)}
            return Gguf(metadata, sum(_tensor(file) for _ in range(tensors)))
    except (OSError, ArithmeticError, LookupError, RecursionError, ValueError, struct.error):
        return None


def _tensor(file: BinaryIO) -> int:
    """Pass over a tensor's description; return how many parameters it holds."""
    _text(file)
    shape = [_number(file, "Q") for _ in range(_number(file, "I"))]
    file.seek(12, 1)  # its kind and its place
    return prod(shape)


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == _STRING:
        return _text(file)
    if kind != _ARRAY:
        return _number(file, _SCALARS[kind])
    kind, count = _number(file, "I"), _number(file, "Q")
    if kind in _SCALARS:
        file.seek(count * struct.calcsize(_SCALARS[kind]), 1)
    else:
        for _ in range(count):
            _value(file, kind)
    return None  # vocabularies: nobody asks for them


def _text(file: BinaryIO) -> str:
    length = _number(file, "Q")
    if length > _LONGEST:
        raise ValueError(f"a string of {length} bytes")
    return file.read(length).decode("utf-8", "replace")


def _number(file: BinaryIO, kind: str) -> Any:
    return struct.unpack(f"<{kind}", file.read(struct.calcsize(kind)))[0]
