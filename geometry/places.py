"""Which regions are the same place: found twice at once, or found again in a later round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .density import Region
from .neighbours import Indices, Vectors

SAME_PLACE = 0.9  # cosine of two centres from which they are one place


def merged(regions: Sequence[Region], bound: float = SAME_PLACE) -> list[Region]:
    """Merge each region into the first one before it whose centre is at cosine `bound` or above.

    The first keeps its centre, radius and gap, and takes over rows that it did not have.
    """
    kept: list[Region] = []
    for region in regions:
        same = [i for i, other in enumerate(kept) if float(other.centre @ region.centre) >= bound]
        if not same:
            kept.append(region)
            continue
        first = kept[same[0]]
        members = _joined(first.members, region.members)
        kept[same[0]] = replace(
            first,
            members=members,
            wanted=_joined(first.wanted, region.wanted),
            nearby=first.nearby[~np.isin(first.nearby, members)],
        )
    return kept


def found_again(centres: Vectors, known: Vectors, bound: float = SAME_PLACE) -> list[int | None]:
    """For each of (n, d) unit centres, the known one (m, d) that it is, None if it is new.

    Pairs at cosine `bound` or above are matched, the nearest first; each known one at most once.
    """
    found: list[int | None] = [None] * len(centres)
    if len(centres) == 0 or len(known) == 0:
        return found
    cosines = centres @ known.T
    taken: set[int] = set()
    for flat in np.argsort(-cosines, axis=None, kind="stable"):
        i, j = divmod(int(flat), len(known))
        if cosines[i, j] < bound:
            break
        if found[i] is None and j not in taken:
            found[i] = j
            taken.add(j)
    return found


def _joined(first: Indices, second: Indices) -> Indices:
    return np.append(first, second[~np.isin(second, first)])
