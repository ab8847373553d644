"""The nodes of the loop: each reads from the stores, calls one agent, writes to the stores.

Every node may be run again at any time: what is in the ledger is not done twice.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Literal, Protocol

import numpy as np
from langgraph.runtime import Runtime

from ..agents.acceptance import COPY_COSINE, REPEATED
from ..agents.calibration import judging_summary
from ..agents.final_score import text_length
from ..agents.judge import Judge, PrecomputedScores
from ..agents.panel import Panel
from ..agents.reference import ReferenceTexts
from ..agents.selector import Selection
from ..config import RunConfig
from ..errors import Interrupted, RunStopped, UsageError
from ..formats.reading.precomputed import load_embeddings, load_scores
from ..formats.reading.readers import read_rows, stopping
from ..formats.reading.sources import files_of
from ..formats.writing.card import write_card
from ..formats.writing.sentences import counted, judging_lines, screen_lines
from ..formats.writing.writers import write_dataset, write_quarantine
from ..geometry.variance import length_cap
from ..records import Rejected, Row, Score, Scorer, Status, StopReason, Task, Verdict, Why
from ..records.codes import Reason
from ..stores.queries.screening import screened
from .embedding import embed_rows, embedded
from .mapping import draw_map, extend_map, spared
from .measure import closeness, coverage
from .planning import plan_round, round_size
from .pool import for_each
from .reference import read_toward, references
from .screening import cleaned, cleaned_row, leave_out, read_decontaminate, screen_rows, take_back
from .state import RunContext, RunState
from .stopping import stop_reason
from .ties import break_ties, settled

Update = dict[str, Any]


class Node(Protocol):
    """A node as LangGraph calls it."""

    def __call__(self, state: RunState, *, runtime: Runtime[RunContext]) -> Awaitable[Update]:
        """Do the node's work; return what changes in the state."""


def node(body: Callable[[RunState, RunContext], Awaitable[Update]]) -> Node:
    """Make a node: a cap that is reached in it becomes the run's stop reason.

    Ctrl-C goes through as an exception instead, so that the node runs again on resume.
    """

    async def run(state: RunState, *, runtime: Runtime[RunContext]) -> Update:
        context = runtime.context
        context.switch.check()
        try:
            return await body(state, context)
        except Interrupted:
            raise
        except RunStopped as stopped:
            context.progress.say(f"stopping: {stopped}")
            return {"stop": stopped.reason}

    # Not functools.wraps: LangGraph would follow it to the body's parameters.
    run.__name__, run.__doc__ = body.__name__, body.__doc__
    return run


@node
async def ingest(state: RunState, context: RunContext) -> Update:
    """Read the sources into the ledger."""
    ledger, config = context.ledger, context.config
    if not ledger.sources.all():
        files = files_of(config.sources, config.out)
        context.progress.begin("ingest", f"reading {len(files)} file(s)")
        ledger.sources.clear()
        counts = {file.name: [0, 0] for file in files}
        found = read_rows(files, config.map)
        records = enumerate(cleaned(stopping(found) if config.strict else found, config))
        while batch := list(islice(records, 5000)):
            ledger.rows.add_seeds(record for _, record in batch if isinstance(record, Row))
            ledger.sources.add_rejects((i, r) for i, r in batch if isinstance(r, Rejected))
            for _, record in batch:
                counts[record.source][isinstance(record, Rejected)] += 1
        position = read_toward(context, sum(map(sum, counts.values())))
        read_decontaminate(context, position)
        known = ledger.facts.read().fingerprints
        ledger.sources.add(
            (name, known[name], usable, unusable) for name, (usable, unusable) in counts.items()
        )
    read = sum(source[2] for source in ledger.sources.all())
    rejected = sum(source[3] for source in ledger.sources.all())
    listed = write_quarantine(ledger, config.out)
    context.progress.say(
        f"read {read:,} rows, {rejected:,} quarantined" + (f" (see {listed})" if listed else "")
    )
    others = {
        "prompts to go toward": len(ledger.sources.references("toward")),
        "items of benchmarks to keep out": len(ledger.sources.benchmarks()),
    }
    if told := " and ".join(f"{count:,} {name}" for name, count in others.items() if count):
        unusable = len(ledger.sources.rejects()) - rejected
        context.progress.say(f"read {told}, {unusable:,} quarantined")
    _check_given(config, read + rejected)
    return {"round": 0, "accepted": 0, "stop": ""}


