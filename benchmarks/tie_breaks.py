"""What tie-breaks and repeated judgements are worth, on simulated judges of known noise.

400 rows with qualities from N(65, 12²), of which the 200 best are wanted. A judgement is the
quality with Gaussian noise, rounded to steps of 5, as many models score. A comparison follows the
qualities with a logistic noise of the same size, or, with the probability given, names the row
shown first whatever it is. Each line is the mean of 200 simulations.

    .venv/bin/python benchmarks/tie_breaks.py
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import corpora
import numpy as np

from lift_agent.agents.near_ties import close_pairs, corrected_scores, position_consistency
from lift_agent.records import PairwiseComparison

ROWS, WANTED, STEP, SIMULATIONS = 400, 200, 5, 200


def share_found(scores: dict[str, float], best: set[str]) -> float:
    """Share of the truly best rows among those with the best scores."""
    chosen = sorted(scores, key=lambda row: (-scores[row], row))[:WANTED]
    return len(best & set(chosen)) / WANTED


def simulated(
    rng: np.random.Generator, noise: float, swayed: float, pairs: Sequence[int]
) -> dict[str, float]:
    """Shares of the best rows that each way finds, and the comparisons' consistency."""
    ids = [f"{number:05d}" for number in rng.permutation(ROWS)]
    quality = dict(zip(ids, rng.normal(65, 12, ROWS).tolist(), strict=True))
    best = set(sorted(ids, key=lambda row: -quality[row])[:WANTED])

    def judged() -> dict[str, float]:
        return {row: STEP * round((q + rng.normal(0, noise)) / STEP) for row, q in quality.items()}

    def preferred(shown: str, after: str) -> str:
        gap = (quality[shown] - quality[after]) / noise
        if rng.random() < swayed or rng.random() < 1 / (1 + np.exp(-gap)):
            return shown
        return after

    once, again = judged(), judged()
    found = {"one judgement of each row": share_found(once, best)}
    close = list(islice(close_pairs(once, WANTED, noise), max(pairs)))
    comparisons = [PairwiseComparison(a, b, preferred(a, b), preferred(b, a)) for a, b in close]
    order = sorted(ids, key=lambda row: -once[row])
    for count in pairs:
        settled = corrected_scores(once, comparisons[:count], noise)
        found[f"{count} pairs"] = share_found(settled, best)
        around = order[WANTED - count : WANTED + count]
        mean = once | {row: (once[row] + again[row]) / 2 for row in around}
        found[f"{2 * count} rows near the cut judged twice"] = share_found(mean, best)
    found["all rows judged twice"] = share_found(
        {row: (once[row] + again[row]) / 2 for row in ids}, best
    )
    found["consistency"] = position_consistency(comparisons) or 0.0
    return found


def main() -> None:
    """Simulate three judges and print what each way finds."""
    corpora.parser(__doc__).parse_args()
    pairs = (25, 50, 100)
    judges = ((4.0, 0.15), (4.0, 0.5), (8.0, 0.15))
    columns: list[dict[str, float]] = []
    for noise, swayed in judges:
        runs = [
            simulated(np.random.default_rng(seed), noise, swayed, pairs)
            for seed in range(1000, 1000 + SIMULATIONS)
        ]
        columns.append({name: float(np.mean([run[name] for run in runs])) for name in runs[0]})
    calls = {"one judgement of each row": ROWS, "all rows judged twice": 2 * ROWS}
    for count in pairs:
        calls |= dict.fromkeys(
            (f"{count} pairs", f"{2 * count} rows near the cut judged twice"), ROWS + 2 * count
        )
    lines = [
        [name, calls.get(name, ""), *(f"{column[name]:.3f}" for column in columns)]
        for name in columns[0]
    ]
    corpora.report(
        "tie_breaks",
        "Share of the 200 best of 400 rows that is found (simulated judges)",
        ("way", "calls", *(f"±{n:g} points, {s:.0%} by place" for n, s in judges)),
        lines,
        data=["simulated"],
        notes=["The last line is the share of pairs with the same verdict in both orders."],
    )


if __name__ == "__main__":
    main()
