"""What the screen, the redundancy agent and the judge found of each row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

from ...records import (
    PairwiseComparison,
    Reason,
    Score,
    ScreeningResult,
    Verdict,
)
from .database import Database, to_json

SCORE = ", ".join(field.name for field in fields(Score))
_CHECK = ", ".join(field.name for field in fields(ScreeningResult))
_DUEL = ", ".join(field.name for field in fields(PairwiseComparison))


class Judgements:
    """Findings by row."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add_screening(self, checks: Iterable[ScreeningResult]) -> None:
        """Keep what the screen found, and reject the new rows for which it has a reason."""
        with self._db.transaction() as db:
            for c in checks:
                db.execute(
                    f"INSERT OR REPLACE INTO checks ({_CHECK}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        *(c.row, c.language, to_json(dict(c.parts)), to_json(dict(c.personal))),
                        *(c.reason, c.evidence, c.detail),
                    ),
                )
                if c.reason:
                    db.execute(
                        "UPDATE rows SET status = 'rejected', reason = ?, detail = ?"
                        " WHERE id = ? AND status = 'new'",
                        (*c.why, c.row),
                    )

    def screening(self, row: str | None = None) -> dict[str, ScreeningResult]:
        """What the screen found, by row: of one row or of all."""
        sql = f"SELECT {_CHECK} FROM checks WHERE ?1 IS NULL OR row = ?1"
        return {
            id: ScreeningResult(id, language, json.loads(parts), json.loads(personal), *why)
            for id, language, parts, personal, *why in self._db.query(sql, (row,))
        }

    def add_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """Keep verdicts and set the rows' statuses by them."""
        with self._db.transaction() as db:
            for v in verdicts:
                db.execute(
                    "INSERT OR REPLACE INTO verdicts VALUES (?,?,?,?,?,?)",
                    (v.row, v.duplicate, v.layer, v.other, v.cosine, v.reason),
                )
                db.execute(
                    "UPDATE rows SET status = ?, reason = ? WHERE id = ? AND status = 'new'",
                    ("duplicate", v.layer, v.row) if v.duplicate else ("unique", "", v.row),
                )

    def verdict(self, row: str) -> Verdict | None:
        """The verdict on a row."""
        for found in self._db.query("SELECT * FROM verdicts WHERE row = ?", (row,)):
            return Verdict(found[0], bool(found[1]), *found[2:])
        return None

    def verdicts(self) -> dict[str, Verdict]:
        """The verdict on each row, by its id."""
        found = self._db.query("SELECT * FROM verdicts")
        return {row: Verdict(row, bool(duplicate), *rest) for row, duplicate, *rest in found}

    def add_scores(self, scores: Iterable[Score]) -> None:
        """Keep scores; a failed judgement quarantines its row."""
        with self._db.transaction() as db:
            for s in scores:
                db.execute(
                    f"INSERT OR REPLACE INTO scores ({SCORE}) VALUES (?,?,?,?,?,?,?,?,?,?)",
                    (
                        *(s.row, s.judge, s.length, s.final, to_json(dict(s.parts)), s.reason),
                        *(s.failed, to_json(s.judgements), s.concatenation, to_json(s.panel)),
                    ),
                )
                if s.failed:
                    db.execute(
                        "UPDATE rows SET status = 'quarantined', reason = ?, detail = ?"
                        " WHERE id = ?",
                        (Reason.JUDGE_FAILED, s.failed, s.row),
                    )

    def scores(self, row: str | None = None) -> dict[str, Score]:
        """The score of each judged row, or of one, by its id."""
        sql = f"SELECT {SCORE} FROM scores WHERE ?1 IS NULL OR row = ?1"
        return {found[0]: score_of(found) for found in self._db.query(sql, (row,))}

    def clear_scores(self) -> None:
        """Forget all scores, so that they are combined anew from the calls that were made."""
        with self._db.transaction() as db:
            db.execute("DELETE FROM scores")
            db.execute("DELETE FROM meta WHERE name = 'longest'")

    def set_comparisons(self, comparisons: Sequence[PairwiseComparison]) -> None:
        """Make these the pairs that the judge compared, in this order."""
        with self._db.transaction() as db:
            db.execute("DELETE FROM duels")
            db.executemany(
                f"INSERT INTO duels (position, {_DUEL}) VALUES (?,?,?,?,?,?,?)",
                (
                    (i, d.first, d.second, d.forward, d.backward, d.reason, d.failed)
                    for i, d in enumerate(comparisons)
                ),
            )

    def comparisons(self, row: str | None = None) -> list[PairwiseComparison]:
        """The pairs that the judge compared, optionally only those with a row."""
        sql = (
            f"SELECT {_DUEL} FROM duels WHERE ?1 IS NULL OR ?1 IN (first, second) ORDER BY position"
        )
        return [PairwiseComparison(*found) for found in self._db.query(sql, (row,))]


def score_of(found: tuple[Any, ...]) -> Score:
    """A score as its columns hold it."""
    values = dict(zip(SCORE.split(", "), found, strict=True))
    values["parts"], values["panel"] = json.loads(values["parts"]), json.loads(values["panel"])
    values["judgements"] = tuple(json.loads(values["judgements"]))
    return Score(**{**values, "concatenation": bool(values["concatenation"])})
