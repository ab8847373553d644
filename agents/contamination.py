"""Leaked benchmarks: rows that share a run of words with a benchmark's item, or reword one.

As in the reports of language models (Brown et al. 2020; Touvron et al. 2023), a row leaks an item
if both have n words in a row in common, 13 by default, whatever their case, punctuation and
spacing. The index is linear in the benchmark's size, and a check in the row's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import PurePath

from ..geometry.neighbours import Vectors, nearest
from ..records import BenchmarkItem, Row
from .texts import words

NGRAM = 13
SHORTEST = 5  # words from which a prompt is looked for inside of rows; below, a text must equal it
_COMMON = 10  # items of a benchmark beyond which a run of words is its form and not its content
_TELLING = 4  # different words, numbers left out, that a run must have
_SHOWN = 24  # words of a run that are quoted

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Leak:
    """An item that a row gives away: by which rule, and the longest run of words in common.

    `part` is prompt or answer, whichever is shared. `cosine` is set where the row is a rewording.
    """

    item: int
    source: str
    line: int
    part: str
    run: Words
    whole: bool = False
    cosine: float = 0.0

    @property
    def name(self) -> str:
        """The name of the benchmark's file."""
        return PurePath(self.source).name

    @property
    def evidence(self) -> str:
        """Where the item is, and what shows that the row leaks it."""
        shared = f"{len(self.run)}-gram '{quoted(self.run)}'"
        if self.cosine:
            shared = f"reworded, cosine {self.cosine:.2f}, longest common {shared}"
        elif self.whole:
            shared = f"whole prompt '{quoted(self.run)}'"
        return (
            f"{self.name} line {self.line}: {'' if self.part == 'prompt' else 'answer, '}{shared}"
        )


def quoted(run: Words) -> str:
    """A run of words as it is shown."""
    return " ".join(run[:_SHOWN]) + (" …" if len(run) > _SHOWN else "")


class Benchmarks:
    """The items of benchmarks, indexed by their runs of words."""

    def __init__(self, items: Sequence[BenchmarkItem], ngram: int = NGRAM) -> None:
        """Index the prompts and answers of items; an answer counts by whole n-grams only."""
        self.items = items
        self._ngram = ngram
        self._parts: list[tuple[int, str, Words]] = []
        self._grams: dict[int, list[int]] = defaultdict(list)
        self._short: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        self._shortest: dict[Words, list[int]] = defaultdict(list)
        for index, item in enumerate(items):
            for part, text in (("prompt", item.prompt), ("answer", item.answer)):
                self._add(index, part, tuple(words(text)))
        self._drop_forms()

    def _add(self, index: int, part: str, found: Words) -> None:
        part_index = len(self._parts)
        if len(found) >= self._ngram:
            for gram in _runs(found, self._ngram):
                self._grams[gram].append(part_index)
        elif part == "answer" or not found:
            return
        elif len(found) >= SHORTEST:
            self._short[len(found)][hash(found)].append(part_index)
        else:
            self._shortest[found].append(part_index)
        self._parts.append((index, part, found))

    def _drop_forms(self) -> None:
        """Drop runs of words that identify no item: of the benchmark's form, or of hardly a word.

        A text of which no other run is left keeps all of its own.
        """
        dropped = defaultdict(set)
        for part_index, (_, _, found) in enumerate(self._parts):
            grams = zip(_runs(found, self._ngram), _grams(found, self._ngram), strict=True)
            plain = {gram for gram, run in grams if not self._tells(gram, run)}
            if plain and plain != set(_runs(found, self._ngram)):
                for gram in plain:
                    dropped[gram].add(part_index)
        for gram, parts in dropped.items():
            if left := [part_index for part_index in self._grams[gram] if part_index not in parts]:
                self._grams[gram] = left
            else:
                del self._grams[gram]

    def _tells(self, gram: int, run: Words) -> bool:
        items = {self._parts[part_index][0] for part_index in self._grams[gram]}
        told = {(self.items[item].source, self.items[item].prompt) for item in items}
        return len(told) <= _COMMON and len({w for w in run if not w.isdigit()}) >= _TELLING

    def leaks(self, row: Row, near: tuple[int, float] | None = None) -> list[Leak]:
        """The items that a row leaks, the longest run first.

        Args:
            row: looked through as a trainer will see it, all turns and the system message too.
            near: item and cosine of a rewording, where the embeddings found one.
        """
        texts = [row.system, *(text for turn in row.history for text in turn)]
        found = tuple(words(" ".join((*texts, row.instruction, row.input, row.output))))
        leaks: dict[int, Leak] = {}
        for part_index in self._candidates(row, found):
            leak = self._leak(part_index, found)
            if leak and len(leak.run) > len(leaks[leak.item].run if leak.item in leaks else ()):
                leaks[leak.item] = leak
        if near and near[0] not in leaks:
            leaks[near[0]] = self._reworded(*near, found)
        return sorted(leaks.values(), key=lambda leak: (-len(leak.run), leak.item))

    def _candidates(self, row: Row, found: Words) -> list[int]:
        parts = {p for gram in _runs(found, self._ngram) for p in self._grams.get(gram, ())}
        for length, index in self._short.items():
            parts.update(p for gram in _runs(found, length) for p in index.get(gram, ()))
        for text in (row.instruction, row.input, row.output, row.task):
            parts.update(self._shortest.get(tuple(words(text)), ()))
        return sorted(parts)

    def _leak(self, part_index: int, found: Words) -> Leak | None:
        """What a row shares with a part of an item, None if only their hashes were equal."""
        index, part, own = self._parts[part_index]
        run = longest_run(own, found)
        whole = len(own) < self._ngram
        if len(run) < min(len(own), self._ngram):
            return None
        item = self.items[index]
        return Leak(index, item.source, item.line, part, run, whole)

    def _reworded(self, index: int, cosine: float, found: Words) -> Leak:
        item = self.items[index]
        run = longest_run(tuple(words(item.prompt)), found)
        return Leak(index, item.source, item.line, "prompt", run, cosine=cosine)


def nearest_items(
    vectors: Vectors, of_items: Vectors, items: Sequence[int], limit: float
) -> list[tuple[int, float] | None]:
    """For each vector the item that has a vector at this cosine or above, the nearest.

    Args:
        vectors: (n, d) unit vectors of rows.
        of_items: (m, d) unit vectors of items, of which one may have several.
        items: the item of each of these.
        limit: lowest cosine.
    """
    cosines, nearby = nearest(vectors, of_items, 1)
    return [
        (items[near], float(cosine)) if cosine >= limit else None
        for cosine, near in zip(cosines[:, 0], nearby[:, 0], strict=True)
    ]


def longest_run(first: Words, second: Words) -> Words:
    """The longest run of words that two texts have in common, the earliest of the first."""
    match = SequenceMatcher(None, second, first, autojunk=False).find_longest_match()
    return first[match.b : match.b + match.size]


def _grams(found: Words, length: int) -> Iterable[Words]:
    return zip(*(found[start:] for start in range(length)), strict=False)


def _runs(found: Words, length: int) -> list[int]:
    return [hash(gram) for gram in _grams(found, length)]
