"""Judge scores and embeddings that the user gives instead of having them made."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError


def load_scores(path: Path) -> NDArray[np.float64]:
    """Read judge scores: a .npy array, a JSON array of numbers, or one number a line: (n,).

    Raises:
        UsageError: the file cannot be read, or holds something else.
    """
    try:
        if path.suffix == ".npy":
            values = np.load(path)
        else:
            text = path.read_text(encoding="utf-8").strip()
            values = json.loads(text) if text.startswith("[") else text.split()
        scores = np.asarray(values, dtype=np.float64)
    except OSError as error:
        raise UsageError(f"cannot read the scores in {path}: {error.strerror}") from None
    except (ValueError, TypeError, EOFError) as error:
        raise UsageError(f"{path} is not a list of scores: {error}") from None
    if scores.ndim != 1 or not np.isfinite(scores).all():
        raise UsageError(f"{path} must hold one finite number per record, not {scores.shape}")
    return scores


@cache
def load_embeddings(path: Path) -> NDArray[np.float64]:
    """Read embeddings, a .npy array with a vector for each record: (n, d).

    Raises:
        UsageError: the file cannot be read, or holds something else.
    """
    try:
        vectors = np.asarray(np.load(path, mmap_mode="r"), dtype=np.float64)
    except OSError as error:
        raise UsageError(f"cannot read the embeddings in {path}: {error.strerror}") from None
    except (ValueError, TypeError, EOFError) as error:
        raise UsageError(f"{path} is not a .npy array of numbers: {error}") from None
    if vectors.ndim != 2:
        raise UsageError(f"{path} must hold an array of (records, dimensions), not {vectors.shape}")
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise UsageError(f"{path} has a vector that is not finite, the first for record {row + 1}")
    return vectors
