"""How the dataset covers the space, beside the seeds and other choices of equal size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from ..geometry.baselines import baselines
from ..geometry.coverage import CoveragePool
from ..geometry.neighbours import Indices
from ..geometry.subspaces import proximity
from ..records import Row
from ..stores.queries.summary import PAIR
from .embedding import embedded
from .stores import RunStores


def coverage(chosen: Sequence[Row], stores: RunStores, seed: int) -> dict[str, dict[str, Any]]:
    """Measure sets of rows against all usable rows (every seed, every accepted row).

    Rows that a run which stopped has not embedded are left out.

    Returns:
        For `seeds` (all of them), `dataset`, and as many seeds as the dataset has rows, by
        `random` and by the paper's row `variance` (where there are as many): what
        `CoverageMeasures` has.
    """
    ledger, rng = stores.ledger, np.random.default_rng(seed)
    seeds = ledger.rows.find(
        "unique", "duplicate", "rejected", "quarantined", "accepted", origin="seed"
    )
    seeds = embedded(seeds, stores.vectors)
    generated = embedded(ledger.rows.find("accepted", origin="generated"), stores.vectors)
    index = {row.id: i for i, row in enumerate([*seeds, *generated])}
    vectors = stores.vectors.get(list(index))
    if len(vectors) == 0:
        return {}
    pool = CoveragePool(vectors, rng)
    sets: dict[str, Indices] = {
        "seeds": np.arange(len(seeds)),
        "dataset": np.asarray([index[row.id] for row in chosen], dtype=np.int64),
        **baselines(vectors[: len(seeds)], len(chosen), rng),
    }
    return {name: asdict(pool.measures(rows, PAIR)) for name, rows in sets.items() if len(rows)}


def measure_proximity(round: int, stores: RunStores) -> None:
    """Keep how close the pool came to each subspace of a round: before the round, and after it."""
    ledger = stores.ledger
    pool, subspaces = ledger.rows.find("accepted"), ledger.rounds.subspaces(round)
    if not pool or not subspaces:
        return
    before, after = proximity(
        stores.vectors.get([row.id for row in pool]),
        np.asarray([subspace.centre for subspace in subspaces], dtype=np.float32),
        np.asarray([row.round < round for row in pool]),
    )
    ids = [subspace.id for subspace in subspaces]
    found = zip(before.tolist(), after.tolist(), strict=True)
    ledger.rounds.set_proximity(round, dict(zip(ids, found, strict=True)))
