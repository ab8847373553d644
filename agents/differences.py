"""What differs between two tasks that look alike, and whether it makes them different tasks.

Cosine cannot tell a flipped word from a reworded sentence, so the words decide: those that are
in one task only are matched by synonym, spelling and stem, and what is left over is named. Word
lists are English; for other languages every word that differs counts, and numbers, inputs,
order, and how far the two outputs agree decide.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import permutations
from typing import Literal

from ..records import Row
from .lexicon import (
    CREATION,
    IRREGULAR,
    LANGUAGES,
    LIGHT,
    NEGATIONS,
    NUMBERS,
    OPPOSITES,
    QUANTITIES,
    SYNONYMS,
)
from .texts import common_subsequence, normalised, script

Kind = Literal["duplicate", "distinct", "borderline"]

# ROUGE-L of two outputs: from here on they bear out that the tasks are the same, or below,
# that words which differ make two tasks.
ANSWERS_AGREE = 0.9
ANSWERS_DIFFER = 0.5
_TELLING = 8  # words from which two equal outputs are no coincidence

_TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]\+\+|[^\W\d_]#(?!\w)|\w+|[$£€¥%<>=+*/^&|~@#]")
_MARKER = re.compile(r"^\s*(?:[-*•>#]+|\d{1,3}[.)]|[a-z][.)]|[QA]:)\s+", re.MULTILINE)
_NO_INPUT = frozenset(
    ("", "none", "n/a", "na", "noinput", "<noinput>", "not applicable", "no input")
)
_CANNOT = re.compile(r"\b(?:cannot|can['’]t)\b", re.IGNORECASE)
_NOT = re.compile(r"(?<=\w)n['’]t\b", re.IGNORECASE)
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3}|`)(\w(?:[^*_`\n]*\w)?)\1(?!\w)")
_OR_NOT = re.compile(r"\bor not\b", re.IGNORECASE)
_UNSPACED = ("CJK", "HANGUL", "THAI")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a comparison came to.

    `same` is the side to choose for a borderline pair when no model can be asked.
    """

    kind: Kind
    evidence: str
    same: bool


class Task:
    """A row's task as it is compared: its words, numbers and names, read once."""

    def __init__(self, row: Row) -> None:
        self.row = row
        given = normalised(row.input)
        self.input = "" if given in _NO_INPUT else given
        self.context = normalised(
            " ".join((row.system, *(t for turn in row.history for t in turn)))
        )
        text = row.task if self.input else row.instruction
        plain = _OR_NOT.sub("", _EMPHASIS.sub(r"\2", _MARKER.sub("", _plain(text))))
        self._original = _NOT.sub(" not", _CANNOT.sub("can not", plain))
        self.tokens = tokens(self._original)
        self.numbers = Counter(t for t in self.tokens if t[0].isdigit())
        self.negations = sum(t in NEGATIONS for t in self.tokens)
        said = [t for t in self.tokens if not t[0].isdigit() and t not in LIGHT | NEGATIONS]
        self.words = Counter(said)
        self.stems = frozenset(map(stem, said))

    @cached_property
    def given(self) -> list[str]:
        """The tokens of the input."""
        return tokens(_plain(self.row.input)) if self.input else []

    @cached_property
    def answer(self) -> list[str]:
        """The tokens of the output."""
        return tokens(_plain(self.row.output))

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
        words = sorted({_canonical(word) for word in set(self.words) - CREATION})
        return "\0".join((*words, *sorted(self.numbers.elements()), self.input, self.context))


def tokens(text: str) -> list[str]:
    """Words, numbers and the signs that carry meaning, in one form; see `texts.words`."""
    found: list[str] = []
    for token in _TOKEN.findall(text):
        word = token.casefold()
        if word[0].isdigit():
            found.append(_number(word))
        elif word in NUMBERS:
            found.append(NUMBERS[word])
        elif not word.isascii() and script(word) in _UNSPACED:
            found.extend(word)
        else:
            found.append(word)
    return found


def compare(first: Task, second: Task, cosine: float, borderline: float) -> Finding:
    """Say whether two rows set the same task, and what differs.

    Args:
        first: the earlier row.
        second: the row that may repeat it.
        cosine: of the two rows' embeddings.
        borderline: the cosine below which words that differ make two tasks.
    """
    return _settled(first, second) or _by_words(first, second, cosine >= borderline)


