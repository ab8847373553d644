"""A map of the embedding space: two coordinates a row, near rows near each other."""

from __future__ import annotations

import numpy as np

from .neighbours import Floats, Vectors, nearest

_LANDMARKS = 1500  # rows that are laid out; the others are placed among them
_COMPONENTS = 50
_PERPLEXITY = 20.0
_STEPS = 500
_NEIGHBOURS = 3  # landmarks by which another row is placed


def project(vectors: Vectors, others: Vectors, seed: int = 0) -> tuple[Floats, Floats]:
    """Lay (n, d) unit vectors out on a plane, and place (m, d) others among them.

    t-SNE (van der Maaten and Hinton 2008) of the first principal components of at most 1,500
    rows drawn at random; every other vector lies at the mean of its three nearest landmarks,
    weighted by the inverse of the distance.

    Returns:
        Coordinates (n, 2) and (m, 2), those of the rows from 0 to 1.
    """
    rng = np.random.default_rng(seed)
    n = len(vectors)
    drawn = np.arange(n) if n <= _LANDMARKS else np.sort(rng.choice(n, _LANDMARKS, replace=False))
    landmarks = vectors[drawn]
    laid = _layout(landmarks, seed)
    placed = np.empty((n, 2))
    placed[drawn] = laid
    rest = np.setdiff1d(np.arange(n), drawn, assume_unique=True)
    placed[rest] = interpolate(vectors[rest], landmarks, laid)
    return placed, interpolate(others, landmarks, laid)


def _layout(vectors: Vectors, seed: int) -> Floats:
    if len(vectors) < 5:
        centred = vectors - vectors.mean(axis=0) if len(vectors) else vectors
        flat = np.zeros((len(vectors), 2))
        width = min(2, *centred.shape) if len(vectors) else 0
        flat[:, :width] = np.linalg.svd(centred, full_matrices=False)[0][:, :width] if width else 0
        return _scaled(flat)
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    components = min(_COMPONENTS, *vectors.shape)
    # Copies have no spread of their own, on which t-SNE would divide by zero.
    spread = 1e-4 * np.random.default_rng(seed).normal(size=vectors.shape)
    reduced = PCA(components, random_state=seed).fit_transform(vectors + spread)
    tsne = TSNE(
        2,
        perplexity=min(_PERPLEXITY, (len(vectors) - 1) / 3),
        max_iter=_STEPS,
        init="pca",
        random_state=seed,
    )
    return _scaled(np.asarray(tsne.fit_transform(reduced), dtype=np.float64))


def _scaled(points: Floats) -> Floats:
    """Points from 0 to 1; both axes keep the same scale, the narrower one in the middle."""
    if not len(points):
        return points
    low, high = points.min(axis=0), points.max(axis=0)
    size = float((high - low).max())
    if size == 0:
        return np.full_like(points, 0.5)
    return np.asarray(0.5 + (points - (low + high) / 2) / size)


def interpolate(vectors: Vectors, landmarks: Vectors, coordinates: Floats) -> Floats:
    """Place (n, d) unit vectors among (m, d) landmarks that lie at `coordinates` (m, 2): (n, 2).

    Each lies at the mean of its three nearest landmarks, weighted by the inverse of the distance.
    """
    if not len(vectors) or not len(landmarks):
        return np.full((len(vectors), 2), 0.5)
    cosines, which = nearest(vectors, landmarks, _NEIGHBOURS)
    weights = 1 / np.maximum(1e-3, 1 - cosines.astype(np.float64))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("nk,nkd->nd", weights, coordinates[which]))
