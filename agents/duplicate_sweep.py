"""Goes through new rows and says which of them repeat an earlier one, and which are in doubt."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from ..geometry.neighbours import Floats, Indices, Vectors
from ..records import Row, Verdict
from ..records.codes import Layer
from .differences import Finding, compare
from .task_text import TaskText

CANDIDATES = 10  # rows that each row is compared with at most: its nearest that stay
_READ = 20_000  # tasks kept in memory as they were read

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Keys:
    """Digests that are equal for rows the same but for form, and for tasks in the same words."""

    form: bytes
    words: bytes


class Sweep:
    """Goes through rows of which the first `kept` stay, block by block; rows go by their index.

    A block is decided in passes: each goes through its rows in order, by the answers there are,
    and says which doubts are open. A pass without one is the block's outcome: that of deciding
    one row after another.
    """

    def __init__(
        self, rows: Sequence[Row], keys: Sequence[Keys], kept: int, borderline: float
    ) -> None:
        self.rows = rows
        self.answers: dict[Pair, Verdict] = {}
        self.verdicts: dict[str, Verdict] = {}
        self.stay = list(range(kept))
        self._keys = keys
        self._borderline = borderline
        self._task = lru_cache(_READ)(lambda i: TaskText(rows[i]))
        self._forms: dict[bytes, int] = {}
        self._words: dict[bytes, int] = {}
        for i in self.stay:
            self._forms.setdefault(keys[i].form, i)
            self._words.setdefault(keys[i].words, i)

    def blocks(self, size: int) -> Iterator[range]:
        """The new rows, `size` at a time."""
        for start in range(len(self.stay), len(self.rows), size):
            yield range(start, min(start + size, len(self.rows)))

    def open(self, block: range, vectors: Vectors, near: Sequence[tuple[Indices, Floats]]) -> None:
        """Begin a block, given the nearest of the rows that stay and of the block for each row."""
        self._block = block
        self._vectors = vectors
        self._near = [(ids.tolist(), cosines.tolist()) for ids, cosines in near]
        self._find: Callable[[int, int, float], Finding] = cache(self._compare)

    def decide(self) -> dict[Pair, Verdict]:
        """Give every row of the block its verdict; return the doubts that no answer settles."""
        forms, words = ChainMap({}, self._forms), ChainMap({}, self._words)
        gone: set[int] = set()
        unsure: set[int] = set()
        questions: dict[Pair, Verdict] = {}
        for i, near in zip(self._block, self._near, strict=True):
            key = self._keys[i]
            verdict, other, doubt = self._verdict(i, near, forms, words, gone)
            if doubt and (other, i) in self.answers:
                verdict = self.answers[other, i]
            elif doubt:
                # What is asked about a row that may go itself waits for the next pass.
                if other not in unsure:
                    questions[other, i] = verdict
                verdict = replace(verdict, duplicate=False)
                unsure.add(i)
            self.verdicts[verdict.row] = verdict
            if verdict.duplicate:
                gone.add(i)
            else:
                forms.setdefault(key.form, i)
                words.setdefault(key.words, i)
        return questions

    def close(self) -> None:
        """Let the rows of the block stay that are no duplicates."""
        for i in self._block:
            if not self.verdicts[self.rows[i].id].duplicate:
                self.stay.append(i)
                self._forms.setdefault(self._keys[i].form, i)
                self._words.setdefault(self._keys[i].words, i)

    def _verdict(
        self,
        i: int,
        near: tuple[Sequence[int], Sequence[float]],
        forms: Mapping[bytes, int],
        words: Mapping[bytes, int],
        gone: set[int],
    ) -> tuple[Verdict, int, bool]:
        """A row's verdict, the row it is about, and whether it is in doubt."""
        row, key = self.rows[i], self._keys[i]
        if (copy := forms.get(key.form, -1)) >= 0:
            layer, said = Layer.NORMALISED, "the same but for form"
            if self.rows[copy].text == row.text:
                layer, said = Layer.EXACT, "the same text"
            return Verdict(row.id, True, layer, self.rows[copy].id, 1.0, said), copy, False
        others = [(j, c) for j, c in zip(*near, strict=True) if j not in gone][:CANDIDATES]
        alike = words.get(key.words, -1)
        if alike >= 0:
            others.insert(0, (alike, float(self._vectors[alike] @ self._vectors[i])))
        found = [(j, c, self._find(j, i, c)) for j, c in others]
        for kind in ("duplicate", "borderline"):
            for j, cosine, finding in found:
                if finding.kind == kind:
                    layer = Layer.LEXICAL if j == alike else Layer.SEMANTIC
                    verdict = Verdict(
                        row.id, finding.same, layer, self.rows[j].id, cosine, finding.evidence
                    )
                    return verdict, j, kind == "borderline"
        if not found:
            return Verdict(row.id, False, Layer.NONE), -1, False
        j, cosine, finding = found[0]
        return (
            Verdict(row.id, False, Layer.NONE, self.rows[j].id, cosine, finding.evidence),
            j,
            False,
        )

    def _compare(self, first: int, second: int, cosine: float) -> Finding:
        return compare(self._task(first), self._task(second), cosine, self._borderline)
