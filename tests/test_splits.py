"""Held-out splits: exact, the same each time, and with nothing alike on both sides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lift_agent.geometry.neighbours import unit
from lift_agent.geometry.splits import held_out, near_groups


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60), st.floats(0.05, 0.9))
def test_no_row_is_near_one_on_the_other_side(seed, count, share):
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(5, 6))
    rows = centres[rng.integers(5, size=count)] + rng.normal(size=(count, 6)) * rng.choice(
        [0.1, 1.0], size=(count, 1)
    )
    vectors = unit(rows)
    groups = near_groups(vectors, 0.9)
    out = held_out(groups, max(1, round(share * count)), seed)
    across = vectors[out] @ vectors[~out].T
    assert across.size == 0 or across.max() < 0.9
    assert np.array_equal(out, held_out(groups, max(1, round(share * count)), seed))


def test_rows_are_grouped_along_chains():
    angles = np.radians([0, 20, 40, 60, 180])
    vectors = unit(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    assert near_groups(vectors, 0.9).tolist() == [0, 0, 0, 0, 4]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=12), st.integers(1, 40))
def test_the_size_is_exact_wherever_whole_groups_can_make_it(sizes, wanted):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    out = held_out(groups, wanted, seed=1)
    sums = {0}
    for size in sizes:
        sums |= {total + size for total in sums}
    assert out.sum() == max(total for total in sums if total <= wanted)
    for group in range(len(sizes)):
        assert out[groups == group].all() or not out[groups == group].any()


def test_every_row_may_be_held_out():
    chosen = sum(held_out(np.arange(20), 5, seed).astype(int) for seed in range(200))
    assert chosen.min() > 20
    assert chosen.max() < 90


@pytest.mark.parametrize("wanted", [1, 500])
def test_one_group_cannot_be_split(wanted):
    assert not held_out(np.zeros(1000, dtype=np.int64), wanted, 0).any()
