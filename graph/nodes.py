"""The nodes of the loop: each reads from the stores, calls one agent, writes to the stores.

Every node may be run again at any time: what is in the ledger is not done twice. None says
anything to the user: they emit events.
"""

from __future__ import annotations

from ..agents.calibration import judging_summary
from ..formats.reading.sources import files_of
from ..formats.writing.writers import write_quarantine
from ..records import Row
from ..records.codes import Reason
from ..records.events import (
    DuplicatesRemoved,
    LoopTotals,
    PoolCounted,
    PromptsRead,
    RoundBegan,
    RoundPlanned,
    RowsJudged,
    RowsLeftUnjudged,
    RowsScreened,
    RowsTakenBack,
    SourcesRead,
    Stage,
    StageBegan,
    SubspaceGivenUp,
)
from ..stores.queries.screening import screened
from .coverage import measure_proximity
from .deduplication import find_duplicates, reject_copies
from .embedding import embedded
from .finishing import finish
from .judging import judge_rows, leave_out, set_length_scale, take_back
from .landing import record_landing
from .mapping import tolerate_map_failure
from .node import Update, node
from .planning import plan_round, round_size
from .screening import screen_rows
from .sources import check_precomputed, cleaned_row, read_sources
from .state import RunContext, RunState
from .stopping import stop_reason
from .targets import embedded_prompts, write_probes
from .ties import break_ties
from .writing import carry_out


@node
async def ingest(state: RunState, context: RunContext) -> Update:
    """Read the sources into the ledger."""
    config, sources, emit = context.config, context.stores.ledger.sources, context.emit
    if not sources.all():
        files = files_of(config.sources, config.out)
        emit(StageBegan(Stage.INGEST, len(files)))
        read_sources(files, config, context.stores.ledger)
    read = sum(source[2] for source in sources.all())
    unusable = sum(source[3] for source in sources.all())
    emit(SourcesRead(read, unusable, write_quarantine(context.stores.ledger, config.out)))
    prompts, items = len(sources.target_prompts("toward")), len(sources.benchmarks())
    emit(PromptsRead(prompts, items, len(sources.unusable()) - unusable))
    check_precomputed(config, read + unusable)
    return {"round": 0, "accepted": 0, "stop": ""}


@node
async def embed(state: RunState, context: RunContext) -> Update:
    """Give every row a vector, and see where the generated ones landed."""
    # The recipe paper writes all its rounds before it embeds them.
    config, stores = context.config, context.stores
    paper = config.recipe == "paper"
    for round in range(config.max_rounds + 1) if paper else [state["round"]]:
        await context.embedder.embed(stores.ledger.rows.find(round=round), stores.vectors)
    await record_landing(stores, context.embedder)
    return {}


@node
async def analyze(state: RunState, context: RunContext) -> Update:
    """Find the sparse subspaces of the pool and plan the round's tasks."""
    ledger, emit, round = context.stores.ledger, context.emit, state["round"] + 1
    emit(RoundBegan(round))
    rounds = ledger.rounds.all()
    if not any(done["round"] == round for done in rounds):
        await _plan(round, round_size(context.config, state["accepted"], rounds), context)
    subspaces = ledger.rounds.subspaces(round)
    for subspace in subspaces:
        if subspace.given_up:
            emit(SubspaceGivenUp(round, subspace.name, subspace.given_up))
    quotas = tuple((s.name, s.quota) for s in subspaces if not s.given_up)
    emit(RoundPlanned(round, len(ledger.rounds.tasks(round)), quotas))
    return {"round": round}


async def _plan(round: int, size: int, context: RunContext) -> None:
    """Compare the pool with the target prompts, or with probes that are written for it."""
    stores, agents, emit = context.stores, context.agents, context.emit
    assert agents.analyst is not None
    assert agents.probes is not None
    assert agents.generator is not None
    pool = stores.ledger.rows.find("accepted")
    vectors = stores.vectors.get([row.id for row in pool])
    probing = not context.config.toward
    if probing:
        writer = agents.probes
        await write_probes(pool, vectors, stores.ledger, writer, emit, round=round, size=size)
    targets = await embedded_prompts(
        stores.ledger, stores.target_vectors, context.embedder, emit, probes=probing
    )
    emit(StageBegan(Stage.ANALYZE))
    await plan_round(
        pool,
        vectors,
        targets,
        stores,
        agents.analyst,
        round=round,
        size=size,
        seed=context.config.seed,
        small=agents.generator.small,
    )


