"""The story of one row, kept or dropped, as steps in the order in which they happened.

The terminal and the page show the same records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..errors import UsageError
from ..formats.writing.sentences import counted
from ..records import (
    Call,
    GenerationTask,
    Layer,
    PairwiseComparison,
    Reason,
    Row,
    Score,
    ScreeningResult,
    Subspace,
    Verdict,
    Why,
)
from ..stores.ledger import Ledger
from .wording import lacking, with_detail, worded

Kind = Literal[
    "origin",
    "parent",
    "target",
    "call",
    "landing",
    "screen",
    "neighbour",
    "verdict",
    "score",
    "duel",
    "status",
    "selection",
]
Neighbours = Sequence[tuple[str, float]]
MOST_HITS = 20
NEIGHBOURS = 5
_FULL = 20  # points of a group of cheap signals that found nothing


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to a row: a sentence, its figures in `facts`, the `row` or the
    `call` that it is about, and when (seconds since 1970) where a call tells it.
    """

    kind: Kind
    said: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    row: str = ""
    call: str = ""
    when: float | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """A row with its steps and calls. `cost` is in USD, None if a price is unknown."""

    row: Row
    status: str
    reason: str
    steps: tuple[Step, ...]
    calls: tuple[Call, ...]
    tokens: int
    cost: float | None
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """Everything, for ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that was found by its text."""

    row: Row
    status: str


def find(ledger: Ledger, wanted: str) -> list[Hit]:
    """The rows with this id, else with an id that begins so, else with the text in them.

    At most `MOST_HITS` come back, in the order of arrival.

    Raises:
        UsageError: there is none.
    """
    hits = _hits(ledger, "id >= ? AND id < ?", (wanted, f"{wanted}~"))
    columns = ("instruction", "input", "output")
    texts = " OR ".join(f"instr(lower({column}), lower(?1))" for column in columns)
    hits = hits or _hits(ledger, texts, (wanted,))
    if not hits:
        raise UsageError(
            f"no row begins with {wanted}, and none has it in its text: ids are under lift.id in "
            "dataset.jsonl"
        )
    return hits


def find_one(ledger: Ledger, wanted: str) -> Row:
    """The only row that `find` finds.

    Raises:
        UsageError: there is none, or there are several.
    """
    hits = find(ledger, wanted)
    if len(hits) > 1:
        ids = ", ".join(hit.row.id for hit in hits[:5])
        raise UsageError(f"several rows have {wanted}: name one by its id ({ids}, ...)")
    return hits[0].row


def _hits(ledger: Ledger, where: str, values: Sequence[Any]) -> list[Hit]:
    sql = f"SELECT id, status FROM rows WHERE {where} ORDER BY position LIMIT {MOST_HITS}"
    found = dict(ledger.read(sql, values))
    rows = ledger.rows.by_id(found)
    return [Hit(rows[id], status) for id, status in found.items()]


def story_of(
    ledger: Ledger, row: Row, neighbours: Callable[[str], Neighbours | str] = lambda row: ()
) -> Story:
    """Tell the story of a row; `neighbours` gives the rows nearest to it, or says why it cannot."""
    status, why = ledger.rows.status(row.id)
    task = ledger.rounds.task_of(row.id)
    calls = ledger.calls.find(subjects=[row.id, *([task.id] if task else [])])
    by = {agent: [c for c in calls if c.agent == agent] for agent in {c.agent for c in calls}}
    steps = [
        *_origin(ledger, row, task),
        *_asked(by.pop("generator", [])),
        *_landing(ledger, row),
        *_screened(ledger.judgements.screening(row.id).get(row.id)),
        *_nearest(ledger, neighbours(row.id)),
        *_asked(by.pop("redundancy", [])),
        *_verdict(ledger, ledger.judgements.verdict(row.id)),
        *_asked(sorted((c for cs in by.values() for c in cs), key=lambda c: c.started)),
        *_score(ledger.judgements.scores(row.id).get(row.id)),
        *(_duel(comparison, row.id) for comparison in ledger.judgements.comparisons(row.id)),
        *_end(ledger, row, status, why),
    ]
    costs = [call.cost for call in calls]
    return Story(
        row,
        status,
        worded(why),
        tuple(steps),
        tuple(calls),
        sum(call.input_tokens + call.output_tokens for call in calls if not call.reused),
        None if None in costs else sum(cost or 0.0 for cost in costs),
        sum(call.seconds for call in calls if not call.reused),
    )