def _check_given(config: RunConfig, records: int) -> None:
    """Given scores and embeddings go by the position of the record: the counts must agree."""
    given = {}
    if config.scores:
        given[config.scores] = len(load_scores(config.scores))
    if config.embeddings:
        given[config.embeddings] = len(load_embeddings(config.embeddings))
    for path, count in given.items():
        if count != records:
            raise UsageError(
                f"{path} is for {count:,} records, but the sources have {records:,} "
                "(unusable ones included)"
            )


@node
async def embed(state: RunState, context: RunContext) -> Update:
    """Give every row a vector, and see where the generated ones landed."""
    # The recipe paper writes all its rounds before it embeds them.
    paper, config = context.config.recipe == "paper", context.config
    for round in range(config.max_rounds + 1) if paper else [state["round"]]:
        await embed_rows(context.ledger.rows.find(round=round), context)
    await _land([row for row in context.ledger.rows.find("new") if row.subspace], context)
    return {}


async def _land(rows: Sequence[Row], context: RunContext) -> None:
    """Record for each generated row how far from its subspace's centre it came down.

    Where a reference drew the subspace, its prompts had no response: there the row is measured
    without its own.
    """
    places = {(s.round, s.id): s for s in context.ledger.rounds.subspaces()}
    drawn = {row.id for row in rows if places[row.round, row.subspace].wanted}
    asked = [replace(row, output="") for row in rows if row.id in drawn]
    await embed_rows(asked, context, context.reference_vectors)
    own = [row for row in rows if row.id not in drawn]
    vectors = [
        *context.vectors.get([row.id for row in own]),
        *context.reference_vectors.get([row.id for row in asked]),
    ]
    landings = {}
    for row, vector in zip([*own, *asked], vectors, strict=True):
        place = places[row.round, row.subspace]
        distance = float(1 - vector @ np.asarray(place.centre, dtype=np.float32))
        landings[row.id] = (distance <= place.radius, distance)
    context.ledger.rows.set_landing(landings)


@node
async def analyze(state: RunState, context: RunContext) -> Update:
    """Find the sparse subspaces of the pool and plan the round's tasks."""
    ledger, progress = context.ledger, context.progress
    round = state["round"] + 1
    progress.round = round
    rounds = ledger.rounds.all()
    if not any(done["round"] == round for done in rounds):
        await plan_round(round, round_size(context.config, state["accepted"], rounds), context)
    subspaces = ledger.rounds.subspaces(round)
    progress.subspaces = [(s.name, s.quota) for s in subspaces if not s.given_up]
    for subspace in subspaces:
        if subspace.given_up:
            progress.say(f"round {round}: gave up on {subspace.name}: {subspace.given_up}")
    named = ", ".join(name for name, _ in progress.subspaces[:3])
    more = len(progress.subspaces) - 3
    progress.say(
        f"round {round}: {len(ledger.rounds.tasks(round))} tasks in "
        f"{len(progress.subspaces)} subspaces"
        + (f" ({named}{f' and {more} more' if more > 0 else ''})" if named else "")
    )
    return {"round": round}


@node
async def generate(state: RunState, context: RunContext) -> Update:
    """Carry out the round's tasks."""
    await carry_out(state["round"], context)
    return {}