def _settled(first: Task, second: Task) -> Finding | None:
    """What can be said without looking at the words: context, numbers, input."""
    if first.context != second.context:
        return _distinct("another system prompt or conversation before it")
    if first.tokens == second.tokens:
        return Finding("duplicate", "the same task", True)
    if first.input != second.input and _other_input(first, second):
        return _distinct(
            f"another input: {_quote(first.row.input)} against {_quote(second.row.input)}"
        )
    if first.numbers != second.numbers:
        return _distinct(_against(first.numbers - second.numbers, second.numbers - first.numbers))
    return None


def _by_words(first: Task, second: Task, close: bool) -> Finding:
    one = {w for w in first.words if stem(w) not in second.stems}
    two = {w for w in second.words if stem(w) not in first.stems}
    if one & LANGUAGES or two & LANGUAGES:
        return _distinct(_against(one & LANGUAGES, two & LANGUAGES))
    if first.negations != second.negations:
        kind: Kind = "borderline" if first.row.output == second.row.output else "distinct"
        return Finding(kind, "a negation in one of them only", False)
    fewer, more = first.words - second.words, second.words - first.words
    if turned := next(((a, b) for a in fewer for b in more if opposite(a, b)), None):
        return _distinct("{} against {}".format(*turned))
    if one & first.names or two & second.names:
        return _distinct(_against(one & first.names, two & second.names))
    agree = agreement(first.answer, second.answer)
    reworded, one, two = _matched(one, two)
    if agree >= ANSWERS_AGREE:
        one, two = _unless_misspelt(one, second), _unless_misspelt(two, first)
    one, two = one - CREATION, two - CREATION
    if one or two:
        return _by_leftovers(first, second, one, two, agree if close else 0.0)
    if moved := _moved(first.tokens, second.tokens):
        return _distinct(f"{moved} in each other's place")
    said = f"only {_against(*zip(*reworded, strict=True))}" if reworded else "the same words"
    return Finding("duplicate", f"worded alike: {said}", True)


def _by_leftovers(first: Task, second: Task, one: set[str], two: set[str], agree: float) -> Finding:
    """Judge words that stand in one task only, and for none of the other's."""
    evidence = _against(one, two)
    if _answered(one, first, second) and _answered(two, second, first):
        return _distinct(f"{evidence}, in the answers too")
    if not one or not two:
        # Something is added. An answer that did not change shows that it requires nothing.
        unchanged = first.row.output == second.row.output
        if unchanged and len(first.answer) >= _TELLING and not (one | two) & QUANTITIES:
            return Finding("duplicate", f"the same answer; {evidence}", True)
        if not unchanged and (len(one | two) > 1 or (one | two) & QUANTITIES):
            return _distinct(evidence)
    if agree < ANSWERS_DIFFER or (one & QUANTITIES and two & QUANTITIES):
        return _distinct(evidence)
    return Finding("borderline", evidence, agree >= ANSWERS_AGREE)


def _unless_misspelt(words: set[str], other: Task) -> set[str]:
    """The words that are not a misspelling of one in the other task."""
    return {w for w in words if not any(misspelt(w, v) for v in (*other.words, *LIGHT))}


def _answered(words: Iterable[str], own: Task, other: Task) -> bool:
    """Whether one of a task's own words is in its answer, and not in the other's."""
    mine, others = own.row.output.casefold(), other.row.output.casefold()
    return any(word in mine and word not in others for word in words)


def _matched(one: set[str], two: set[str]) -> tuple[list[tuple[str, str]], set[str], set[str]]:
    """Pair the words of two tasks that may stand for one another; return pairs and leftovers."""
    pairs = []
    for a in sorted(one):
        match = next((b for b in sorted(two) if alike(a, b)), None)
        if match is not None:
            pairs.append((a, match))
            two = two - {match}
    return pairs, one - {a for a, _ in pairs}, two


def alike(a: str, b: str) -> bool:
    """Whether two words may stand for one another: they are in one group of synonyms."""
    return bool(_groups(stem(a)) & _groups(stem(b)))


def opposite(a: str, b: str) -> bool:
    """Whether two words are opposites: listed, or one stem with different prefixes."""
    if frozenset((stem(a), stem(b))) in _opposites():
        return True
    return _prefixed(a, b) or _prefixed(b, a)


_PREFIXES = (
    "un",
    "in",
    "im",
    "dis",
    "non",
    "de",
    "en",
    "ex",
    "mis",
    "pre",
    "post",
    "sub",
    "up",
    "down",
)


