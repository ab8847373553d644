"""Which terms of responses go with which terms of tasks, over the rows of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .lexemes import Ids

_TERMS = 2048  # most frequent terms of either side whose co-occurrence is counted


@dataclass(frozen=True)
class Association:
    """How often terms of tasks and terms of responses meet in a row.

    Attributes:
        asked: index of each frequent term of the tasks.
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
        indices, counts = [], []
        for side in zip(*pairs, strict=True) if pairs else ((), ()):
            counted = Counter(term for found in side for term in found)
            frequent = sorted(counted, key=lambda term: (-counted[term], term))[:_TERMS]
            kept = [term for term in frequent if counted[term] >= 3]
            indices.append({term: i for i, term in enumerate(kept)})
            counts.append(np.array([counted[term] for term in kept], dtype=np.float64))
        met = np.zeros((len(indices[0]), len(indices[1])), dtype=np.uint16)
        made = cls(indices[0], indices[1], met, counts[0], counts[1], len(pairs))
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