async def carry_out(round: int, context: RunContext) -> None:
    """Have the generator write what the round's open tasks ask for."""
    ledger, progress, generator = context.ledger, context.progress, context.generator
    assert generator is not None
    assert context.gateway is not None
    tasks = ledger.rounds.tasks(round, pending=True)
    rows = ledger.rows.by_id({parent for task in tasks for parent in task.parents})
    subspaces = {subspace.id: subspace for subspace in ledger.rounds.subspaces(round)}
    wanted = ReferenceTexts(prompt.task for prompt in references(ledger))
    progress.begin("generate", "writing tasks and answering them", len(tasks))

    async def write(task: Task) -> None:
        parents = [rows[parent] for parent in task.parents]
        draft = await generator.write(task, parents, subspaces.get(task.subspace))
        if draft.row and (
            fault := wanted.fault(draft.row.task, draft.row.output, [p.text for p in parents])
        ):
            draft = replace(draft, outcome="rejected", fault=fault, row=None)
        row = draft.row and cleaned_row(draft.row, context.config)
        ledger.rounds.finish_task(task.id, draft.outcome, draft.reason, draft.written, row)
        progress.step()

    await for_each(tasks, write, context.gateway.concurrency)
    outcomes = ledger.rounds.task_outcomes(round)
    written = outcomes.get(("row", Why()), 0)
    faults = [f"{n} {why}" for (kind, why), n in outcomes.items() if kind != "row"][:3]
    progress.say(
        f"round {round}: wrote {written} rows of {sum(outcomes.values())} tasks"
        + (f" (dropped: {', '.join(faults)})" if faults else "")
    )


@node
async def screen(state: RunState, context: RunContext) -> Update:
    """Reject the new rows that leak, are broken or are not wanted, before any model sees them."""
    new = context.ledger.rows.find("new")
    if len(embedded(new, context)) < len(new):
        return {}  # the run stopped while it embedded them
    checks = {check.row: check for check in await screen_rows(new, context)}
    masked = context.config.pii == "mask"
    found = screened(checks, context.ledger.sources.benchmarks(), masked=masked)
    if reasons := found.get("reasons"):
        rejected = f"rejected {sum(reasons.values()):,} rows unseen ({counted(reasons)})"
        context.progress.say(f"{_when(state)}: {rejected}")
    for line in screen_lines(found):
        context.progress.say(f"{_when(state)}: {line}")
    return {}


@node
async def deduplicate(state: RunState, context: RunContext) -> Update:
    """Remove the new rows that repeat an earlier one."""
    ledger, progress = context.ledger, context.progress
    if {row.id for row in ledger.rows.find("new")} - ledger.judgements.checks().keys():
        return {}  # the run stopped before they were screened
    _drop_copies(context)
    new, kept = ledger.rows.find("new"), ledger.rows.find("unique", "accepted")
    kept += ledger.rows.find("rejected", reason=Reason.NOT_JUDGED)  # they may be taken back
    progress.begin("deduplicate", f"comparing {len(new):,} rows with {len(kept):,}")
    # A new answer repeats its parent's task: which of the two stays, their scores decide.
    answers = [row for row in new if row.strategy == "answer"]
    others = [row for row in new if row.strategy != "answer"]
    verdicts = await _compare(others, kept, state["round"], context)
    unique = {verdict.row for verdict in verdicts if not verdict.duplicate}
    answered = {row.parents[0] for row in answers}
    beside = [row for row in kept if row.id not in answered]
    beside += [row for row in others if row.id in unique]
    verdicts += await _compare(answers, beside, state["round"], context)
    removed = sum(verdict.duplicate for verdict in verdicts)
    progress.say(f"{_when(state)}: removed {removed} near-duplicates of {len(new)} rows")
    return {}


def _drop_copies(context: RunContext) -> None:
    """Reject the fused rows that came down on a parent, whatever their words."""
    fused = [row for row in context.ledger.rows.find("new") if len(row.parents) > 1]
    vectors = context.vectors.get([row.id for row in fused])
    copies = []
    for row, vector in zip(fused, vectors, strict=True):
        if (context.vectors.get(row.parents) @ vector).max() > COPY_COSINE:
            copies.append(row.id)
    context.ledger.rows.set_statuses((id, "rejected", Reason.COPY_OF_PARENT) for id in copies)


