"""The dataset card: the README.md beside the dataset, with the hub's YAML header."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import __version__
from .checks import screen_lines
from .ledger import Ledger
from .summary import Summary, judging_lines, summarise
from .writers import CARD, DATASET, replace_file

_SIZES = (
    (1000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10**12, "1M<n<10M"),
)


def write_card(ledger: Ledger, folder: Path, stop: str) -> Path:
    """Write the card of a run's dataset."""
    path = folder / CARD
    replace_file(path, card(ledger, stop))
    return path


def card(ledger: Ledger, stop: str) -> str:
    """Return the card's Markdown: where the rows came from, how they were chosen, why it ended."""
    s = replace(summarise(ledger), stop=stop)
    settings = ledger.noted("settings", {})
    sources = "\n".join(
        f"| `{_inert(Path(path).name)}` | {rows:,} | {rejected:,} | `{fingerprint[:16]}` |"
        for path, fingerprint, rows, rejected in ledger.sources()
    )
    size = next(label for limit, label in _SIZES if s.rows < limit)
    coverage = "\n".join(
        f"| {label} | {m['rows']:,} | {m['distance']:.3f} | {m['cells']:.0%} | {m['vendi']:.1f} "
        f"| {m['novelsum']:.3f} | {m['pairs']:,} |"
        for name, label in (
            ("seeds", "all seeds"),
            ("random", "random seeds, as many"),
            ("variance", "seeds by the paper's row variance, as many"),
            ("dataset", "this dataset"),
        )
        if (m := s.coverage.get(name))
    )
    judge = ledger.noted("judge", "nobody")
    scored = (
        "by cheap signals of its text"
        if judge == "cheap signals"
        else "by scores that were given"
        if judge == "given scores"
        else f"by `{_inert(judge)}` with the rubric of LIFT (arXiv 2312.11508)"
    )
    chosen = (
        "the highest scores were chosen among the rows of high variance"
        if settings.get("recipe") == "paper"
        else "the dataset was chosen by quality and diversity together"
    )
    judging = "\n".join(
        f"- {line[0].upper()}{line[1:]}."
        for line in [*judging_lines(s.judging), *s.judging.get("notes", ())]
    )
    models = ", ".join(f"`{_inert(call)}`" for call in ledger.models()) or "none"
    made = (
        f"{s.generated_chosen:,} rows were generated, each by fusing the instructions of its "
        "`lift.parents`"
        if settings.get("recipe") == "lift"
        else f"{s.generated_chosen:,} rows were generated"
    )
    return f"""---
configs:
- config_name: default
  data_files: {DATASET}
size_categories:
- {size}
tags:
- instruction-tuning
- lift-agent
task_categories:
- text-generation
---

# {s.rows:,} instruction rows

Made by lift-agent {__version__} (recipe `{settings.get("recipe", "lift")}`, models: {models},
embedder `{_inert(settings.get("embedder", ""))}`).
It stopped with `{s.stop}`: {s.why} ({s.rows:,} of {s.target:,} rows).

## Where the rows come from

| source | usable rows | quarantined | SHA-256 begins |
|---|---|---|---|
{sources}

{s.seeds_chosen:,} rows are from these files, {made}.

## How they were chosen

Of {s.read:,} rows read, {s.seed_near_duplicates:,} near-duplicates were removed; {s.tasks:,} tasks
were tried, {s.written:,} rows written, {s.generated_accepted:,} accepted after the same checks.
{_compared(s)}Every row that was left was scored {scored}; {chosen}.

{judging}

| rows | number | mean distance to nearest | regions hit | Vendi | NovelSum | near-duplicates |
|---|---|---|---|---|---|---|
{coverage}

## What was checked

{_checked(s, settings)}

## Columns

`instruction`, `input`, `output`, the other columns of the row's file as they were, and `lift`:
its id, origin, round, strategy, parents, subspace and scores with the judge's reason.

## Limits

Scores and generated rows are a model's: read some before you train on them. `run.toml` has the
settings, and `ledger.sqlite` every call, verdict and score.
"""


def _checked(s: Summary, settings: Mapping[str, Any]) -> str:
    """What every row had to pass. What leaked is not quoted: a card must not leak it again."""
    if not s.screen:
        return "Nothing: the recipe has no screen."
    lines = [_inert(line) for line in screen_lines(s.screen, examples=0)]
    if s.screen["benchmarks"]:
        cosine = settings["leak_cosine"]
        near = f", or an embedding at cosine {cosine:g} or above" if cosine < 1 else ""
        lines.append(f"a row leaks an item by {settings['ngram']} words in a row in common{near}")
    else:
        lines.append("benchmarks: none was compared")
    lines.append(f"personal data: --pii {settings['pii']}")
    return "\n".join(f"- {line[0].upper()}{line[1:]}." for line in lines)


def _compared(s: Summary) -> str:
    """What the rows were compared with to see what they lack."""
    if not s.subspaces:
        return ""
    if s.toward:
        return f"What was missing was judged by {s.toward:,} prompts that are not in the dataset.\n"
    if s.plausible:
        return f"What was missing was judged by {s.plausible:,} probes that the model wrote.\n"
    return "What was missing was judged by the rows alone.\n"


def _inert(text: object) -> str:
    """A name that cannot break out of a table cell or a code span."""
    return "".join(c if c.isprintable() and c not in "|`" else "_" for c in str(text))
