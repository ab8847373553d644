"""The pieces of a text that statistics count: n-grams, lexemes, and what stands at its bounds."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_N = 4  # characters in an n-gram
CELLS = 1 << 17
_MULTIPLIERS = np.array([2654435761, 2246822519, 3266489917, 668265263], dtype=np.uint32)
_LEXEME = re.compile(r"[^\W\d_\u0e00-\u0eff\u3040-\u9fff\uac00-\ud7af]+|\d+|\S|\n")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_OPEN, _CLOSED = frozenset("([{"), frozenset(")]}")

Ids = NDArray[np.int64]
Feature = tuple[str, ...]
ALL: Feature = ("all",)


def grams(text: str) -> Ids:
    """Hashed character 4-grams of a text, without case and with white space folded, sorted."""
    folded = f" {' '.join(text.lower().split())} "
    codes = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    if len(codes) < _N:
        return np.empty(0, dtype=np.int64)
    hashed = np.zeros(len(codes) - _N + 1, dtype=np.uint32)
    for i, multiplier in enumerate(_MULTIPLIERS):
        hashed = (hashed ^ codes[i : i + len(hashed)]) * multiplier
    return np.unique(hashed >> np.uint32(15)).astype(np.int64)


def lexemes(text: str) -> list[str]:
    """Words, numbers and signs of a text, and its line ends; unspaced scripts by character."""
    return _LEXEME.findall(text.strip())


def terms(text: str) -> set[str]:
    """Distinct lexemes of a text in lower case, the parts of compound identifiers apart."""
    return set(lexemes(_HUMP.sub(" ", text).lower()))


def bracket_depths(found: Sequence[str]) -> list[int]:
    """How many brackets are open after each lexeme."""
    depths, depth = [], 0
    for lexeme in found:
        depth += (lexeme in _OPEN) - (lexeme in _CLOSED)
        depths.append(depth)
    return depths


def features_before(found: Sequence[str], depths: Sequence[int], at: int) -> tuple[Feature, ...]:
    """What is seen before a bound: the last word, the shapes of the last two, open brackets."""
    if not found:
        return ()
    before = _shape(found[at - 1]) if at else ""
    depth = str(max(-2, min(3, depths[at])))
    return ALL, ("last", found[at]), ("last two", before, _shape(found[at])), ("open", depth)


def features_after(found: Sequence[str], at: int) -> tuple[Feature, ...]:
    """What is seen after a bound: the first word, and the shapes of the first two."""
    if not found:
        return ()
    after = _shape(found[at + 1]) if at + 1 < len(found) else ""
    return ("first", found[at]), ("first two", _shape(found[at]), after)


def shape_trigrams(found: Sequence[str]) -> set[Feature]:
    """Runs of three lexemes, in which words and numbers stand for all of their kind."""
    kinds = ["9" if x[0].isdigit() else "a" if x[0].isalpha() else x for x in found]
    return set(zip(kinds, kinds[1:], kinds[2:], strict=False))


def _shape(lexeme: str) -> str:
    first = lexeme[0]
    if first.isdigit():
        return "9"
    if first.isalpha():
        return ("a" if lexeme.islower() else "A") * min(2, len(lexeme))
    return lexeme