async def _compare(
    new: Sequence[Row], kept: Sequence[Row], round: int, context: RunContext
) -> list[Verdict]:
    """Give verdicts on new rows against the kept ones, and record them."""
    verdicts, stopped = await context.redundancy.find_duplicates(
        new,
        context.vectors.get([row.id for row in new]),
        kept,
        context.vectors.get([row.id for row in kept]),
        round=round,
    )
    context.ledger.judgements.add_verdicts(verdicts)
    if stopped:
        raise stopped
    return verdicts


@node
async def judge(state: RunState, context: RunContext) -> Update:
    """Score what is worth it, accept what is good enough."""
    ledger, progress = context.ledger, context.progress
    if left := leave_out(state["round"], context.config.target_size - state["accepted"], context):
        progress.say(f"{_when(state)}: left out {left:,} rows unjudged, by cheap signals")
    rows = ledger.rows.find("unique")
    ledger.facts.update(judge=judge_name(context))
    if ledger.facts.read().longest is None and rows:
        longest = length_cap(np.asarray([text_length(row) for row in rows]))
        ledger.facts.update(longest=longest)
    await _judge(rows, state["round"], context)
    while more := take_back(context):
        progress.say(f"{_when(state)}: judging {len(more):,} rows after all, to reach the target")
        await _judge(more, state["round"], context)
        rows += more
    judged = ledger.judgements.scores()
    told = judging_summary({row.id: judged[row.id] for row in rows if row.id in judged})
    lines = judging_lines(told)[: 2 if told.get("panel") else 1]
    for line in lines + (told["notes"] if told and not state["round"] else []):
        progress.say(f"{_when(state)}: {line}")
    return {}


async def _judge(rows: Sequence[Row], round: int, context: RunContext) -> None:
    """Score the rows that have no score, and accept those that are good enough."""
    ledger, progress = context.ledger, context.progress
    repeated, scored = _repeated(rows, context), ledger.judgements.scores()
    open_rows = [row for row in rows if row.id not in scored]
    progress.begin("judge", f"scoring {len(open_rows):,} rows", len(open_rows))
    judge = judge_of(context)

    async def score(row: Row) -> None:
        samples = context.config.judge_samples if row.id in repeated else 1
        ledger.judgements.add_scores([await judge.score(row, round=round, samples=samples)])
        progress.step()

    try:
        await for_each(open_rows, score, judged_at_once(context))
    finally:
        _accept(context)


def _repeated(rows: Sequence[Row], context: RunContext) -> set[str]:
    """The rows that are judged several times: some of those that the run judged first."""
    ledger, config = context.ledger, context.config
    if config.judge_samples == 1:
        return set()
    repeated = ledger.facts.read().repeated
    if repeated is None and rows:
        dice = random.Random(config.seed)
        ids = [row.id for row in rows]
        repeated = dice.sample(ids, min(REPEATED, len(ids)))
        ledger.facts.update(repeated=repeated)
    return set(repeated or ())


def judge_name(context: RunContext) -> str:
    """Who scores the rows: a model, the cheap signals, or the user's file."""
    if context.config.scores:
        return Scorer.PRECOMPUTED
    return " and ".join(g.backend.name for g in context.judges.values()) or Scorer.SIGNALS


def judged_at_once(context: RunContext) -> int:
    """Most rows that are before the judge at once; each judge's own limit holds besides."""
    return max((gateway.concurrency for gateway in context.judges.values()), default=1)


def judge_of(context: RunContext) -> Judge | Panel | PrecomputedScores:
    """The run's judge, with the length scale that the first judged rows set."""
    longest = context.ledger.facts.read().longest or 1.0
    if context.config.scores:
        return PrecomputedScores(load_scores(context.config.scores), longest)
    if context.judges:
        return judges_of(context, longest)
    return Judge(None, longest, context.yardsticks.background)


def judges_of(context: RunContext, longest: float) -> Judge | Panel:
    """The models that judge: one, or several as a panel."""
    judges = {name: Judge(gateway, longest) for name, gateway in context.judges.items()}
    return Panel(judges, longest) if len(judges) > 1 else next(iter(judges.values()))


