"""Regions of a reference that the data lacks, and what lands in them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lift_agent.geometry.density import SparseSubspace, shortfall, underrepresented_subspaces
from lift_agent.geometry.landing import landed_by_vote
from lift_agent.geometry.neighbours import Vectors, unit

WIDTH = 24
NEAR = 1e-5
EMPTY = np.empty((0, WIDTH), dtype=np.float32)

fuzz = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def topics(seed: int, sizes: list[int]) -> tuple[Vectors, np.ndarray]:
    """Rows about as many axes as there are sizes: unit vectors and the axis of each."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(WIDTH, WIDTH)))[0]
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return unit(axes[labels] + 0.15 * rng.normal(size=(len(labels), WIDTH))), labels


def holed(seed: int, left: int = 4) -> tuple[Vectors, np.ndarray, Vectors, np.ndarray]:
    """A reference of five topics, and data in which the last has `left` rows of 200."""
    reference, wanted = topics(seed, [40] * 5)
    data, labels = topics(seed + 1, [200] * 4 + [left])
    return reference, wanted, data, labels


def facts(subspace: SparseSubspace) -> tuple[object, ...]:
    return (
        subspace.anchor,
        subspace.gap,
        subspace.radius,
        subspace.density,
        subspace.wanted_density,
        subspace.centre.tolist(),
        subspace.members.tolist(),
        subspace.wanted.tolist(),
        subspace.nearby.tolist(),
    )


@pytest.mark.parametrize("left", [0, 4, 40])
@pytest.mark.parametrize("seed", range(6))
def test_a_hole_is_found_first_and_nothing_else(seed: int, left: int) -> None:
    reference, wanted, data, labels = holed(10 * seed, left)
    first, *rest = underrepresented_subspaces(reference, data, 10)
    assert wanted[first.anchor] == 4
    assert (wanted[first.wanted] == 4).all()
    assert (labels[first.members] == 4).all()
    assert (labels[first.nearby] != 4).all()
    assert first.density < first.wanted_density / 2
    assert len(rest) <= 1


def test_two_holes_are_two_subspaces() -> None:
    reference, wanted = topics(0, [40] * 6)
    data, _ = topics(1, [200] * 4 + [5, 5])
    found = [
        int(wanted[subspace.anchor]) for subspace in underrepresented_subspaces(reference, data, 10)
    ]
    assert sorted(found[:2]) == [4, 5]


@fuzz
@given(seeds, st.integers(1, 12), st.integers(1, 12))
def test_subspaces_are_what_they_say(seed: int, count: int, k: int) -> None:
    reference, _, data, _ = holed(seed % 10**6)
    subspaces = underrepresented_subspaces(reference, data, count, k)
    assert len(subspaces) <= count
    assert (np.diff([subspace.gap for subspace in subspaces]) <= 0).all()
    assert sum(subspace.wanted_density for subspace in subspaces) <= 1 + NEAR
    for subspace in subspaces:
        assert np.linalg.norm(subspace.centre) == pytest.approx(1, abs=NEAR)
        assert 0 <= subspace.density < subspace.wanted_density <= 1
        for vectors, inside in ((data, subspace.members), (reference, subspace.wanted)):
            away = 1 - vectors @ subspace.centre
            out = np.setdiff1d(np.arange(len(vectors)), inside)
            assert (away[inside] <= subspace.radius + NEAR).all()
            assert (away[out] >= subspace.radius - NEAR).all()
            assert (np.diff(away[inside]) >= -NEAR).all()
        assert not np.isin(subspace.nearby, subspace.members).any()
        assert len(subspace.nearby) <= 5


@fuzz
@given(seeds)
def test_order_changes_nothing_but_indices(seed: int) -> None:
    reference, _, data, _ = holed(seed % 10**6)
    rng = np.random.default_rng(seed)
    of_reference, of_data = rng.permutation(len(reference)), rng.permutation(len(data))
    before = underrepresented_subspaces(reference, data, 10)
    after = underrepresented_subspaces(reference[of_reference], data[of_data], 10)
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        assert one.anchor == of_reference[other.anchor]
        assert one.gap == pytest.approx(other.gap)
        np.testing.assert_allclose(one.centre, other.centre, atol=NEAR)
        assert set(one.members) == set(of_data[other.members])
        assert set(one.wanted) == set(of_reference[other.wanted])


def test_subspaces_are_deterministic() -> None:
    reference, _, data, _ = holed(0)
    assert [*map(facts, underrepresented_subspaces(reference, data, 5))] == [
        *map(facts, underrepresented_subspaces(reference.copy(), data.copy(), 5))
    ]


@pytest.mark.parametrize("seed", range(6))
def test_copies_of_dense_rows_make_no_region(seed: int) -> None:
    reference, wanted, data, labels = holed(10 * seed)
    copies = np.repeat(data[labels == 0][:5], 100, axis=0)
    subspaces = underrepresented_subspaces(reference, np.concatenate([data, copies]), 10)
    assert [wanted[subspace.anchor] for subspace in subspaces[:1]] == [4]
    assert len(subspaces) <= 2


