"""The reference of a run: what the data is compared with to see what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, islice

from ..agents.probes import FEWEST, drawn_in, theme_count
from ..agents.target_prompts import TargetPrompts
from ..formats.reading.prompts import read_prompts
from ..formats.reading.readers import stopping
from ..formats.reading.sources import files_of
from ..geometry.neighbours import Vectors
from ..records import Reference, Rejected, Row
from ..stores.ledger import Ledger
from .embedding import embed_rows
from .screening import cleaned
from .state import RunContext


def read_toward(context: RunContext, position: int) -> int:
    """Read the prompts that the user gave into the ledger; unusable ones are listed from
    `position` on. Returns the position after the last.
    """
    config = context.config
    found = read_prompts(files_of(config.toward, config.out), config.map)
    records = enumerate(cleaned(stopping(found) if config.strict else found, config), position)
    while batch := list(islice(records, 5000)):
        context.ledger.sources.add_references(r for _, r in batch if isinstance(r, Reference))
        context.ledger.sources.add_rejects((i, r) for i, r in batch if isinstance(r, Rejected))
        position = batch[-1][0] + 1
    return position


async def reference_of(
    rows: Sequence[Row], vectors: Vectors, context: RunContext, *, round: int, size: int
) -> TargetPrompts | None:
    """The prompts that show what is wanted: the user's, or else probes that the model writes.

    None where these are too few: then only the data itself tells where it is thin.

    Args:
        rows: the rows of the data, whose neighbourhood probes are written for.
        vectors: their (n, d) unit vectors.
        context: the run's stores and agents.
        round: number of the round, in which new probes may be due.
        size: tasks of the round.
    """
    ledger = context.ledger
    if not context.config.toward:
        await _draw_probes(rows, vectors, context, round, size)
    used = references(ledger)
    if not context.config.toward and len(used) < FEWEST:
        context.progress.say(
            f"only {len(used)} probes are plausible: going by the data's own thin places, the "
            "weakest way to tell what is missing (--toward is the best)"
        )
        return None
    for _, drawn in groupby(used, key=lambda prompt: prompt.round):
        as_rows = [prompt.as_row for prompt in drawn]
        await embed_rows(as_rows, context, context.reference_vectors)
    return TargetPrompts(used, context.reference_vectors.get([prompt.id for prompt in used]))


def references(ledger: Ledger) -> list[Reference]:
    """The prompts that the data may be compared with: the user's, or the plausible probes."""
    toward = ledger.sources.references("toward")
    return toward or [probe for probe in ledger.sources.references("probe") if not probe.fault]


async def _draw_probes(
    rows: Sequence[Row], vectors: Vectors, context: RunContext, round: int, size: int
) -> None:
    """Write the probes that are due in this round, all of them or none."""
    ledger, progress = context.ledger, context.progress
    before = ledger.sources.references("probe")
    themes = drawn_in(round, theme_count(size))
    if not themes or any(probe.round == round for probe in before):
        return
    assert context.probes is not None
    progress.begin("analyze", "asking what else a user would want, and writing probes for it")
    drawn = await context.probes.draw(rows, vectors, before, round=round, themes=themes)
    ledger.sources.add_references(drawn)
    plausible = sum(not probe.fault for probe in drawn)
    named = len({probe.theme for probe in drawn})
    progress.say(
        f"round {round}: {len(drawn)} probes on {named} themes near the data, {plausible} plausible"
    )
