"""How the dataset covers the space, beside the seeds and a random sample of equal size."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from ..geometry.coverage import coverage_distance, near_duplicate_pairs, vendi_score
from ..records import Row
from .state import RunContext

_NEAR = 0.95  # cosine from which two rows count as a near-duplicate pair here
_MOST = 20_000  # rows of the pool that distances are measured from, drawn at random beyond that


def coverage(context: RunContext, chosen: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Measure three sets of rows against all usable rows (every seed, every accepted row).

    Returns:
        For `seeds` (all of them), `random` (as many seeds as the dataset has rows, where there
        are as many) and `dataset`: rows, Vendi score, coverage distance, near-duplicate pairs.
    """
    ledger, dice = context.ledger, random.Random(context.config.seed)
    seeds = ledger.rows("unique", "duplicate", "rejected", "quarantined", "accepted", origin="seed")
    generated = ledger.rows("accepted", origin="generated")
    everything = [*seeds, *generated]
    pool = everything if len(everything) <= _MOST else dice.sample(everything, _MOST)
    pool_vectors = context.vectors.get([row.id for row in pool])
    sets: dict[str, Sequence[Row]] = {"seeds": seeds, "dataset": chosen}
    if 0 < len(chosen) <= len(seeds):
        sets["random"] = dice.sample(seeds, len(chosen))
    measured = {}
    for name, rows in sets.items():
        vectors = context.vectors.get([row.id for row in rows])
        if len(rows) == 0:
            continue
        measured[name] = {
            "rows": len(rows),
            "vendi": round(vendi_score(vectors), 2),
            "distance": round(max(0.0, coverage_distance(pool_vectors, vectors)), 4),
            "pairs": near_duplicate_pairs(vectors, _NEAR),
        }
    return measured
