"""The calls of a run as they are listed: counted by round and agent, read page by page.

What is listed comes from an index that holds neither prompts nor answers, so that a run of
100,000 calls is opened at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from ...records import NO_REASON, Why
from ..ledger import Ledger, contains

CallStatus = Literal["failed", "quarantined", "cached"]
Order = Literal["slowest", "dearest", "newest"]
EMBEDDER = "embedder"  # the agent whose answers are vectors
PAGE = 100  # subjects whose calls are read at once
SAID = 1200  # characters of an answer that are read for a list


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls to list: of an agent, a round, with a status, about one of the `subjects`, or
    with a text in what was asked or answered (whatever its case).

    Quarantined are the calls about rows and tasks that ended so.
    """

    agent: str = ""
    round: int | None = None
    status: CallStatus | Literal[""] = ""
    subjects: tuple[str, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """The calls of an agent in a round (0 is that of the seeds), counted.

    Tokens and seconds are those that this run paid for; `cost` is None if a price is unknown.
    """

    round: int
    agent: str
    calls: int
    failed: int
    cached: int
    input_tokens: int
    output_tokens: int
    cost: float | None
    seconds: float
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class CallLine:
    """A call as it is listed: `said` is the beginning of its answer, or why there is none."""

    number: int
    key: str
    round: int
    agent: str
    prompt: str
    subject: str
    finish_reason: str
    error: str
    input_tokens: int
    output_tokens: int
    cost: float | None
    seconds: float
    attempts: int
    started: float
    cached: bool
    said: str

    @property
    def status(self) -> str:
        """How it ended, in a word."""
        if self.error:
            return "failed"
        if self.cached:
            return "cached"
        return self.finish_reason if self.finish_reason not in ("", "stop") else "ok"


@dataclass(frozen=True, slots=True)
class About:
    """What calls were about: a task, a row, a subspace, or a whole round.

    `text` is the beginning of the row, or the name of the subspace, also of that of a task. What
    became of a row is its status as `outcome`, of a task its outcome, "" while it is open; `why`
    is the reason for it, and `row` what a task made.
    """

    subject: str
    kind: Literal["task", "row", "subspace", "round"]
    text: str = ""
    strategy: str = ""
    rule: str = ""
    outcome: str = ""
    why: Why = NO_REASON
    row: str = ""


def groups(ledger: Ledger, wanted: CallFilter | None = None) -> list[Group]:
    """The calls by round and agent, in the order in which they began."""
    where, values = _where(wanted or CallFilter())
    sql = (
        "SELECT round, agent, COUNT(*), SUM(error != ''), SUM(reused),"
        " SUM(input_tokens * NOT reused), SUM(output_tokens * NOT reused),"
        " CASE WHEN COUNT(*) = COUNT(cost) THEN SUM(cost) END, SUM(seconds * NOT reused),"
        " MIN(started), MAX(started + seconds * NOT reused)"
        f" FROM calls WHERE {where} GROUP BY round, agent ORDER BY round, MIN(started)"
    )
    return [Group(*found) for found in ledger.read(sql, values)]


def by_subject(
    ledger: Ledger, group: Group, wanted: CallFilter | None = None
) -> Iterator[tuple[About, list[CallLine]]]:
    """The calls of a group by what they were about, in the order in which this was begun."""
    where, values = _where(wanted or CallFilter())
    place = [group.round, group.agent]
    subjects = ledger.read(
        f"SELECT subject FROM calls WHERE {where} AND round = ? AND agent = ?"
        " GROUP BY subject ORDER BY MIN(started), subject",
        [*values, *place],
    )
    while page := [subject for (subject,) in islice(subjects, PAGE)]:
        told = abouts(ledger, page, group.round)
        lines: dict[str, list[CallLine]] = {subject: [] for subject in page}
        found = ledger.read(
            f"SELECT {_LINE} FROM calls WHERE {where} AND round = ? AND agent = ?"
            " AND subject IN (SELECT value FROM json_each(?)) ORDER BY started, key",
            [*values, *place, json.dumps(page)],
        )
        for line in map(_line, found):
            lines[line.subject].append(line)
        for subject in page:
            yield told[subject], lines[subject]


def listed(
    ledger: Ledger, wanted: CallFilter, order: Order, limit: int, *, after: int = -1
) -> list[CallLine]:
    """The first calls in an order; `after` is the number of the last one that is known.

    The newest come oldest first: the next ones follow below.
    """
    where, values = _where(wanted)
    by = {"slowest": "seconds DESC", "dearest": "cost DESC, input_tokens + output_tokens DESC"}
    sql = (
        f"SELECT {_LINE} FROM calls WHERE {where} AND rowid > ?"
        f" ORDER BY {by.get(order, 'rowid DESC')}, rowid LIMIT ?"
    )
    found = [_line(values) for values in ledger.read(sql, [*values, after, limit])]
    return found[::-1] if order == "newest" else found


def since(ledger: Ledger, wanted: CallFilter, after: int, limit: int = PAGE) -> list[CallLine]:
    """The next calls after the one with this number, as they came in."""
    where, values = _where(wanted)
    sql = f"SELECT {_LINE} FROM calls WHERE {where} AND rowid > ? ORDER BY rowid LIMIT ?"
    return [_line(found) for found in ledger.read(sql, [*values, after, limit])]


def subjects_of(ledger: Ledger, row: str) -> tuple[str, ...]:
    """What the calls about a row, and those that made it, name as their subject."""
    task = ledger.rounds.task_of(row)
    return (row, task.id) if task else (row,)


def abouts(ledger: Ledger, subjects: Sequence[str], round: int) -> dict[str, About]:
    """What these subjects of a round's calls are."""
    names = json.dumps(list(subjects))
    those = "IN (SELECT value FROM json_each(?))"
    told = {subject: About(subject, "round") for subject in subjects}
    for id, name in ledger.read(
        f"SELECT id, name FROM subspaces WHERE round = ? AND id {those}", (round, names)
    ):
        told[id] = About(id, "subspace", name)
    for id, text, status, *why in ledger.read(
        "SELECT id, substr(instruction, 1, 200), status, reason, detail FROM rows"
        f" WHERE id {those}",
        (names,),
    ):
        told[id] = About(id, "row", text, outcome=status, why=Why(*why))
    for id, name, strategy, rule, outcome, row, *why in ledger.read(
        "SELECT t.id, COALESCE(s.name, ''), t.strategy, t.rule, t.outcome, t.row, t.reason,"
        " t.detail"
        " FROM tasks t LEFT JOIN subspaces s ON s.id = t.subspace AND s.round = t.round"
        f" WHERE t.id {those}",
        (names,),
    ):
        told[id] = About(id, "task", name, strategy, rule, outcome, Why(*why), row)
    return told


def answer_of(agent: str, response: str) -> str:
    """An agent's answer as it can be read: of vectors, how many they are."""
    return response if agent != EMBEDDER else response.partition(":")[0]


def newest(ledger: Ledger) -> int:
    """The number of the last call, -1 before the first."""
    return int(next(iter(ledger.read("SELECT COALESCE(MAX(rowid), -1) FROM calls")))[0])


def _where(wanted: CallFilter) -> tuple[str, list[Any]]:
    """The condition of a query for these calls, with its values."""
    where, values = ["1"], list[Any]()
    for column, value in (("agent", wanted.agent or None), ("round", wanted.round)):
        if value is not None:
            where.append(f"{column} = ?")
            values.append(value)
    if wanted.status:
        where.append(_STATUSES[wanted.status])
    if wanted.subjects:
        where.append("subject IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(wanted.subjects))
    if wanted.text:
        answered = f"(agent != '{EMBEDDER}' AND {contains('response')})"  # vectors are no text
        where.append(f"({contains('request')} OR {answered} OR {contains('error')})")
        values += [_json_text(wanted.text), wanted.text, wanted.text]
    return " AND ".join(where), values


_STATUSES = {
    "failed": "error != ''",
    "cached": "reused",
    "quarantined": "subject IN (SELECT id FROM rows WHERE status = 'quarantined' UNION"
    " SELECT id FROM tasks WHERE outcome = 'quarantined' UNION SELECT t.id FROM tasks t"
    " JOIN rows r ON r.id = t.row WHERE r.status = 'quarantined')",
}


def _json_text(text: str) -> str:
    """A text as it stands within JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


_LINE = (
    "rowid, key, round, agent, prompt, subject, finish_reason, error, input_tokens,"
    " output_tokens, cost, seconds, attempts, started, reused,"
    f" CASE error WHEN '' THEN substr(response, 1, {SAID}) ELSE error END"
)


def _line(found: Iterable[Any]) -> CallLine:
    *values, cached, said = found
    line = CallLine(*(*values, bool(cached), said))
    return line if line.error else replace(line, said=answer_of(line.agent, said))
