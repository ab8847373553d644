"""Where generated rows came down, and how near the rows come to their subspaces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_agent.geometry.duplicates import is_copy
from lift_agent.geometry.landing import landed_by_radius, landing_distances
from lift_agent.geometry.neighbours import unit
from lift_agent.geometry.subspaces import proximity


def cloud(seed, rows, width=48):
    return unit(np.random.default_rng(seed).normal(size=(rows, width)))


@given(st.integers(0, 10**6), st.integers(0, 30))
def test_a_landing_distance_is_the_cosine_distance_and_the_same_bits_alone(seed, count):
    rows, centres = cloud(seed, count), cloud(seed + 1, count)
    found = landing_distances(rows, centres)
    assert found.shape == (count,)
    exact = 1 - np.sum(rows.astype(np.float64) * centres, axis=1)
    assert found == pytest.approx(exact, abs=1e-6)
    for i in range(count):
        assert landing_distances(rows[i : i + 1], centres[i : i + 1])[0] == found[i]


def test_a_row_at_the_radius_has_landed():
    distances = np.array([0.1, 0.2, 0.3])
    assert landed_by_radius(distances, np.array([0.2, 0.2, 0.2])).tolist() == [True, True, False]


def test_a_copy_is_above_the_bound_to_any_original():
    originals = np.eye(3, dtype=np.float32)
    near = unit(np.array([0.0, 1.0, 0.3]))
    assert is_copy(near, originals, 0.9)
    assert not is_copy(near, originals[[0, 2]], 0.9)
    assert not is_copy(originals[0], originals, 1.0)  # not above it
    assert not is_copy(near, originals[:0], 0.0)


@given(st.integers(0, 10**6), st.integers(0, 40), st.integers(0, 40), st.integers(1, 5))
def test_proximity_is_the_mean_cosine_of_the_nearest_rows(seed, before, new, count):
    rows, centres = cloud(seed, before + new), cloud(seed + 1, count)
    earlier = np.arange(before + new) < before
    found = proximity(rows, centres, earlier, k=10)
    for some, values in zip((rows[:before], rows), found, strict=True):
        cosines = np.sort(some.astype(np.float64) @ centres.T, axis=0)[-10:]
        expected = cosines.mean(axis=0) if len(some) else np.zeros(count)
        assert values == pytest.approx(expected, abs=1e-6)
    if before >= 10:
        assert (found[1] >= found[0] - 1e-6).all()  # more rows do not take a subspace away