def test_copies_in_the_reference_count_once() -> None:
    reference, _, data, _ = holed(0)
    copied = np.concatenate([reference, np.repeat(reference[:3], 50, axis=0)])
    gaps = [subspace.gap for subspace in underrepresented_subspaces(copied, data, 10)]
    assert gaps == [subspace.gap for subspace in underrepresented_subspaces(reference, data, 10)]


@pytest.mark.parametrize("where", ["data", "reference", "both"])
@pytest.mark.parametrize("seed", range(4))
def test_noise_anchors_nothing(seed: int, where: str) -> None:
    reference, wanted, data, _ = holed(10 * seed)
    noise = unit(np.random.default_rng(seed).normal(size=(24, WIDTH)))
    if where != "data":
        reference = np.concatenate([reference, noise[:4]])
        wanted = np.append(wanted, [-1] * 4)
    if where != "reference":
        data = np.concatenate([data, noise[4:]])
    anchors = [
        wanted[subspace.anchor] for subspace in underrepresented_subspaces(reference, data, 10)
    ]
    assert anchors[0] == 4
    assert -1 not in anchors


def test_what_is_wanted_and_lacking_for_the_most_part_is_found() -> None:
    reference, wanted = topics(0, [40] * 5)
    data, _ = topics(1, [200, 200])
    anchors = {
        int(wanted[subspace.anchor]) for subspace in underrepresented_subspaces(reference, data, 10)
    }
    assert {2, 3, 4} <= anchors
    assert not anchors & {0, 1}


def test_another_style_of_text_makes_no_region() -> None:
    reference, wanted, data, _ = holed(0)
    shifted = unit(reference + 0.3 * unit(np.ones(WIDTH)))
    anchors = [
        wanted[subspace.anchor] for subspace in underrepresented_subspaces(shifted, data, 10)
    ]
    assert anchors[0] == 4
    assert len(anchors) <= 2


@pytest.mark.parametrize("seed", range(6))
def test_a_reference_that_is_the_data_has_no_region(seed: int) -> None:
    data, _ = topics(seed, [80, 60, 40, 20])
    assert underrepresented_subspaces(data, data, 10) == []


@pytest.mark.parametrize(
    ("reference", "data"),
    [
        (EMPTY, topics(0, [30])[0]),
        (topics(0, [30])[0], EMPTY),
        (topics(0, [2])[0], topics(1, [30])[0]),
        (np.repeat(topics(0, [1])[0], 30, axis=0), topics(1, [30])[0]),
    ],
    ids=["no reference", "no data", "two", "copies"],
)
def test_nothing_to_compare_has_no_region(reference: Vectors, data: Vectors) -> None:
    assert underrepresented_subspaces(reference, data, 10) == []


@fuzz
@given(seeds, st.integers(3, 12), st.integers(1, 8), st.integers(1, 30))
def test_fewer_rows_than_k(seed: int, wanted: int, rows: int, k: int) -> None:
    reference, data = topics(seed, [wanted])[0], topics(seed + 1, [rows])[0]
    for subspace in underrepresented_subspaces(reference, data, 3, k):
        assert subspace.gap > 0
        assert subspace.anchor < wanted


def test_shortfall() -> None:
    found, wanted = np.array([50.0, 0, 200, 5, 0]), np.array([10.0, 10, 10, 10, 0])
    gaps = shortfall(found, wanted, 5.0)
    assert gaps[0] == pytest.approx(0, abs=1e-6)
    assert gaps[1] == pytest.approx(np.sqrt(20 * np.log(6)))
    assert gaps[2] < 0 < gaps[3] < gaps[1]
    assert gaps[4] == 0


@pytest.mark.parametrize(("inside", "landed"), [(10, True), (5, True), (4, False), (0, False)])
def test_half_of_the_nearest_decide_what_landed(inside: int, landed: bool) -> None:
    near, far = topics(0, [10])[0], -topics(1, [30])[0]
    belongs = np.zeros(40, dtype=bool)
    belongs[:inside] = True
    belongs[10:] = True
    rows = np.concatenate([near, far])
    assert landed_by_vote(topics(2, [3])[0], rows, belongs).tolist() == [landed] * 3


def test_votes_of_few_rows_and_of_none() -> None:
    rows = topics(0, [3])[0]
    new = topics(1, [2])[0]
    assert landed_by_vote(new, rows, np.array([True, True, False])).tolist() == [True, True]
    assert landed_by_vote(new, EMPTY, np.zeros(0, dtype=bool)).tolist() == [False, False]
    assert landed_by_vote(EMPTY, rows, np.ones(3, dtype=bool)).tolist() == []
