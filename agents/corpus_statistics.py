"""What is usual among the rows of a run: what a single row's text is compared with."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..records import Row
from . import signals
from .lexemes import (
    ALL,
    CELLS,
    Feature,
    Ids,
    bracket_depths,
    features_after,
    features_before,
    grams,
    lexemes,
    shape_trigrams,
    terms,
)
from .term_association import Association

ROWS = 5_000  # rows that are read; more change the statistics little
REFERENCE = 1_000  # rows whose values are kept, to rank others among
_OTHERS = 40  # instructions of other rows that a response is compared with
_RIVAL = 5  # the response is compared with the fifth-best of them: some are near-duplicates
_PLACES = 20  # places inside each response at which it might have been cut
_ASSOCIATION = 0.2  # weight of the association beside the difference of cosines


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
        met = np.zeros(CELLS, dtype=np.int64)
        patterns: Counter[Feature] = Counter()
        bounds: Counter[Feature] = Counter()
        insides: Counter[Feature] = Counter()
        for row in read:
            met[np.union1d(grams(row.task), grams(row.output))] += 1
            found = lexemes(row.output)
            depths = bracket_depths(found)
            patterns.update(shape_trigrams(found))
            if found:
                bounds.update(
                    features_before(found, depths, len(found) - 1) + features_after(found, 0)
                )
            for at in range(0, len(found) - 1, max(1, len(found) // _PLACES)):
                insides.update(features_before(found, depths, at) + features_after(found, at + 1))
        rarity = np.log((len(read) + 1) / (1 + met)).astype(np.float32)
        others = np.zeros((CELLS, _OTHERS), dtype=np.float32)
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
        seen = shape_trigrams(found)
        related = self.preference(grams(row.task), grams(row.output))
        related += _ASSOCIATION * self.association.lift(terms(row.task), terms(row.output), own)
        bounds = (
            self._likely(features_before(found, bracket_depths(found), len(found) - 1), own),
            self._likely(features_after(found, 0), own),
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
        bounds, places = 1 + self.bounds.get(ALL, 0), 1 + self.insides.get(ALL, 0)
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
