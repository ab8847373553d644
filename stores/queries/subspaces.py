"""What came of each subspace that the analyst named, round by round."""

from __future__ import annotations

from dataclasses import dataclass

from ...records import Row, Subspace
from ..ledger import Ledger

EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class SubspaceReport:
    """A subspace in a round, and what came of its tasks.

    `before` and `after` tell how close the accepted rows were when the round began and when it
    ended: the mean cosine of its centre to the ten nearest, None where that was not measured.
    `cost` is in USD, None
    if a price is unknown.
    """

    subspace: Subspace
    before: float | None
    after: float | None
    tasks: int
    generated: int
    landed: int
    accepted: int
    tokens: int
    cost: float | None
    examples: tuple[Row, ...]

    @property
    def cost_per_row(self) -> float | None:
        """USD for each accepted row, None without any or where a price is unknown."""
        return self.cost / self.accepted if self.accepted and self.cost is not None else None


def subspace_reports(ledger: Ledger) -> list[SubspaceReport]:
    """The subspaces of all rounds, in the order in which the analyst named them."""
    made, spent, shares = _made(ledger), _spent(ledger), ledger.rounds.proximity()
    found = []
    for subspace in ledger.rounds.subspaces():
        place = subspace.round, subspace.id
        before, after = shares.get(place, (None, None))
        counts = made.get(place, (0, 0, 0, 0))
        tokens, cost = spent.get(place, (0, 0.0))
        examples = _examples(ledger, subspace)
        found.append(SubspaceReport(subspace, before, after, *counts, tokens, cost, examples))
    return found


def _made(ledger: Ledger) -> dict[tuple[int, str], tuple[int, int, int, int]]:
    """Tasks, and rows generated, landed and accepted, of each subspace in a round."""
    sql = (
        "SELECT t.round, t.subspace, COUNT(*), COUNT(r.id), COALESCE(SUM(r.landed), 0),"
        " COALESCE(SUM(r.status = 'accepted'), 0)"
        " FROM tasks t LEFT JOIN rows r ON r.id = t.row GROUP BY 1, 2"
    )
    return {(round, id): (t, g, n, a) for round, id, t, g, n, a in ledger.read(sql)}


def _spent(ledger: Ledger) -> dict[tuple[int, str], tuple[int, float | None]]:
    """Tokens and USD of the calls about each subspace, its tasks and their rows."""
    sql = (
        "WITH about AS (SELECT id AS subject, round, subspace FROM tasks UNION"
        " SELECT row, round, subspace FROM tasks WHERE row != '' UNION"
        " SELECT id, round, id FROM subspaces),"
        # From the index alone: prompts and answers lie between the figures in the table.
        " spent AS MATERIALIZED (SELECT round, subject,"
        "  SUM((input_tokens + output_tokens) * NOT reused) AS tokens,"
        "  SUM(cost) AS cost, COUNT(*) - COUNT(cost) AS unpriced"
        "  FROM calls INDEXED BY calls_listed WHERE round > 0 GROUP BY 1, 2)"
        " SELECT a.round, a.subspace, SUM(s.tokens),"
        " CASE SUM(s.unpriced) WHEN 0 THEN SUM(s.cost) END"
        " FROM spent s JOIN about a ON s.subject = a.subject AND s.round = a.round GROUP BY 1, 2"
    )
    return {(round, id): (tokens, cost) for round, id, tokens, cost in ledger.read(sql)}


def _examples(ledger: Ledger, subspace: Subspace) -> tuple[Row, ...]:
    """Rows made for the subspace: those that were accepted and landed first."""
    sql = (
        "SELECT id FROM rows WHERE round = ? AND subspace = ?"
        " ORDER BY status = 'accepted' DESC, landed DESC, rank IS NULL, position LIMIT ?"
    )
    ids = [id for (id,) in ledger.read(sql, (subspace.round, subspace.id, EXAMPLES))]
    rows = ledger.rows.by_id(ids)
    return tuple(rows[id] for id in ids)
