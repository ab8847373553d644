"""The target prompts of a run: what the data is compared with to see what it lacks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from ..agents.probes import FEWEST, ProbeWriter, drawn_in, theme_count
from ..agents.target_prompts import TargetPrompts
from ..geometry.neighbours import Vectors
from ..records import Row, TargetPrompt
from ..records.events import Emit, ProbesTooFew, ProbesWritten, Stage, StageBegan
from ..stores.ledger import Ledger
from ..stores.vectors import VectorStore
from .embedding import RowEmbedder


def usable_prompts(ledger: Ledger) -> list[TargetPrompt]:
    """The prompts that the data may be compared with: the user's, or the plausible probes."""
    toward = ledger.sources.target_prompts("toward")
    return toward or [probe for probe in ledger.sources.target_prompts("probe") if not probe.fault]


async def embedded_prompts(
    ledger: Ledger, store: VectorStore, embedder: RowEmbedder, emit: Emit, *, probes: bool
) -> TargetPrompts | None:
    """The prompts that the data may be compared with, with their vectors.

    None where `probes` take their place and too few are plausible: then only the data itself
    tells where it is thin.
    """
    prompts = usable_prompts(ledger)
    if probes and len(prompts) < FEWEST:
        emit(ProbesTooFew(len(prompts)))
        return None
    for _, drawn in groupby(prompts, key=lambda prompt: prompt.round):
        await embedder.embed([prompt.as_row for prompt in drawn], store)
    return TargetPrompts(prompts, store.get([prompt.id for prompt in prompts]))


async def write_probes(
    rows: Sequence[Row],
    vectors: Vectors,
    ledger: Ledger,
    writer: ProbeWriter,
    emit: Emit,
    *,
    round: int,
    size: int,
) -> None:
    """Write the probes that are due in this round, all of them or none.

    Args:
        rows: the rows of the data, near which the themes of the probes lie.
        vectors: their (n, d) unit vectors.
        ledger: of the run, which gets the probes.
        writer: has the model write them.
        emit: hears of it.
        round: number of the round.
        size: tasks of the round.
    """
    before = ledger.sources.target_prompts("probe")
    themes = drawn_in(round, theme_count(size))
    if not themes or any(probe.round == round for probe in before):
        return
    emit(StageBegan(Stage.PROBE))
    drawn = await writer.draw(rows, vectors, before, round=round, themes=themes)
    ledger.sources.add_target_prompts(drawn)
    plausible = sum(not probe.fault for probe in drawn)
    named = len({probe.theme for probe in drawn})
    emit(ProbesWritten(round, len(drawn), named, plausible))
