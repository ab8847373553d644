"""The paper's row variance (LIFT, arXiv 2312.11508), as its text describes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .neighbours import Floats


def principal_coordinates(vectors: NDArray[np.floating], share: float = 0.95) -> Floats:
    """Standardise each column of (n, d), then project on the fewest principal components.

    The components kept are the fewest whose variance adds up to at least `share` of the whole.
    Constant columns are left out by the standardisation (they become zero).

    Returns:
        (n, c) coordinates.
    """
    x = np.asarray(vectors, dtype=np.float64)
    # Rounding gives a constant column a tiny deviation: tell it by its range.
    deviation = np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), np.inf)
    z = (x - x.mean(axis=0)) / deviation
    eigenvalues, axes = np.linalg.eigh(z.T @ z)
    eigenvalues, axes = np.maximum(eigenvalues[::-1], 0), axes[:, ::-1]
    # A row's variance depends on the components' signs, which the decomposition leaves open.
    # scikit-learn's convention, with which LIFT was published: the largest loading is positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    total = eigenvalues.sum()
    if total == 0:
        return np.zeros((len(x), 1))
    explained = np.cumsum(eigenvalues) / total
    # A hair under `share`, so that rounding in the last digit does not cost a component.
    components = int(np.searchsorted(explained, share - 1e-12)) + 1
    return np.asarray(z @ axes[:, :components])


def row_variance(vectors: NDArray[np.floating]) -> Floats:
    """Variance of each row across its principal coordinates: (n, d) to (n,)."""
    return np.asarray(principal_coordinates(vectors).var(axis=1))


def varied_rows(vectors: NDArray[np.floating], percentile: float = 80) -> NDArray[np.bool_]:
    """Which rows have a variance strictly above the percentile (linear interpolation): (n,).

    Equal rows come out of the products a few last digits apart; the margin keeps copies at the
    percentile together.
    """
    variance = row_variance(vectors)
    return np.asarray(variance > np.percentile(variance, percentile) * (1 + 1e-9))


def length_cap(lengths: NDArray[np.integer]) -> float:
    """The length at which the length score reaches 100: the 98th percentile, at least 1."""
    return max(1.0, float(np.percentile(lengths, 98))) if len(lengths) else 1.0
