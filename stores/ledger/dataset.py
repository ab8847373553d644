"""The rows that the selector chose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields

from ...records import (
    Row,
    Score,
)
from .database import Database
from .judgements import SCORE, score_of
from .row_columns import COLUMNS, row_of


class Dataset:
    """The rows that the selector chose, in their order."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def choose(self, rows: Sequence[str], margins: Mapping[str, float]) -> None:
        """Make these rows, in this order, the dataset; keep by how much rows were in or out."""
        with self._db.transaction() as db:
            db.execute(
                "UPDATE rows SET rank = NULL, margin = NULL"
                " WHERE rank IS NOT NULL OR margin IS NOT NULL"
            )
            db.executemany(
                "UPDATE rows SET margin = ? WHERE id = ?",
                ((margin, row) for row, margin in margins.items()),
            )
            db.executemany(
                "UPDATE rows SET rank = ? WHERE id = ?",
                ((rank, row) for rank, row in enumerate(rows, 1)),
            )

    def rows(self) -> list[Row]:
        """The rows of the dataset, in the order of arrival."""
        sql = f"SELECT {COLUMNS} FROM rows WHERE rank IS NOT NULL ORDER BY position"
        return [row_of(found) for found in self._db.query(sql)]

    def scored_rows(self) -> Iterator[tuple[Row, Score]]:
        """The rows of the dataset with their scores, in the order of arrival, one at a time."""
        score = ", ".join(f"scores.{name}" for name in SCORE.split(", "))
        row = ", ".join(f"rows.{name}" for name in COLUMNS.split(", "))
        sql = (
            f"SELECT {score}, {row} FROM rows JOIN scores ON scores.row = rows.id"
            " WHERE rank IS NOT NULL ORDER BY position"
        )
        width = len(fields(Score))
        for found in self._db.execute(sql):
            yield row_of(found[width:]), score_of(found[:width])

    def ids(self) -> list[str]:
        """The ids of the rows of the dataset, in the order of arrival."""
        sql = "SELECT id FROM rows WHERE rank IS NOT NULL ORDER BY position"
        return [id for (id,) in self._db.query(sql)]

    def counts(self) -> dict[str, int]:
        """Number of rows of the dataset by origin."""
        sql = "SELECT origin, COUNT(*) FROM rows WHERE rank IS NOT NULL GROUP BY 1"
        return dict(self._db.query(sql))

    def rank(self, row: str) -> int | None:
        """The place at which the selector chose a row, None if it did not."""
        rank: int | None = self._db.query("SELECT rank FROM rows WHERE id = ?", (row,))[0][0]
        return rank

    def margin(self, row: str) -> float | None:
        """By how much the selector chose a row, or, below 0, did not; None if it is not known."""
        margin: float | None = self._db.query("SELECT margin FROM rows WHERE id = ?", (row,))[0][0]
        return margin
