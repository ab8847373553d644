"""The rows of a run as a page lists them: filtered, sorted and read page by page, or on the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ...records import Why
from ..ledger import Ledger, contains

RowFate = Literal["chosen", "pool", "duplicate", "rejected", "unjudged"]
FATES: tuple[RowFate, ...] = get_args(RowFate)
Sort = Literal["position", "round", "score", "rank", "instruction", "cosine"]
SORTS: tuple[Sort, ...] = get_args(Sort)

_SHOWN = 300  # characters of a text that a list shows
_FATE = (
    "CASE WHEN r.rank IS NOT NULL THEN 'chosen' WHEN r.status = 'accepted' THEN 'pool'"
    " WHEN r.status IN ('duplicate', 'rejected') THEN r.status ELSE 'unjudged' END"
)
_SORT_BY = {
    "position": "r.position",
    "round": "r.round",
    "score": "s.final",
    "rank": "r.rank",
    "instruction": "r.instruction COLLATE NOCASE",
    "cosine": "v.cosine",
}
_FROM = "FROM rows r LEFT JOIN scores s ON s.row = r.id LEFT JOIN verdicts v ON v.row = r.id"


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows: with a text in them (whatever its case) or an id that begins so, of an origin,
    a fate, a round.
    """

    text: str = ""
    origin: str = ""
    fate: str = ""
    round: int | None = None


@dataclass(frozen=True, slots=True)
class RowLine:
    """A row as it is listed; `score` is the final one, None where there is none."""

    id: str
    origin: str
    round: int
    fate: RowFate
    why: Why
    rank: int | None
    score: float | None
    cosine: float | None
    subspace: str
    landed: bool | None
    instruction: str


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the map, from 0 to 1 on each axis."""

    left: float = 0.0
    right: float = 1.0
    bottom: float = 0.0
    top: float = 1.0


def count(ledger: Ledger, wanted: RowFilter) -> int:
    """How many rows the filter leaves."""
    where, values = _where(wanted)
    return int(next(iter(ledger.read(f"SELECT COUNT(*) FROM rows r WHERE {where}", values)))[0])


def page(
    ledger: Ledger,
    wanted: RowFilter,
    sort: Sort = "position",
    *,
    descending: bool = False,
    offset: int = 0,
    limit: int = 50,
) -> list[RowLine]:
    """Some of the rows that the filter leaves, in an order; rows without a value come last."""
    where, values = _where(wanted)
    by, direction = _SORT_BY[sort], "DESC" if descending else "ASC"
    sql = (
        f"SELECT r.id, r.origin, r.round, {_FATE}, r.reason, r.detail, r.rank, s.final, v.cosine,"
        f" r.subspace, r.landed, substr(r.instruction, 1, {_SHOWN}) {_FROM} WHERE {where}"
        f" ORDER BY {by} IS NULL, {by} {direction}, r.position LIMIT ? OFFSET ?"
    )
    found = ledger.read(sql, [*values, limit, offset])
    return [
        RowLine(id, origin, round, fate, Why(reason, detail), *rest)
        for id, origin, round, fate, reason, detail, *rest in found
    ]


def points(
    ledger: Ledger, wanted: RowFilter, window: Window, most: int
) -> list[tuple[str, float, float, str, RowFate, str]] | None:
    """Id, x, y, origin, fate and beginning of the rows in a part of the map; None if there are
    more than `most`.
    """
    where, values = _within(wanted, window)
    sql = (
        f"SELECT r.id, r.x, r.y, r.origin, {_FATE}, substr(r.instruction, 1, {_SHOWN})"
        f" FROM rows r WHERE {where} LIMIT ?"
    )
    found = list(ledger.read(sql, [*values, most + 1]))
    return [(*values,) for values in found] if len(found) <= most else None


def bins(
    ledger: Ledger, wanted: RowFilter, window: Window, across: int
) -> list[tuple[int, int, int]]:
    """Column, row and number of rows of each filled cell of a part of the map, `across` cells
    wide and high.
    """
    where, values = _within(wanted, window)
    width, height = window.right - window.left, window.top - window.bottom
    sql = (
        "SELECT MIN(CAST((r.x - ?) / ? * ? AS INT), ? - 1), MIN(CAST((r.y - ?) / ? * ? AS INT),"
        f" ? - 1), COUNT(*) FROM rows r WHERE {where} GROUP BY 1, 2"
    )
    places = [window.left, width, across, across, window.bottom, height, across, across]
    return [(int(x), int(y), int(n)) for x, y, n in ledger.read(sql, [*places, *values])]


def _within(wanted: RowFilter, window: Window) -> tuple[str, list[Any]]:
    where, values = _where(wanted)
    edges: Sequence[float] = (window.left, window.right, window.bottom, window.top)
    return f"{where} AND r.x BETWEEN ? AND ? AND r.y BETWEEN ? AND ?", [*values, *edges]


def _where(wanted: RowFilter) -> tuple[str, list[Any]]:
    where, values = ["1"], list[Any]()
    if wanted.text:
        texts = map(contains, ("r.instruction", "r.input", "r.output"))
        where.append(f"({' OR '.join(texts)} OR instr(r.id, lower(?)) = 1)")
        values += [wanted.text] * 4
    for sql, value in (
        ("r.origin = ?", wanted.origin),
        (f"{_FATE} = ?", wanted.fate),
        ("r.round = ?", wanted.round),
    ):
        if value not in ("", None):
            where.append(sql)
            values.append(value)
    return " AND ".join(where), values
