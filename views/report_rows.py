"""The rows of a run as columns, small enough to travel inside the report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..records import Row, RowOutcome, Score, Verdict
from ..stores.queries.rows import FATES, RowFate
from .format import inert
from .wording import worded

# Characters of text that all rows together may have; a row has a fair share of them.
_TEXT = 9_000_000
_LONGEST, _SHORTEST = 600, 60
_GRID = 9999  # places on each axis of the map


def columns(
    rows: Mapping[str, Row],
    fates: Mapping[str, RowOutcome],
    scores: Mapping[str, Score],
    verdicts: Mapping[str, Verdict],
) -> dict[str, Any]:
    """Return the rows column by column; texts are cut, what repeats is told by its place.

    Every text is inert: without the signs that command a terminal or turn its direction.
    """
    share = max(_SHORTEST, min(_LONGEST, _TEXT // max(1, 3 * len(rows))))
    place = {id: i for i, id in enumerate(rows)}
    sources = _Dictionary()
    reasons = _Dictionary()
    return {
        "id": list(rows),
        "x": [_grid(fates[id].x) for id in rows],
        "y": [_grid(fates[id].y) for id in rows],
        "generated": [int(row.origin == "generated") for row in rows.values()],
        "fate": [FATES.index(fate_of(fates[id])) for id in rows],
        "round": [row.round for row in rows.values()],
        "instruction": [_cut(row.task, share) for row in rows.values()],
        "output": [_cut(row.output, share) for row in rows.values()],
        "source": [sources.place(row.source) for row in rows.values()],
        "line": [row.line for row in rows.values()],
        "parents": [[place[p] for p in row.parents if p in place] for row in rows.values()],
        "strategy": [row.strategy for row in rows.values()],
        "subspace": [row.subspace for row in rows.values()],
        "landed": [fates[id].landed for id in rows],
        "rank": [fates[id].rank for id in rows],
        "reason": [reasons.place(worded(fates[id].why)) for id in rows],
        "score": [_score(scores.get(id)) for id in rows],
        "said": [_cut(scores[id].reason, share // 2) if id in scores else "" for id in rows],
        "verdict": [_verdict(verdicts.get(id), place) for id in rows],
        "sources": sources.texts,
        "reasons": reasons.texts,
    }


def fate_of(fate: RowOutcome) -> RowFate:
    """Where a row ended: in the dataset, in the pool, or out, by which agent."""
    if fate.rank is not None:
        return "chosen"
    ended: dict[str, RowFate] = {
        "accepted": "pool",
        "duplicate": "duplicate",
        "rejected": "rejected",
    }
    return ended.get(fate.status, "unjudged")


class _Dictionary:
    """Texts that many rows share, each told once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        """Where the text stands among the texts."""
        if text not in self._places:
            self._places[text] = len(self.texts)
            self.texts.append(inert(text))
        return self._places[text]


def _grid(value: float | None) -> int | None:
    return None if value is None else round(min(1.0, max(0.0, value)) * _GRID)


def _cut(text: str, most: int) -> str:
    whole = inert(text[: most + 1].replace("\r\n", "\n"))
    return whole if len(text) <= most else f"{whole[:most]}…"


def _score(score: Score | None) -> list[float] | None:
    """Final score, the judge's and the length's part."""
    if score is None or score.failed:
        return None
    return [round(score.final, 1), round(score.judge, 1), round(score.length, 1)]


def _verdict(verdict: Verdict | None, place: Mapping[str, int]) -> list[Any] | None:
    """Of a near-duplicate: the row that it repeats, their cosine, what decided, and why."""
    if verdict is None or not verdict.duplicate or verdict.other not in place:
        return None
    said = inert(verdict.reason[:160])
    return [place[verdict.other], round(verdict.cosine, 3), verdict.layer, said]
