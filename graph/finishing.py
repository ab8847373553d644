"""Ends a run: the dataset is chosen and measured, and the files of the run are written."""

from __future__ import annotations

from typing import Literal

from ..agents.calibration import judging_summary
from ..agents.selector import Selection
from ..formats.writing.card import write_card
from ..formats.writing.writers import write_dataset
from ..records import Row, StopReason
from .coverage import coverage
from .embedding import embedded
from .mapping import tolerate_map_failure
from .state import RunContext
from .ties import tie_broken


def finish(context: RunContext, stop: StopReason | Literal[""]) -> None:
    """Choose the dataset, measure it, and write the run's files; also when interrupted."""
    ledger, out = context.stores.ledger, context.config.out
    chosen = _choose(context)
    ledger.facts.update(coverage=coverage(chosen, context.stores, context.config.seed))
    write_dataset(ledger, out)
    write_card(ledger, out, stop)
    if stop != "interrupted":
        with tolerate_map_failure(context.emit):
            context.map.draw()
    ledger.facts.update(stop=stop or None)  # last: from here on the run counts as finished


def _choose(context: RunContext) -> list[Row]:
    """Choose the dataset from the pool, and keep what is to be said of its judging."""
    ledger, vectors = context.stores.ledger, context.stores.vectors
    pool = embedded(ledger.rows.find("accepted"), vectors)
    scores, comparisons = ledger.judgements.scores(), ledger.judgements.comparisons()
    languages = {id: check.language for id, check in ledger.judgements.screening().items()}
    selection = Selection([], {})
    if pool:
        of_pool = vectors.get([row.id for row in pool])
        decisive = tie_broken(scores, comparisons)
        selection = context.agents.selector.choose(pool, of_pool, decisive, languages)
    ledger.dataset.choose([row.id for row in selection.rows], selection.margins)
    finals = {row.id: scores[row.id].final for row in pool}
    places = context.config.target_size
    ledger.facts.update(judging=judging_summary(scores, comparisons, pool=finals, places=places))
    return selection.rows
