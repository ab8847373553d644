"""How the words of two texts go together: synonyms, opposites, misspellings, traded places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import permutations

from rapidfuzz.distance import OSA

from .word_lists import IRREGULAR, LIGHT, OPPOSITES, SYNONYMS


def matched(one: set[str], two: set[str]) -> tuple[list[tuple[str, str]], set[str], set[str]]:
    """Pair the words of two texts that may stand for one another; return pairs and leftovers."""
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
    if len(a) + len(b) < 9 or a[0] != b[0]:
        return False
    return OSA.distance(a, b, score_cutoff=1) <= 1


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


def canonical(word: str) -> str:
    """The word's group of synonyms, or its stem: equal for words that may stand for another."""
    stemmed = stem(word)
    return str(min(_groups(stemmed), default=stemmed))


@cache
def _opposites() -> frozenset[frozenset[str]]:
    return frozenset(frozenset(map(stem, pair)) for pair in OPPOSITES)


def moved(one: Sequence[str], two: Sequence[str]) -> str:
    """Two words that stand where the other stood; "" if only phrases moved."""
    swaps = {(a, b) for a, b in zip(*map(_telling, (one, two)), strict=False) if a != b}
    if len(swaps) == 2 and {(b, a) for a, b in swaps} == swaps:
        a, b = min(swaps)
        return "" if _listed(a, b, one, two) else f"{a} and {b}"
    before, after = _places(one), _places(two)
    lost = {word: before[word] - after[word] for word in before if word in after}
    gained = {word: after[word] - before[word] for word in lost}
    for a, b in permutations([word for word in lost if lost[word] or gained[word]], 2):
        traded = (one.count(a), two.count(a)) == (two.count(b), one.count(b))
        back = lost[b] & gained[a] or one.count(a) > two.count(a)
        if lost[a] & gained[b] and traded and back and not _listed(a, b, one, two):
            return f"{a} and {b}"
    return ""


def _telling(found: Sequence[str]) -> list[str]:
    return [word for word in found if word not in LIGHT]


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