@node
async def generate(state: RunState, context: RunContext) -> Update:
    """Carry out the round's tasks."""
    await write_rows(state["round"], context)
    return {}


async def write_rows(round: int, context: RunContext) -> None:
    """Have the generator carry out the tasks of a round."""
    generator, config = context.agents.generator, context.config
    assert generator is not None

    def clean(row: Row) -> Row:
        return cleaned_row(row, config)

    await carry_out(round, context.stores.ledger, generator, clean, context.emit)


@node
async def screen(state: RunState, context: RunContext) -> Update:
    """Reject the new rows that leak, are broken or are not wanted, before any model sees them."""
    stores = context.stores
    new = stores.ledger.rows.find("new")
    if len(embedded(new, stores.vectors)) < len(new):
        return {}  # the run stopped while it embedded them
    checks = await screen_rows(
        new,
        context.screening,
        stores,
        context.embedder,
        stop_signal=context.stop_signal,
        emit=context.emit,
    )
    found = screened(
        {check.row: check for check in checks},
        stores.ledger.sources.benchmarks(),
        masked=context.config.pii == "mask",
    )
    context.emit(RowsScreened(state["round"], found))
    return {}


@node
async def deduplicate(state: RunState, context: RunContext) -> Update:
    """Remove the new rows that repeat an earlier one."""
    ledger, stores, round = context.stores.ledger, context.stores, state["round"]
    if {row.id for row in ledger.rows.find("new")} - ledger.judgements.screening().keys():
        return {}  # the run stopped before they were screened
    reject_copies(stores)
    new, kept = ledger.rows.find("new"), ledger.rows.find("unique", "accepted")
    kept += ledger.rows.find("rejected", reason=Reason.NOT_JUDGED)  # they may be taken back
    context.emit(StageBegan(Stage.DEDUPLICATE, len(new), len(kept)))
    verdicts = await find_duplicates(new, kept, stores, context.agents.redundancy, round)
    removed = sum(verdict.duplicate for verdict in verdicts)
    context.emit(DuplicatesRemoved(round, removed, len(new)))
    return {}


@node
async def judge(state: RunState, context: RunContext) -> Update:
    """Score what is worth it, accept what is good enough."""
    ledger, config, emit, round = (
        context.stores.ledger,
        context.config,
        context.emit,
        state["round"],
    )
    judges, selector = context.agents.judges, context.agents.selector
    missing = config.target_size - state["accepted"]
    if left := leave_out(round, missing, config.max_judge_share, ledger):
        emit(RowsLeftUnjudged(round, left))
    rows = ledger.rows.find("unique")
    ledger.facts.update(judge=judges.name)
    set_length_scale(rows, ledger)
    await judge_rows(rows, round, judges, ledger, config, emit)
    while more := take_back(ledger, selector, config.target_size):
        emit(RowsTakenBack(round, len(more)))
        await judge_rows(more, round, judges, ledger, config, emit)
        rows += more
    scores = ledger.judgements.scores()
    judged = {row.id: scores[row.id] for row in rows if row.id in scores}
    emit(RowsJudged(round, judging_summary(judged)))
    return {}


@node
async def select(state: RunState, context: RunContext) -> Update:
    """Count what the pool can fill, decide whether to stop, and choose the rows if so."""
    ledger, config, emit, round = (
        context.stores.ledger,
        context.config,
        context.emit,
        state["round"],
    )
    emit(StageBegan(Stage.SELECT))
    pool = ledger.rows.find("accepted")
    accepted = context.agents.selector.fillable_count(pool)
    ledger.rounds.close(round, accepted)
    measure_proximity(round, context.stores)
    rounds = ledger.rounds.all()
    stop = state["stop"] or stop_reason(config, accepted, rounds) or ""
    emit(PoolCounted(round, accepted, config.target_size, stop, LoopTotals.of(rounds)))
    judges = context.agents.judges
    if config.tie_breaks and stop and not state["stop"] and judges.models:
        await break_ties(pool, judges, round, ledger, config, emit)
    if not stop:
        with tolerate_map_failure(emit):
            context.map.extend()
    return {"accepted": accepted, "stop": stop}


@node
async def export(state: RunState, context: RunContext) -> Update:
    """Choose the dataset from the pool and write it, with its card."""
    context.emit(StageBegan(Stage.EXPORT))
    finish(context, state["stop"])
    return {}