def _origin(ledger: Ledger, row: Row, task: GenerationTask | None) -> Iterator[Step]:
    if row.origin == "seed":
        facts = {"source": row.source, "line": row.line}
        yield Step("origin", f"a seed row: {row.source}, line {row.line}", facts)
        return
    rule = f" ({task.rule})" if task and task.rule else ""
    facts = {"round": row.round, "strategy": row.strategy, "rule": task.rule if task else ""}
    yield Step("origin", f"generated in round {row.round} by {row.strategy}{rule}, from", facts)
    parents = ledger.rows.by_id(row.parents)
    for id in row.parents:
        if parent := parents.get(id):
            seed = parent.origin == "seed"
            where = f"{parent.source}, line {parent.line}" if seed else "generated"
            yield Step("parent", f"{parent.task}  ({where})", row=id)
    if subspace := _target(ledger, row):
        facts = {
            name: getattr(subspace, name)
            for name in ("id", "name", "brief", "radius", "gap", "density", "wanted_density")
        }
        brief = f": {subspace.brief}" if subspace.brief else ""
        yield Step("target", f"for the subspace “{subspace.name}” ({subspace.id}){brief}", facts)
        yield Step("target", lacking(subspace))


def _target(ledger: Ledger, row: Row) -> Subspace | None:
    return next((s for s in ledger.rounds.subspaces(row.round) if s.id == row.subspace), None)


def _asked(calls: Sequence[Call]) -> Iterator[Step]:
    for call in calls:
        said = f"failed: {call.error}" if call.error else call.response
        facts = {"agent": call.agent, "prompt": call.prompt, "cached": call.reused}
        yield Step("call", said, facts, call=call.key, when=call.started)


def _landing(ledger: Ledger, row: Row) -> Iterator[Step]:
    landing, subspace = ledger.rows.landing(row.id), _target(ledger, row)
    if landing and subspace:
        landed, distance = landing
        beside = f"{distance:.3f} from the centre, radius {subspace.radius:.3f}"
        facts = {"landed": landed, "distance": distance, "radius": subspace.radius}
        verdict = "it landed in its target" if landed else "it missed its target"
        yield Step("landing", f"{verdict}: {beside}", facts)


def _screened(check: ScreeningResult | None) -> Iterator[Step]:
    """What the screen found before any model saw the row."""
    if not check:
        return
    said = [f"language {check.language or 'not told'}", f"cheap signals {check.points:g} of 100"]
    said += [f"{name} {points:g}" for name, points in check.parts.items() if points < _FULL]
    if check.personal:
        said.append(f"personal data: {counted(check.personal)}")
    why = worded(check.why)
    if check.reason == Reason.LEAK:
        why = worded(Why(Reason.LEAK, check.evidence))  # it begins with the benchmark's name
    elif check.evidence:
        why += f": {check.evidence}"
    facts = asdict(check) | {"reason": worded(check.why)}
    del facts["detail"]
    passed = f"rejected, {why}" if why else "passed"
    yield Step("screen", f"screen: {passed}; {', '.join(said)}", facts)


def _nearest(ledger: Ledger, found: Neighbours | str) -> Iterator[Step]:
    if isinstance(found, str):
        yield Step("neighbour", found)
        return
    rows = ledger.rows.by_id(id for id, _ in found)
    for id, cosine in found:
        if other := rows.get(id):
            status = ledger.rows.status(id)[0]
            said = f"cosine {cosine:.3f} to {id} ({other.origin}, {status}): {other.task}"
            yield Step("neighbour", said, {"cosine": cosine}, row=id)


def _verdict(ledger: Ledger, verdict: Verdict | None) -> Iterator[Step]:
    if not verdict:
        return
    kind = "a duplicate" if verdict.duplicate else "not a duplicate"
    by = "" if verdict.layer == Layer.NONE else f", by the {verdict.layer} layer"
    why = f" ({verdict.reason})" if verdict.reason else ""
    said = f"redundancy: {kind}{by}{why}"
    if other := ledger.rows.by_id([verdict.other]).get(verdict.other):
        what = "it repeats" if verdict.duplicate else "nearest"
        said += f"; {what} {verdict.other} at cosine {verdict.cosine:.3f}: {other.task}"
    yield Step("verdict", said, asdict(verdict), row=verdict.other)