def _accept(context: RunContext) -> None:
    """Move scored rows into the pool, or out of it, with the reason.

    Of a row and the new answer to it the one with the higher score stays.
    """
    ledger = context.ledger
    scores, lowest = ledger.judgements.scores(), context.config.min_score or float("-inf")
    decided: list[tuple[str, Status, str]] = []
    for row in ledger.rows.find("unique"):
        if row.id not in scores:
            continue
        before = scores.get(row.parents[0]) if row.strategy == "answer" else None
        if why := _rejected_for(scores[row.id], before, lowest):
            decided.append((row.id, "rejected", why))
            continue
        decided.append((row.id, "accepted", ""))
        if before and ledger.rows.status(row.parents[0])[0] == "accepted":
            decided.append((row.parents[0], "rejected", Reason.REPLACED))
    ledger.rows.set_statuses(decided)


def _rejected_for(score: Score, before: Score | None, lowest: float) -> str:
    if score.concatenation:
        return Reason.CONCATENATION
    if score.final < lowest:
        return Reason.LOW_SCORE
    if before and score.final <= before.final:
        return Reason.NO_BETTER
    return ""


@node
async def select(state: RunState, context: RunContext) -> Update:
    """Count what the pool can fill, decide whether to stop, and choose the rows if so."""
    ledger, progress = context.ledger, context.progress
    progress.begin("select", "choosing by quality and coverage")
    pool = ledger.rows.find("accepted")
    accepted = context.selector.fillable_count(pool)
    ledger.rounds.close(state["round"], accepted)
    ledger.rounds.set_proximity(state["round"], closeness(context, state["round"]))
    progress.accepted = accepted
    rounds = ledger.rounds.all()
    progress.count(rounds)
    stop = state["stop"] or stop_reason(context.config, accepted, rounds)
    progress.say(
        f"{_when(state)}: {accepted} of {context.config.target_size} accepted"
        + (f"; stop: {stop}" if stop else "")
    )
    if context.config.tie_breaks and stop and not state["stop"] and context.judges:
        judge, at_once = judges_of(context, 1.0), judged_at_once(context)
        await break_ties(pool, judge, state["round"], context, at_once)
    if not stop:
        with spared(progress.say):
            extend_map(ledger, context.vectors, context.config.seed)
    return {"accepted": accepted, "stop": stop}


@node
async def export(state: RunState, context: RunContext) -> Update:
    """Choose the dataset from the pool and write it, with its card."""
    context.progress.begin("export", "choosing the rows and writing them")
    finish(context, state["stop"])
    return {}


def finish(context: RunContext, stop: StopReason | Literal[""]) -> None:
    """Choose the dataset, measure it, and write the run's files; also when interrupted."""
    ledger = context.ledger
    pool = embedded(ledger.rows.find("accepted"), context)
    vectors = context.vectors.get([row.id for row in pool])
    scores, duels = ledger.judgements.scores(), ledger.judgements.duels()
    languages = {id: check.language for id, check in ledger.judgements.checks().items()}
    selection = Selection([], {})
    if pool:
        selection = context.selector.choose(pool, vectors, settled(scores, duels), languages)
    chosen = selection.rows
    ledger.dataset.choose([row.id for row in chosen], selection.margins)
    finals = {row.id: scores[row.id].final for row in pool}
    judging = judging_summary(scores, duels, pool=finals, places=context.config.target_size)
    ledger.facts.update(judging=judging, coverage=coverage(context, chosen))
    write_dataset(ledger, context.config.out)
    write_card(ledger, context.config.out, stop)
    if stop != "interrupted":
        with spared(context.progress.say):
            draw_map(ledger, context.vectors, context.config.seed)
    ledger.facts.update(stop=stop or None)  # last: from here on the run counts as finished


def _when(state: RunState) -> str:
    return f"round {state['round']}" if state["round"] else "seeds"
