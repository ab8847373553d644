"""The summary at the end of a run."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..formats.writing.sentences import (
    judging_lines,
    languages_named,
    screen_lines,
    stop_explained,
)
from ..stores.layout import DATASET, QUARANTINE, REPORT
from ..stores.queries.summary import PAIR, Summary
from .coverage import coverage_table
from .estimate import print_estimated_and_actual
from .format import duration, inert, money, number
from .wording import SETS, counts_worded, scorer_named


def print_summary(summary: Summary, folder: Path, seconds: float, console: Console) -> None:
    """Print what came of a run, in the order in which it happened."""
    s = summary
    reached = s.rows == s.target
    console.print(
        Text.assemble(
            (f"{number(s.rows)} of {number(s.target)} rows", "bold green" if reached else "bold"),
            f" in {duration(seconds)}. Stop reason: ",
            (s.stop, "bold"),
            f" ({stop_explained(s.stop)}).",
        ),
        soft_wrap=True,
    )
    if not reached:
        console.print(
            Text(f"The dataset is {number(s.target - s.rows)} rows short of its target."),
            style="yellow",
        )
    console.print()

    steps = Table.grid(padding=(0, 2))
    steps.add_column(justify="right")
    steps.add_column()
    for count, what in flow(s):
        steps.add_row(number(count), Text(inert(what)))
    console.print(steps)
    if s.screen:
        console.print()
        for line in screen_lines(s.screen):
            console.print(Text(inert(f"screen: {line}")), soft_wrap=True)
    if s.judging:
        console.print()
        for line in judging_lines(s.judging):
            console.print(Text(inert(f"judge: {line}")), soft_wrap=True)
        for note in s.judging["notes"]:
            console.print(Text(inert(f"note: {note}"), style="yellow"), soft_wrap=True)
    if s.coverage:
        console.print()
        console.print(_coverage(s))
        console.print(
            Text(
                "distance, 99%: mean and 99th percentile of the cosine distance from each usable "
                "row to its nearest row here, lower is better; cells: share of the data's "
                f"cells hit; pairs: rows at cosine {PAIR} or above to each other",
                style="dim",
            ),
            soft_wrap=True,
        )
    if s.usage:
        console.print()
        console.print(_usage(s))
        if s.requests > s.calls:
            repeated = (
                f"{number(s.requests)} requests were sent, refused and repeated ones included"
            )
            console.print(Text(repeated, style="dim"))
    if s.estimate:
        console.print()
        print_estimated_and_actual(s, console)
    console.print()
    console.print(Text(f"dataset  {inert(str(folder / DATASET))}"), soft_wrap=True)
    console.print(Text(f"report   {inert(str(folder / REPORT))}"), soft_wrap=True)
    console.print(Text(f"run      {inert(str(folder))}"), soft_wrap=True)
    console.print(
        Text(
            f"next     lift-agent trace {inert(str(folder))}   ·   lift-agent why "
            f"{inert(str(folder))} ROW"
        ),
        soft_wrap=True,
    )


def as_record(summary: Summary) -> dict[str, Any]:
    """What ``--json`` prints: everything."""
    screen = dict(summary.screen)
    if screen:
        screen["reasons"] = counts_worded(screen["reasons"])
        screen |= {name: languages_named(screen[name]) for name in ("languages", "chosen")}
    return asdict(summary) | {
        "rejected": counts_worded(summary.rejected),
        "faults": counts_worded(summary.faults),
        "judge": scorer_named(summary.judge),
        "screen": screen,
        "calls": summary.calls,
        "reused": summary.reused,
        "tokens": summary.tokens,
        "cost": summary.cost,
    }


def flow(s: Summary) -> list[tuple[int, str]]:
    """How many rows came to each step and left there, in order."""
    steps = [(s.read, "rows read")]
    if s.unusable:
        steps.append((s.unusable, f"records quarantined, listed in {QUARANTINE}"))
    steps.append((s.near_duplicates, "near-duplicates removed"))
    if s.toward:
        steps.append((s.toward, "prompts that show what is wanted"))
    if s.probes:
        steps.append((s.probes, f"probes written for what is wanted, {s.plausible:,} plausible"))
    if s.tasks:
        steps.append((s.tasks, f"tasks tried in {s.rounds} rounds and {s.subspaces} subspaces"))
        if s.given_up:
            steps.append(
                (s.given_up, "subspaces no longer targeted: hardly any row landed and was accepted")
            )
        steps.append((s.written, "rows generated"))
        if s.written:
            landed = f"of them landed in their subspace ({s.landed / s.written:.0%})"
            steps.append((s.landed, landed))
        steps.append((s.generated_accepted, "of them accepted"))
    for fault, count in list(counts_worded(s.faults).items())[:5]:
        steps.append((count, f"drafts dropped: {fault}"))
    for why, count in counts_worded(s.rejected).items():
        steps.append((count, f"rows rejected: {why}"))
    if s.low_scores:
        steps.append((s.low_scores, "rows rejected by variance or score"))
    if s.judge_quarantined:
        steps.append((s.judge_quarantined, "rows quarantined: the judge failed on them"))
    if s.not_judged:
        steps.append((s.not_judged, "rows not judged before the run stopped"))
    steps.append((s.seeds_chosen, "seeds in the dataset"))
    steps.append((s.generated_chosen, "generated rows in the dataset"))
    return steps


def _coverage(s: Summary) -> Table:
    return coverage_table(
        {label: s.coverage[key] for key, label in SETS.items() if s.coverage.get(key)}
    )


def _usage(s: Summary) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("agent", "calls", "reused", "failed", "tokens in", "tokens out", "money"):
        table.add_column(name, justify="left" if name == "agent" else "right")
    for agent, used in s.usage.items():
        table.add_row(
            agent,
            *(
                number(used[name] or 0)
                for name in ("calls", "reused", "failed", "input_tokens", "output_tokens")
            ),
            money(used["cost"]),
        )
    return table