def _score(score: Score | None) -> Iterator[Step]:
    if not score:
        return
    facts = {**asdict(score), "parts": dict(score.parts)}
    if score.failed:
        yield Step("score", f"judge: failed, {score.failed}", facts)
        return
    parts = ", ".join(f"{name} {points:g}" for name, points in score.parts.items())
    yield Step(
        "score",
        f"judge: {score.judge:g} of 100{f' ({parts})' if parts else ''}, length "
        f"{score.length:.1f}, final {score.final:.1f}: {score.reason}",
        facts,
    )
    if score.judgements:
        each = ", ".join(f"{total:g}" for total in score.judgements)
        yield Step("score", f"judge: the mean of {len(score.judgements)} judgements: {each}")
    for name, points in score.panel.items():
        each = ", ".join(f"{criterion} {n:g}" for criterion, n in points.items())
        total = f"{sum(points.values()):g} of 100 ({each})" if each else "failed"
        yield Step("score", f"judge {name}: {total}")
    if score.concatenation:
        said = "judge: two tasks joined, each of which could be done without the other"
        yield Step("score", said)


def _duel(comparison: PairwiseComparison, row: str) -> Step:
    opponent = comparison.second if comparison.first == row else comparison.first
    said = f"tie-break against {opponent}: {_outcome(comparison, row)}"
    return Step("duel", said, asdict(comparison), row=opponent)


def _outcome(comparison: PairwiseComparison, row: str) -> str:
    if comparison.failed:
        return f"failed, {comparison.failed}"
    if not comparison.consistent:
        return "undecided, because the verdict changed with the order"
    if not comparison.winner:
        return f"equal in both orders: {comparison.reason}"
    return (
        f"{'better' if comparison.winner == row else 'worse'} in both orders: {comparison.reason}"
    )


def _end(ledger: Ledger, row: Row, status: str, why: Why) -> Iterator[Step]:
    yield Step("status", f"status: {with_detail(status, worded(why))}")
    rank, margin = ledger.dataset.rank(row.id), ledger.dataset.margin(row.id)
    facts = {"rank": rank, "margin": margin}
    if rank:
        yield Step("selection", f"selector: {_chosen(rank, margin, _points(ledger))}", facts)
    elif status == "accepted" and ledger.facts.read().stop:
        yield Step("selection", f"selector: {_left_out(ledger, row, margin)}", facts)


def _points(ledger: Ledger) -> str:
    facts = ledger.facts.read()
    if facts.setting("recipe") == "paper":
        return "points of the final score"
    weight = facts.setting("quality_weight", 0.5)
    return f"of {1 - weight:g} · diversity + {weight:g} · quality"


def _has_places(ledger: Ledger, language: str) -> bool:
    """Whether a row of this language is in the dataset."""
    sql = "SELECT 1 FROM rows JOIN checks ON checks.row = rows.id WHERE rank > 0 AND language = ?"
    return any(ledger.read(f"{sql} LIMIT 1", (language,)))


def _chosen(rank: int, margin: float | None, points: str) -> str:
    said = f"in the dataset, chosen as number {rank}"
    if margin is None:
        return f"{said}: no other row was left that was not close to a chosen one"
    return f"{said}, {margin:.3g} {points} ahead of the next best"


def _left_out(ledger: Ledger, row: Row, margin: float | None) -> str:
    said = "in the pool, but not among the rows chosen"
    shared = bool(ledger.facts.read().setting("languages"))
    check = ledger.judgements.screening(row.id).get(row.id) if shared else None
    if margin is None and check and not _has_places(ledger, check.language):
        return f"{said}; its language ({check.language or 'not told'}) had no places"
    if margin is None:
        close = ledger.facts.read().setting("apart_cosine", 1)
        near = f"a row at cosine {close:g} or above to it is in, or " if close < 1 else ""
        return f"{said}; {near}it was not among the candidates that were compared one by one"
    sql = "SELECT COUNT(*) FROM rows WHERE rank IS NULL AND margin > ? AND origin = ?"
    values: list[Any] = [margin, row.origin]
    if check:  # each language is chosen from by itself
        sql += " AND id IN (SELECT row FROM checks WHERE language = ?)"
        values.append(check.language)
    before = next(iter(ledger.read(sql, values)))[0]
    kind = "seed" if row.origin == "seed" else "generated"
    line = f"{before:,} {kind} rows left out were nearer to being chosen"
    if margin > 0:
        return f"{said}: the seeds' share (max_seed_share) was full; {line}"
    return f"{said}: {-margin:.3g} {_points(ledger)} below the last one chosen; {line}"
