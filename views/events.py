"""What happens in a run, in the words that people read."""

from __future__ import annotations

from functools import singledispatch

from ..config import setting_shown
from ..formats.writing.sentences import counted, judging_lines, screen_lines
from ..records import events as e
from .wording import counts_worded

_FAULTS = 3  # faults of a round's drafts that are listed
_NAMES = 3  # subspaces of a round that are named


@singledispatch
def lines(event: e.Event) -> list[str]:
    """The lines that report an event; none where it only updates the live screen."""
    return []


@lines.register
def _(event: e.RunContinued) -> list[str]:
    return [f"continuing the run in {event.folder}"]


@lines.register
def _(event: e.CrashFound) -> list[str]:
    return [f"{event.process} stopped unexpectedly in {event.folder}: continuing from there"]


@lines.register
def _(event: e.SettingChanged) -> list[str]:
    before, now = setting_shown(event.before), setting_shown(event.now)
    return [f"{event.name} was {before}, now {now}"]


@lines.register
def _(event: e.StopAsked) -> list[str]:
    return ["stopping after the calls in flight (Ctrl-C again: immediately)"]


@lines.register
def _(event: e.RunStopping) -> list[str]:
    return [f"stopping: {event.detail}"]


@lines.register
def _(event: e.TrialFailed) -> list[str]:
    return [f"{event.model} did not answer a small request: {event.cause}"]


@lines.register
def _(event: e.ModelTooSmall) -> list[str]:
    if event.agent == "judge":
        return [
            f"{event.model} is too small to judge: scoring by cheap signals "
            "(--judge-llm names a judge)"
        ]
    return [
        f"{event.model} is too small to settle doubts about near-duplicates: comparing "
        "the rows' responses instead (--redundancy-llm names a model)"
    ]


@lines.register
def _(event: e.NoBatchEndpoint) -> list[str]:
    return [f"{event.model} has no batch endpoint: its calls are sent one by one"]


@lines.register
def _(event: e.BatchCancelled) -> list[str]:
    return [f"cancelled batch {event.batch} of {event.model}"]


@lines.register
def _(event: e.BatchGoesOn) -> list[str]:
    return [f"batch {event.batch} of {event.model} keeps running: {event.cause}"]


@lines.register
def _(event: e.SourcesRead) -> list[str]:
    where = f" (see {event.listed})" if event.listed else ""
    return [f"read {event.rows:,} rows, {event.unusable:,} quarantined{where}"]


@lines.register
def _(event: e.PromptsRead) -> list[str]:
    counts = {
        "target prompts": event.target_prompts,
        "benchmark items": event.benchmark_items,
    }
    read = " and ".join(f"{count:,} {name}" for name, count in counts.items() if count)
    return [f"read {read}, {event.unusable:,} quarantined"] if read else []


@lines.register
def _(event: e.VectorsMissing) -> list[str]:
    return [f"{event.count:,} vectors are missing: rebuilding them from the ledger"]


@lines.register
def _(event: e.ProbesWritten) -> list[str]:
    return [
        f"round {event.round}: {event.probes} probes on {event.themes} themes near the data, "
        f"{event.plausible} plausible"
    ]


@lines.register
def _(event: e.ProbesTooFew) -> list[str]:
    return [
        f"only {event.plausible} probes are plausible: looking for sparse subspaces in the "
        "data itself, the weakest way to find what is missing (--toward is the best)"
    ]


@lines.register
def _(event: e.SubspaceGivenUp) -> list[str]:
    return [f"round {event.round}: no longer targets {event.name}: {event.reason}"]


@lines.register
def _(event: e.RoundPlanned) -> list[str]:
    names = ", ".join(name for name, _ in event.subspaces[:_NAMES])
    more = len(event.subspaces) - _NAMES
    named = f" ({names}{f' and {more} more' if more > 0 else ''})" if names else ""
    return [f"round {event.round}: {event.tasks} tasks in {len(event.subspaces)} subspaces{named}"]


