"""Choices of equal size that a dataset is compared with."""

from __future__ import annotations

import numpy as np

from .neighbours import Indices, Vectors
from .variance import row_variance


def baselines(vectors: Vectors, count: int, rng: np.random.Generator) -> dict[str, Indices]:
    """Choose `count` of (n, d) rows at `random`, and by the paper's row `variance`.

    Returns:
        Indices by the baseline's name; none if there are fewer than `count` rows, or `count` is 0.
    """
    if not 0 < count <= len(vectors):
        return {}
    drawn = rng.choice(np.arange(len(vectors)), count, replace=False)
    ranked = np.argsort(-row_variance(vectors), kind="stable")
    return {"random": drawn, "variance": ranked[:count]}