def _prefixed(a: str, b: str) -> bool:
    for prefix in _PREFIXES:
        rest = a.removeprefix(prefix)
        if rest != a and len(rest) >= 3 and b.endswith(rest):
            return b == rest or b.removesuffix(rest) in _PREFIXES
    return False


def misspelt(a: str, b: str) -> bool:
    """Whether two words are one edit apart (Damerau), long enough, with the same first letter."""
    if len(a) + len(b) < 9 or abs(len(a) - len(b)) > 1 or a[0] != b[0]:
        return False
    start = next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    rest, other = a[start:], b[start:]
    return (
        rest[1:] == other[1:]
        or rest[1:] == other
        or rest == other[1:]
        or (rest[:2] == other[:2][::-1] and rest[2:] == other[2:])
    )


def agreement(one: Sequence[str], two: Sequence[str]) -> float:
    """Share of two token sequences that is their longest common subsequence (ROUGE-L F1)."""
    if one == two:
        return 1.0
    return 2 * common_subsequence(one, two) / (len(one) + len(two)) if one and two else 0.0


@cache
def stem(word: str) -> str:
    """The word without its English ending: sorts, sorted and sorting become one."""
    word = IRREGULAR.get(word, word)
    if not word.isascii():
        return word
    for ending in ("ies", "ing", "ed", "es", "ion", "s"):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= 3 and set("aeiouy") & set(rest):
            word = rest + ("y" if ending == "ies" else "")
            break
    if len(word) > 4 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word.removesuffix("e")


@cache
def _groups(stemmed: str) -> frozenset[int]:
    """The groups of synonyms that a stem is in."""
    return frozenset(i for i, group in enumerate(SYNONYMS) if stemmed in set(map(stem, group)))


def _canonical(word: str) -> str:
    stemmed = stem(word)
    return str(min(_groups(stemmed), default=stemmed))


@cache
def _opposites() -> frozenset[frozenset[str]]:
    return frozenset(frozenset(map(stem, pair)) for pair in OPPOSITES)


def _other_input(first: Task, second: Task) -> bool:
    """Whether the inputs differ, rather than one of them standing in the instruction."""
    if first.input and second.input:
        return first.given != second.given
    return not (set(first.given) <= set(second.tokens) and set(second.given) <= set(first.tokens))


def _moved(one: Sequence[str], two: Sequence[str]) -> str:
    """Two words that stand where the other stood; "" if only phrases moved."""
    before, after = _places(one), _places(two)
    lost = {word: before[word] - after[word] for word in before if word in after}
    gained = {word: after[word] - before[word] for word in lost}
    for a, b in permutations([word for word in lost if lost[word] or gained[word]], 2):
        traded = (one.count(a), two.count(a)) == (two.count(b), one.count(b))
        back = lost[b] & gained[a] or one.count(a) > two.count(a)
        if lost[a] & gained[b] and traded and back and not _listed(a, b, one, two):
            return f"{a} and {b}"
    return ""


def _places(found: Sequence[str]) -> dict[str, Counter[tuple[str, str]]]:
    """The neighbours, before and after, of each word that is not light, and how often."""
    places: dict[str, Counter[tuple[str, str]]] = {}
    around = ["", *found, ""]
    for before, word, after in zip(around, found, around[2:], strict=False):
        if word not in LIGHT:
            near = [
                (side, "itself" if w == word else w) for side, w in (("<", before), (">", after))
            ]
            places.setdefault(word, Counter()).update(near)
    return places


def _listed(a: str, b: str, *texts: Sequence[str]) -> bool:
    """Whether two words come once in each text, and side by side: "a and b", "b or a"."""
    return all(
        text.count(a) == text.count(b) == 1
        and abs(text.index(a) - text.index(b)) == 2
        and text[(text.index(a) + text.index(b)) // 2] in ("and", "or")
        for text in texts
    )


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


def _distinct(evidence: str) -> Finding:
    return Finding("distinct", evidence, False)


def _against(one: Iterable[str], two: Iterable[str]) -> str:
    sides = [", ".join(sorted(side)[:3]) for side in (one, two)]
    if all(sides):
        return f"{sides[0]} against {sides[1]}"
    return f"{sides[0] or sides[1]} in one of them only"


def _quote(text: str) -> str:
    short = " ".join(text.split())
    return f"'{short[:37]}…'" if len(short) > 40 else f"'{short}'" if short else "none"
