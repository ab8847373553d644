"""A row's task as it is compared with another's: its words, numbers and names, read once."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cached_property

from ..records import Row
from .texts import UNSPACED, normalised, script
from .word_lists import ALIASES, CREATION, LIGHT, NEGATIONS, NUMBERS
from .word_matching import canonical, stem

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]\+\+|[^\W\d_]#(?!\w)|\w+|[$£€¥%<>=+*/^&|~@#]")
_MARKER = re.compile(r"^\s*(?:[-*•>#]+|\d{1,3}[.)]|[a-z][.)]|[QA]:)\s+", re.MULTILINE)
_NO_INPUT = frozenset(
    ("", "none", "n/a", "na", "noinput", "<noinput>", "not applicable", "no input")
)
_CANNOT = re.compile(r"\b(?:cannot|can['’]t)\b", re.IGNORECASE)
_NOT = re.compile(r"(?<=\w)n['’]t\b", re.IGNORECASE)
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3}|`)(\w(?:[^*_`\n]*\w)?)\1(?!\w)")
_OR_NOT = re.compile(r"\bor not\b", re.IGNORECASE)


class TaskText:
    """A row's task as it is compared: its words, numbers and names, read once."""

    def __init__(self, row: Row) -> None:
        self.row = row
        input = normalised(row.input)
        self.input = "" if input in _NO_INPUT else input
        self.context = normalised(
            " ".join((row.system, *(t for turn in row.history for t in turn)))
        )
        text = row.task if self.input else row.instruction
        plain = _OR_NOT.sub("", _EMPHASIS.sub(r"\2", _MARKER.sub("", _plain(text))))
        self._original = _NOT.sub(" not", _CANNOT.sub("can not", plain))
        self.tokens = _tokens(self._original)
        self.numbers = Counter(t for t in self.tokens if t[0].isdigit())
        self.negations = sum(t in NEGATIONS for t in self.tokens)
        said = [t for t in self.tokens if not t[0].isdigit() and t not in LIGHT | NEGATIONS]
        self.words = Counter(said)
        self.stems = Counter(map(stem, said))

    @cached_property
    def input_tokens(self) -> list[str]:
        """The tokens of the input."""
        return _tokens(_plain(self.row.input)) if self.input else []

    @cached_property
    def answer(self) -> list[str]:
        """The tokens of the output."""
        return _tokens(_plain(self.row.output))

    @cached_property
    def names(self) -> frozenset[str]:
        """Words with a capital that no sentence begins with, unless most words have one."""
        inner = re.findall(r"(?<=[^\s.!?:;\"'”’]) +[\"'(`]*([^\W\d_]\w*)", self._original)
        capital = [word for word in inner if word[0].isupper()]
        few = len(capital) <= max(3, 0.4 * len(inner))
        return frozenset(word.casefold() for word in capital if few)

    @cached_property
    def fingerprint(self) -> str:
        """Equal for tasks whose words are the same but for order, light words and synonyms."""
        words = sorted({canonical(word) for word in set(self.words) - CREATION})
        return "\0".join((*words, *sorted(self.numbers.elements()), self.input, self.context))


def _tokens(text: str) -> list[str]:
    """Words, numbers and the signs that carry meaning, in one form; see `texts.words`."""
    found: list[str] = []
    for token in _TOKEN.findall(text):
        word = token.casefold()
        if word[0].isdigit():
            found.append(_number(word))
        elif word in NUMBERS:
            found.append(NUMBERS[word])
        elif not word.isascii() and script(word) in UNSPACED:
            found.extend(word)
        else:
            found.append(ALIASES.get(word, word))
    return found


def _number(digits: str) -> str:
    plain = digits.replace(",", "")
    try:
        return f"{float(plain):g}" if "." in plain else str(int(plain))
    except ValueError:
        return digits


def _plain(text: str) -> str:
    """NFKC without invisible characters."""
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKC", text)
    return "".join(c for c in folded if unicodedata.category(c) != "Cf")
