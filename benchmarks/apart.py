"""Pairs of close rows among those chosen from rows that nothing was removed from.

The pool of selection.py is cleared of close pairs first; a run's pool is not, for rows that are
close may be other tasks. Chosen with and without `apart_cosine`, by diversity alone and together
with the points of the cheap signals.
"""

from __future__ import annotations

import numpy as np
from corpora import CODE, embedded_rows, parser, report

from lift_agent.agents import scoring
from lift_agent.config import RunConfig
from lift_agent.geometry.coverage import near_duplicate_pairs, vendi_score
from lift_agent.geometry.selection import percentile_ranks, select

COUNT = 300
APART = RunConfig.model_fields["apart_cosine"].default


def main() -> None:
    """Print and write the table."""
    rows, vectors = embedded_rows(parser(__doc__).parse_args().data, CODE)
    points = np.asarray([sum(scoring.points(row).values()) for row in rows])
    none = np.zeros(len(rows), dtype=bool)
    ways = {"random (mean of 5)": [chance(len(rows), seed) for seed in range(5)]}
    for weight in (0.0, 0.5):
        for separation in (1.0, APART):
            found = select(
                vectors,
                percentile_ranks(points),
                COUNT,
                weight,
                capped=none,
                cap=0,
                min_separation=separation,
            )
            rule = f"rows at cosine {separation} kept apart" if separation < 1 else "no rule"
            ways[f"quality weight {weight:g}, {rule}"] = [np.asarray(found.order)]
    report(
        "apart",
        f"{COUNT} of the {len(rows):,} rows of {CODE}",
        ("way", "pairs ≥ 0.9", "Vendi", "points"),
        [
            (
                way,
                f"{np.mean([near_duplicate_pairs(vectors[c], 0.9) for c in choices]):.0f}",
                f"{np.mean([vendi_score(vectors[c]) for c in choices]):.1f}",
                f"{np.mean([points[c].mean() for c in choices]):.1f}",
            )
            for way, choices in ways.items()
        ],
    )


def chance(size: int, seed: int) -> np.ndarray:
    """Rows by chance."""
    return np.random.default_rng(seed).choice(size, COUNT, replace=False)


if __name__ == "__main__":
    main()