@lines.register
def _(event: e.RowsWritten) -> list[str]:
    faults = [f"{count} {fault}" for fault, count in counts_worded(event.faults).items()][:_FAULTS]
    dropped = f" (dropped: {', '.join(faults)})" if faults else ""
    return [f"round {event.round}: wrote {event.rows} rows of {event.tasks} tasks{dropped}"]


@lines.register
def _(event: e.RowsScreened) -> list[str]:
    told = screen_lines(event.found)
    if reasons := event.found.get("reasons"):
        told.insert(
            0,
            f"rejected {sum(reasons.values()):,} rows before judging "
            f"({counted(counts_worded(reasons))})",
        )
    return _of_round(event.round, told)


@lines.register
def _(event: e.DuplicatesRemoved) -> list[str]:
    removed = f"removed {event.duplicates} near-duplicates of {event.rows} rows"
    return _of_round(event.round, [removed])


@lines.register
def _(event: e.RowsFiltered) -> list[str]:
    return [f"kept {event.kept:,} of {event.rows:,} rows by their variance"]


@lines.register
def _(event: e.RowsLeftUnjudged) -> list[str]:
    return _of_round(event.round, [f"skipped {event.rows:,} rows before judging, by cheap signals"])


@lines.register
def _(event: e.RowsTakenBack) -> list[str]:
    again = f"judging {event.rows:,} rows after all, to reach the target"
    return _of_round(event.round, [again])


@lines.register
def _(event: e.RowsJudged) -> list[str]:
    judging = event.judging
    told = judging_lines(judging)[: 2 if judging.get("panel") else 1]
    if judging and not event.round:
        told += judging["notes"]
    return _of_round(event.round, told)


@lines.register
def _(event: e.PoolCounted) -> list[str]:
    stop = f"; stop: {event.stop}" if event.stop else ""
    return _of_round(event.round, [f"{event.accepted} of {event.target} accepted{stop}"])


@lines.register
def _(event: e.PairsCompared) -> list[str]:
    return [
        f"compared {event.pairs} pairs near the cut-off: the same verdict in both orders "
        f"for {event.consistency:.0%}, {event.decided} decided"
    ]


@lines.register
def _(event: e.MapFailed) -> list[str]:
    return [f"the map of the rows could not be drawn ({event.error})"]


def _of_round(round: int, told: list[str]) -> list[str]:
    """Lines about a round, each naming it; round 0 is that of the seeds."""
    when = f"round {round}" if round else "seeds"
    return [f"{when}: {line}" for line in told]


@singledispatch
def activity(event: e.Event) -> str:
    """What the run is doing from this event on, "" if it continues what it did."""
    return ""


@activity.register
def _(event: e.ModelOpening) -> str:
    return f"opening {event.model}"


@activity.register
def _(event: e.ModelTried) -> str:
    return f"sending {event.model} a small request"


@activity.register
def _(event: e.StageBegan) -> str:
    items, others = event.items, event.others
    return {
        e.Stage.INGEST: f"reading {items} file(s)",
        e.Stage.EMBED: f"embedding {items:,} rows",
        e.Stage.SCREEN: f"screening {items:,} rows",
        e.Stage.DEDUPLICATE: f"comparing {items:,} rows with {others:,}",
        e.Stage.FILTER: f"measuring the variance of {items:,} rows",
        e.Stage.JUDGE: f"scoring {items:,} rows",
        e.Stage.SELECT: "choosing by quality and coverage",
        e.Stage.BREAK_TIES: f"comparing {items:,} pairs in both orders",
        e.Stage.PROBE: "listing what else users would ask for, and writing probes for it",
        e.Stage.ANALYZE: "finding sparse subspaces and naming them",
        e.Stage.GENERATE: "writing tasks and answering them",
        e.Stage.EXPORT: "choosing the rows and writing them",
        e.Stage.REPORT: "writing the report",
    }[event.stage]
