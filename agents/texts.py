"""Small pure functions on text that several agents share."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from rapidfuzz.distance import LCSseq

_WORD = re.compile(r"\w+")
UNSPACED = ("CJK", "HANGUL", "THAI")
_PROSE_MARKS = str.maketrans(dict.fromkeys(".,;:!?'\"`´’‘“”„«»…。、，！？；：·–—", " "))


def words(text: str) -> list[str]:
    """Lower-case words of a text; each character of an unspaced script is a word."""
    if text.isascii():
        return _WORD.findall(text.lower())
    found: list[str] = []
    for token in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        if script(token) in UNSPACED:
            found.extend(token)
        else:
            found.append(token)
    return found


def normalised(text: str) -> str:
    """Return the text without case, spacing and the punctuation of prose.

    What carries meaning in code and mathematics (+, -, [], #, …) is kept.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(folded.translate(_PROSE_MARKS).split())


def script(text: str) -> str:
    """Name the writing system that most letters of a text belong to (LATIN, CJK, …)."""
    letters = [c for c in text[:400] if c.isalpha()]
    if text.isascii():
        return "LATIN" if letters else ""
    names = Counter(unicodedata.name(c, "?").split()[0] for c in letters)
    name = names.most_common(1)[0][0] if names else ""
    return "CJK" if name in ("HIRAGANA", "KATAKANA") else name


def clip(text: str, size: int | None) -> str:
    """Cut the middle out of a text of more than `size` UTF-8 bytes."""
    if size is None or len(text.encode()) <= size:
        return text
    half = max(1, size * len(text) // len(text.encode()) // 2 - 3)
    return f"{text[:half]} […] {text[-half:]}"


def first_words(text: str, count: int) -> str:
    """Return the first words of a text on one line."""
    parts = text.split()
    return " ".join(parts[:count]) + (" …" if len(parts) > count else "")


def whole_sentences(text: str) -> str:
    """Drop a last sentence that was cut off; a text of one cut sentence is kept as it is."""
    end = max(text.rfind(mark) for mark in ".!?。！？")
    return text[: end + 1] if end > 0 else text


def rouge_l(first: str, second: str) -> float:
    """ROUGE-L F1 of two texts: the share of their words in the longest common subsequence."""
    a, b = words(first), words(second)
    return lcs_f1(a, b) if a and b else 0.0


def lcs_f1(first: Sequence[str], second: Sequence[str]) -> float:
    """F1 of the longest common subsequence of two token sequences; 1 if both are empty."""
    if first == second:
        return 1.0
    return 2 * LCSseq.similarity(first, second) / (len(first) + len(second))


def word_ngrams(text: str, n: int = 5) -> set[tuple[str, ...]]:
    """Return the distinct runs of `n` words in a text."""
    found = words(text)
    return set(zip(*(found[i:] for i in range(n)), strict=False))


def distinct_trigrams(text: str) -> float:
    """Share of a text's word 3-grams that are distinct, from 0 (one phrase over and over) to 1."""
    tokens = words(text)
    grams = list(zip(tokens, tokens[1:], tokens[2:], strict=False))
    return len(set(grams)) / len(grams) if grams else 1.0
