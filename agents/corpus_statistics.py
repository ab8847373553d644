"""What is usual among the rows of a run: what a single row's text is compared with."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..records import Row
from . import signals

ROWS = 5_000  # rows that are read; more change the statistics little
REFERENCE = 1_000  # rows whose values are kept, to rank others among
_OTHERS = 40  # instructions of other rows that a response is compared with
_RIVAL = 5  # the response is held against the fifth-best of them: some are near-duplicates
_PLACES = 20  # places inside each response at which it might have been cut
_TERMS = 2048  # most frequent terms of either side whose co-occurrence is counted
_ASSOCIATION = 0.2  # weight of the association beside the difference of cosines

_N = 4  # characters in an n-gram
_CELLS = 1 << 17
_MULTIPLIERS = np.array([2654435761, 2246822519, 3266489917, 668265263], dtype=np.uint32)
_LEXEME = re.compile(r"[^\W\d_\u0e00-\u0eff\u3040-\u9fff\uac00-\ud7af]+|\d+|\S|\n")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_OPEN, _CLOSED = frozenset("([{"), frozenset(")]}")

Ids = NDArray[np.int64]
Feature = tuple[str, ...]
_ALL: Feature = ("all",)


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


@dataclass(frozen=True)
class Association:
    """How often terms of tasks and terms of responses meet in a row.

    Attributes:
        asked: place of each frequent term of the tasks.
        answered: the same for the responses.
        met: rows in which two terms meet, (terms asked, terms answered).
        asked_in: rows whose task has the term, (terms asked,).
        answered_in: rows whose response has the term, (terms answered,).
        rows: how many rows were counted.
    """

    asked: Mapping[str, int]
    answered: Mapping[str, int]
    met: NDArray[np.uint16]
    asked_in: NDArray[np.float64]
    answered_in: NDArray[np.float64]
    rows: int

    @classmethod
    def of(cls, pairs: Sequence[tuple[set[str], set[str]]]) -> Association:
        """Count over the terms of tasks and responses."""
        places, counts = [], []
        for side in zip(*pairs, strict=True) if pairs else ((), ()):
            counted = Counter(term for found in side for term in found)
            frequent = sorted(counted, key=lambda term: (-counted[term], term))[:_TERMS]
            kept = [term for term in frequent if counted[term] >= 3]
            places.append({term: place for place, term in enumerate(kept)})
            counts.append(np.array([counted[term] for term in kept], dtype=np.float64))
        met = np.zeros((len(places[0]), len(places[1])), dtype=np.uint16)
        made = cls(places[0], places[1], met, counts[0], counts[1], len(pairs))
        for asked, answered in pairs:
            met[made._block(asked, answered)] += 1
        return made

    def lift(self, asked: set[str], answered: set[str], own: int) -> float:
        """Mean log lift of a response's terms over a task's: ln of (met × rows / expected).

        `own` is 1 where the row itself was counted, which is then left out, else 0.
        """
        block = self._block(asked, answered)
        rows, columns = block[0].ravel(), block[1].ravel()
        if not len(rows) or not len(columns):
            return 0.0
        expected = np.outer(self.asked_in[rows] - own, self.answered_in[columns] - own) / self.rows
        met = np.maximum(self.met[block].astype(np.float64) - own, 0)
        return float(np.log((met + 0.5) / (expected + 0.5)).mean())

    def _block(self, asked: set[str], answered: set[str]) -> tuple[Ids, Ids]:
        rows = sorted(self.asked[term] for term in asked if term in self.asked)
        columns = sorted(self.answered[term] for term in answered if term in self.answered)
        return np.array(rows, dtype=np.int64)[:, None], np.array(columns, dtype=np.int64)[None]


@dataclass(frozen=True)
class CorpusStatistics:
    """Statistics of a run's rows; nothing in it changes once it is made.

    Attributes:
        association: which terms of responses go with which terms of tasks.
        rarity: inverse document frequency of each n-gram cell, (cells,).
        others: unit vectors of some instructions by cell, (cells, others).
        patterns: rows in which three shapes of lexemes follow each other.
        bounds: how often each feature was met where a response begins or ends.
        insides: the same where a response might have been cut.
        reference: values by signal of rows of the run, sorted.
        counted: ids of the rows that were counted; in its own values a row does not count.
    """

    association: Association
    rarity: NDArray[np.float32]
    others: NDArray[np.float32]
    patterns: Mapping[Feature, int]
    bounds: Mapping[Feature, int]
    insides: Mapping[Feature, int]
    reference: Mapping[str, NDArray[np.float64]]
    counted: frozenset[str]

    @classmethod
    def of(cls, rows: Iterable[Row]) -> CorpusStatistics:
        """Gather the statistics of rows, in whatever order they come.

        Of more than `ROWS` rows, those with the lowest ids (hashes of their texts) are read. Rows
        with a fault are no measure of what is usual and are left out.
        """
        first = sorted(rows, key=lambda row: row.id)[:ROWS]
        read = [row for row in first if not signals.fault(row)]
        met = np.zeros(_CELLS, dtype=np.int64)
        patterns: Counter[Feature] = Counter()
        bounds: Counter[Feature] = Counter()
        insides: Counter[Feature] = Counter()
        for row in read:
            met[np.union1d(grams(row.task), grams(row.output))] += 1
            found = lexemes(row.output)
            depths = _depths(found)
            patterns.update(_patterns(found))
            if found:
                bounds.update(_before(found, depths, len(found) - 1) + _after(found, 0))
            for at in range(0, len(found) - 1, max(1, len(found) // _PLACES)):
                insides.update(_before(found, depths, at) + _after(found, at + 1))
        rarity = np.log((len(read) + 1) / (1 + met)).astype(np.float32)
        others = np.zeros((_CELLS, _OTHERS), dtype=np.float32)
        for column, row in enumerate(read[:: max(1, len(read) // _OTHERS)][:_OTHERS]):
            ids = grams(row.task)
            others[ids, column] = rarity[ids] ** 2 / _norm(rarity[ids])
        association = Association.of([(terms(row.task), terms(row.output)) for row in read])
        counted = frozenset(row.id for row in read)
        made = cls(association, rarity, others, patterns, bounds, insides, {}, counted)
        values = [made.values(row) for row in read[:: max(1, len(read) // REFERENCE)]]
        names = values[0] if values else ()
        reference = {name: np.sort([value[name] for value in values]) for name in names}
        return replace(made, reference=reference)

    def values(self, row: Row) -> dict[str, float]:
        """Values of a row by signal; the lower, the more unusual is a fault."""
        own = int(row.id in self.counted)
        found = lexemes(row.output)
        seen = _patterns(found)
        related = self.preference(grams(row.task), grams(row.output))
        related += _ASSOCIATION * self.association.lift(terms(row.task), terms(row.output), own)
        bounds = (
            self._likely(_before(found, _depths(found), len(found) - 1), own),
            self._likely(_after(found, 0), own),
        )
        met = sum(self.patterns.get(pattern, 0) > own for pattern in seen)
        return signals.values(row) | {
            "bounds": min(bounds),
            "relatedness": related,
            "patterns": met / len(seen) if seen else 1.0,
        }

    def _likely(self, features: Sequence[Feature], own: int) -> float:
        """Log-likelihood ratio of features at a bound of a response against one inside of it.

        Naive Bayes. Both sides are learnt from the run's own rows, whose insides show what a
        response looks like where it is cut.
        """
        bounds, places = 1 + self.bounds.get(_ALL, 0), 1 + self.insides.get(_ALL, 0)
        ratio = 0.0
        for feature in features:
            bound = (max(0, self.bounds.get(feature, 0) - own) + 0.5) / bounds
            inside = (self.insides.get(feature, 0) + 0.5) / places
            ratio += math.log(bound / inside)
        return ratio

    def preference(self, asked: Ids, answered: Ids) -> float:
        """How much better a response fits its own instruction than it fits those of other rows.

        Cosine of instruction and response by inverse document frequency of their n-grams, less
        the fifth-highest cosine of the response with 40 instructions of other rows.
        """
        if not len(answered) or not len(asked):
            return 0.0
        size = _norm(self.rarity[answered])
        both = self.rarity[np.intersect1d(asked, answered, assume_unique=True)]
        own = float(both @ both) / size / _norm(self.rarity[asked])
        rivals = np.sort(self.others[answered].sum(axis=0)) / size
        return own - float(rivals[-_RIVAL])

    def tails(self, row: Row) -> dict[str, float]:
        """Share of the run's rows whose value is as low as this row's, by signal, 0 to 1."""
        return {
            name: float(np.searchsorted(values, value + 1e-9) + 1) / (len(values) + 1)
            for name, value in self.values(row).items()
            if (values := self.reference.get(name)) is not None
        }


def _norm(weights: NDArray[np.float32]) -> float:
    return max(1e-6, float(np.sqrt(weights @ weights)))


def _depths(found: Sequence[str]) -> list[int]:
    """How many brackets are open after each lexeme."""
    depths, depth = [], 0
    for lexeme in found:
        depth += (lexeme in _OPEN) - (lexeme in _CLOSED)
        depths.append(depth)
    return depths


def _before(found: Sequence[str], depths: Sequence[int], at: int) -> tuple[Feature, ...]:
    """What is seen before a bound: the last word, the shapes of the last two, open brackets."""
    if not found:
        return ()
    before = _shape(found[at - 1]) if at else ""
    depth = str(max(-2, min(3, depths[at])))
    return _ALL, ("last", found[at]), ("last two", before, _shape(found[at])), ("open", depth)


def _after(found: Sequence[str], at: int) -> tuple[Feature, ...]:
    """What is seen after a bound: the first word, and the shapes of the first two."""
    if not found:
        return ()
    after = _shape(found[at + 1]) if at + 1 < len(found) else ""
    return ("first", found[at]), ("first two", _shape(found[at]), after)


def _patterns(found: Sequence[str]) -> set[Feature]:
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
