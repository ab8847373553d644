"""How well sets of rows cover the same space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from ..geometry.coverage import CoverageMeasures, CoveragePool
from ..geometry.variance import row_variance
from ..stores.queries.summary import PAIR
from .embedding import vectors_of
from .reading import rows_of
from .settings import settings_of


class CoverageTable(dict[str, CoverageMeasures]):
    """The measures of sets of rows, by name; printed, it is a table."""

    def to_pandas(self) -> Any:
        """The table as a DataFrame, a line for each set."""
        import pandas

        return pandas.DataFrame.from_dict(
            {name: asdict(measures) for name, measures in self.items()}, orient="index"
        )

    def __str__(self) -> str:
        from ..views.coverage import as_text

        return as_text({name: asdict(measures) for name, measures in self.items()})

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html())


def coverage(
    a: Any,
    b: Any,
    *,
    vectors: tuple[Any, Any] = (None, None),
    map: Mapping[str, str] | None = None,
    seed: int = 0,
    **settings: Any,
) -> CoverageTable:
    """Measure how two sets of rows cover the space of both together.

    Beside them stand as many rows of `a` as `b` has, chosen at random and by the paper's row
    variance, where `a` has as many: sets of different sizes do not compare.

    Args:
        a: the rows that there were: a list of dicts, a `datasets.Dataset` or a
            `pandas.DataFrame`.
        b: the rows that came of them.
        vectors: your own (n, d) embeddings of a and of b; None to make them.
        map: the columns of an own form.
        seed: of the random choice, and of the samples that large sets are measured on.
        settings: of a run, by name: `embedder`, `embedder_base_url`, `embedder_prompt`.

    Returns:
        For `a`, `b`, `random` and `variance`: number of rows, mean and 99th percentile of the
        cosine distance from all rows to the nearest row of the set (lower is better), share of the
        space's cells that it hits, Vendi score, NovelSum, pairs at cosine 0.95 or above.

    Raises:
        UsageError: a setting is wrong, or the rows are of no known form.
        ModelError: the embedder cannot be used.
    """
    config = settings_of(("embedder", "embedder_base_url", "embedder_prompt"), settings)
    sets = [rows_of(rows, map) for rows in (a, b)]
    made = [
        vectors_of(held.rows, held.numbers, own, config)
        for held, own in zip(sets, vectors, strict=True)
        if held.rows
    ]
    if not made:
        return CoverageTable()
    together = np.concatenate(made)
    first, second = (len(held.rows) for held in sets)
    rng = np.random.default_rng(seed)
    indices = {"a": np.arange(first), "b": first + np.arange(second)}
    if 0 < second <= first:
        indices["random"] = rng.choice(first, second, replace=False)
        ranked = np.argsort(-row_variance(together[:first]), kind="stable")
        indices["variance"] = ranked[:second]
    pool = CoveragePool(together, rng)
    return CoverageTable(
        {name: pool.measures(rows, PAIR) for name, rows in indices.items() if len(rows)}
    )
