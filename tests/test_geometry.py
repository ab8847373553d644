from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from lift_agent.geometry.coverage import (
    cell_hit_rate,
    coverage_radius,
    near_duplicate_pairs,
    novel_sum,
    rarity,
    vendi_score,
)
from lift_agent.geometry.density import SparseSubspace, sparse_subspaces, subspace_count
from lift_agent.geometry.duplicates import duplicate_candidates, graph_candidates
from lift_agent.geometry.neighbours import Cells, Vectors, nearest, nearest_others, unit
from lift_agent.geometry.selection import percentile_ranks, select
from lift_agent.geometry.variance import (
    length_cap,
    principal_coordinates,
    row_variance,
    varied_rows,
)

NEAR = 1e-5  # float32 similarities against float64 ones
EMPTY = np.empty((0, 4), dtype=np.float32)

fuzz = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**32 - 1)
thresholds = st.sampled_from([0.3, 0.7, 0.9])


def cloud(seed: int, rows: int, width: int = 6) -> Vectors:
    """Random unit vectors: no two alike, no two similarities equal."""
    return unit(np.random.default_rng(seed).normal(size=(rows, width)))


@st.composite
def clouds(draw: st.DrawFn, least: int = 1, most: int = 40, copies: bool = True) -> Vectors:
    """Random unit vectors; with `copies`, some may be exact copies of others."""
    n = draw(st.integers(least, most))
    vectors = cloud(draw(seeds), n, draw(st.integers(3, 8)))
    if not copies or draw(st.booleans()):
        return vectors
    return vectors[draw(st.lists(st.integers(0, n - 1), min_size=n, max_size=n))]


@st.composite
def split_clouds(draw: st.DrawFn) -> tuple[Vectors, Vectors]:
    """A cloud in two parts, either of which may be empty."""
    vectors = draw(clouds(most=60))
    cut = draw(st.integers(0, len(vectors)))
    return vectors[:cut], vectors[cut:]


def cosines(one: Vectors, other: Vectors) -> Any:
    return one.astype(np.float64) @ other.astype(np.float64).T


# neighbours -------------------------------------------------------------------------------


@pytest.mark.parametrize("entries", [1, 50, 16_000_000])
@fuzz
@given(split_clouds(), st.integers(0, 70))
def test_nearest_equals_a_brute_force_sort(
    entries: int, parts: tuple[Vectors, Vectors], k: int
) -> None:
    queries, data = parts
    similarities, indices = nearest(queries, data, k, block_entries=entries)
    exact, k = cosines(queries, data), min(k, len(data))
    assert similarities.shape == indices.shape == (len(queries), k)
    assert all(len(set(row)) == k for row in indices.tolist())
    np.testing.assert_allclose(similarities, np.sort(exact, axis=1)[:, ::-1][:, :k], atol=NEAR)
    np.testing.assert_allclose(similarities, np.take_along_axis(exact, indices, 1), atol=NEAR)
    falls, rises = np.diff(similarities, axis=1) < 0, np.diff(indices, axis=1) > 0
    assert (falls | ((similarities[:, 1:] == similarities[:, :-1]) & rises)).all()


@fuzz
@given(seeds, st.integers(1, 40), st.integers(1, 40))
def test_nearest_names_the_rows_of_the_sort(seed: int, n: int, k: int) -> None:
    vectors = cloud(seed, n + 3)
    exact = cosines(vectors[:3], vectors[3:])
    _, indices = nearest(vectors[:3], vectors[3:], k)
    expected = np.argsort(-exact, axis=1)[:, :k]
    found, sorted_ = (np.take_along_axis(exact, rows, axis=1) for rows in (indices, expected))
    np.testing.assert_allclose(found, sorted_, rtol=0, atol=1e-6)
    if (np.diff(np.sort(exact, axis=1)) > 1e-6).all():  # float32 tells no closer ones apart
        np.testing.assert_array_equal(indices, expected)


@fuzz
@given(clouds(), st.integers(1, 45))
def test_no_row_is_its_own_neighbour(vectors: Vectors, k: int) -> None:
    similarities, indices = nearest_others(vectors, k)
    n = len(vectors)
    assert similarities.shape == indices.shape == (n, min(k, n - 1))
    assert (indices != np.arange(n)[:, None]).all()
    assert all(len(set(row)) == len(row) for row in indices.tolist())
    others = cosines(vectors, vectors)
    np.fill_diagonal(others, -np.inf)
    expected = np.sort(others, axis=1)[:, ::-1][:, : min(k, n - 1)]
    np.testing.assert_allclose(similarities, expected, atol=NEAR)


@pytest.mark.parametrize("n", [2, 30])
def test_among_exact_copies_no_row_is_its_own_neighbour(n: int) -> None:
    _, indices = nearest_others(np.repeat(cloud(0, 1), n, axis=0), 4)
    assert (indices != np.arange(n)[:, None]).all()


def test_unit_rows_have_length_one_and_zero_rows_stay() -> None:
    scaled = unit(np.array([[3.0, 4.0], [0.0, 0.0], [-1e-9, 0.0]]))
    np.testing.assert_allclose(scaled, [[0.6, 0.8], [0, 0], [-1, 0]], rtol=1e-6)
    assert scaled.dtype == np.float32


# density ----------------------------------------------------------------------------------


def planted(seed: int) -> tuple[Vectors, range, int]:
    """Four dense clusters, a thin one, and a lone outlier: vectors, the thin rows, the outlier."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(24, 24)))[0]
    dense = np.concatenate([axis + 0.06 * rng.normal(size=(60, 24)) for axis in axes[:4]])
    thin = axes[4] + 0.15 * rng.normal(size=(15, 24))
    return unit(np.concatenate([dense, thin, axes[5:6]])), range(240, 255), 255


@pytest.mark.parametrize("seed", range(8))
def test_the_thin_cluster_is_found_and_the_outlier_is_not(seed: int) -> None:
    vectors, thin, outlier = planted(seed)
    subspaces = sparse_subspaces(vectors, 5)
    first = subspaces[0].members.tolist()
    assert subspaces[0].anchor in thin
    assert sum(row in thin for row in first) > len(first) / 2
    assert outlier not in [subspace.anchor for subspace in subspaces]


@fuzz
@given(clouds(least=3), st.integers(1, 6), st.integers(1, 12))
def test_subspaces_are_what_they_say(vectors: Vectors, count: int, k: int) -> None:
    subspaces = sparse_subspaces(vectors, count, k)
    similarities, named = nearest_others(vectors, k)
    thin = rarity(similarities)
    named_by = np.bincount(named.ravel(), minlength=len(vectors))
    supported = named_by >= min(k, len(vectors) - 1) / 2
    assert 1 <= len(subspaces) <= count
    assert (np.diff([subspace.gap for subspace in subspaces]) <= 0).all()
    anchors = [subspace.anchor for subspace in subspaces]
    assert supported[anchors].all() or not supported.any()
    for place, subspace in enumerate(subspaces):
        away = 1 - cosines(vectors, subspace.centre)
        inside = np.zeros(len(vectors), dtype=bool)
        inside[subspace.members] = True
        assert subspace.gap == thin[subspace.anchor]
        assert (away[inside] <= subspace.radius + NEAR).all()
        assert (away[~inside] > subspace.radius - NEAR).all()
        assert not inside[subspace.nearby].any()
        assert len(subspace.nearby) <= 5
        assert (thin[subspace.nearby] <= np.median(thin)).all()
        assert not inside[anchors[place + 1 :]].any()
        for rows in (subspace.members, subspace.nearby):
            assert (np.diff(away[rows]) >= -NEAR).all()


@fuzz
@given(clouds(least=3))
def test_subspaces_are_deterministic(vectors: Vectors) -> None:
    def facts(subspace: SparseSubspace) -> tuple[object, ...]:
        arrays = (subspace.centre, subspace.members, subspace.nearby)
        numbers = (subspace.anchor, subspace.radius, subspace.gap)
        return (*numbers, *(array.tolist() for array in arrays))

    first, second = (list(map(facts, sparse_subspaces(vectors.copy(), 4))) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("vectors", "most"),
    [
        (EMPTY, 0),
        (cloud(0, 2), 0),
        (np.repeat(cloud(0, 1), 20, axis=0), 4),
        (unit(np.array([[1, 0], [-1, 0]] * 5)), 4),
    ],
    ids=["none", "two", "copies", "opposites"],
)
def test_degenerate_rows_have_few_subspaces(vectors: Vectors, most: int) -> None:
    assert len(sparse_subspaces(vectors, 4)) <= most


@pytest.mark.parametrize(("rows", "count"), [(0, 1), (1, 1), (100, 5), (10**6, 32)])
def test_region_count(rows: int, count: int) -> None:
    assert subspace_count(rows) == count


# coverage ---------------------------------------------------------------------------------


@fuzz
@given(clouds(), st.randoms(use_true_random=False))
def test_vendi_score_counts_what_differs(vectors: Vectors, rng: Any) -> None:
    score = vendi_score(vectors)
    shuffled = rng.sample(range(len(vectors)), len(vectors))
    assert 1 - NEAR <= score <= min(vectors.shape) + NEAR
    assert vendi_score(vectors[shuffled]) == pytest.approx(score)
    assert vendi_score(np.repeat(vectors, 2, axis=0)) == pytest.approx(score)


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_vendi_score_at_its_ends(n: int) -> None:
    assert vendi_score(np.repeat(cloud(n, 1), n, axis=0)) == pytest.approx(1, abs=NEAR)
    assert vendi_score(np.eye(n, 50, dtype=np.float32)) == pytest.approx(n)


@fuzz
@given(clouds(least=2), st.integers(1, 40), st.randoms(use_true_random=False))
def test_coverage_radius(pool: Vectors, count: int, rng: Any) -> None:
    rows = rng.sample(range(len(pool)), min(count, len(pool)))
    chosen = pool[rows]
    nearest_chosen = (1 - cosines(pool, chosen)).min(axis=1)
    radius = pytest.approx(coverage_radius(pool, chosen), abs=NEAR)
    assert radius == (nearest_chosen.mean(), np.percentile(nearest_chosen, 99))
    assert coverage_radius(pool, pool) == pytest.approx((0, 0), abs=NEAR)
    assert coverage_radius(pool[::-1], chosen[::-1]) == radius
    assert coverage_radius(pool, chosen[[*range(len(rows)), 0]]) == radius  # a duplicate
    wider = pool[[*rows, rng.randrange(len(pool))]]
    assert coverage_radius(pool, wider)[0] <= coverage_radius(pool, chosen)[0] + NEAR


@fuzz
@given(clouds(least=4, copies=False), st.randoms(use_true_random=False))
def test_novel_sum_is_its_definition(vectors: Vectors, rng: Any) -> None:
    n = len(vectors)
    rare = rarity(nearest_others(vectors, 3)[0])
    distances = 1 - cosines(vectors, vectors)
    novelty = []
    for i in range(n):
        others = sorted((j for j in range(n) if j != i), key=lambda j: distances[i, j])
        weights = [1 / rank for rank in range(1, n)]
        aware = [distances[i, j] / math.sqrt(rare[j]) for j in others]
        novelty.append(np.average(aware, weights=weights))
    assert novel_sum(vectors, rare) == pytest.approx(np.mean(novelty), rel=1e-4)
    order = np.asarray(rng.sample(range(n), n))
    assert novel_sum(vectors[order], rare[order]) == pytest.approx(np.mean(novelty), rel=1e-4)


@fuzz
@given(clouds(least=2, most=60), st.integers(1, 20), st.randoms(use_true_random=False))
def test_cell_hit_rate(vectors: Vectors, count: int, rng: Any) -> None:
    cells = Cells.of(vectors)
    assert sorted(cells.rows) == list(range(len(vectors)))
    rows = np.asarray(rng.sample(range(len(vectors)), min(count, len(vectors))))
    rate = cell_hit_rate(cells, rows)
    assert 0 < rate <= cell_hit_rate(cells, np.append(rows, rng.randrange(len(vectors)))) <= 1
    assert cell_hit_rate(cells, np.append(rows, rows[0])) == rate  # a duplicate
    assert cell_hit_rate(cells, rows[::-1]) == rate
    assert cell_hit_rate(cells, np.arange(len(vectors))) == 1


@fuzz
@given(clouds(least=2, most=60), st.integers(2, 30), st.randoms(use_true_random=False))
def test_no_measure_depends_on_the_order_and_no_duplicate_adds_coverage(
    pool: Vectors, count: int, rng: Any
) -> None:
    rows = np.asarray(rng.sample(range(len(pool)), min(count, len(pool))))
    rare, cells = rarity(nearest_others(pool, 10)[0]), Cells.of(pool)

    def measures(rows: Any) -> list[float]:
        chosen = pool[rows]
        distance, far = coverage_radius(pool, chosen)
        covered = [cell_hit_rate(cells, rows), -distance, -far]
        repeated = near_duplicate_pairs(chosen, 0.5 + NEAR)
        return [*covered, vendi_score(chosen), novel_sum(chosen, rare[rows]), repeated]

    shuffled = np.asarray(rng.sample(rows.tolist(), len(rows)))
    before = measures(rows)
    assert measures(shuffled) == pytest.approx(before, rel=1e-3, abs=NEAR)
    again = measures(np.append(rows, rng.choice(rows.tolist())))
    assert again[:3] == pytest.approx(before[:3], abs=NEAR)
    assert again[5] > before[5]


def test_measures_of_nothing() -> None:
    some = cloud(0, 3, 4)
    assert vendi_score(EMPTY) == 0
    assert near_duplicate_pairs(EMPTY, 0.5) == 0
    assert coverage_radius(EMPTY, some) == (0, 0)
    assert coverage_radius(some, EMPTY) == (1, 1)
    assert novel_sum(EMPTY, np.empty(0)) == 0


@pytest.mark.parametrize(("n", "copies"), [(1, 1), (200, 1), (700, 3)])
@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_near_duplicate_pairs_equals_brute_force(n: int, copies: int, threshold: float) -> None:
    vectors = np.tile(cloud(n, n, 4), (copies, 1))
    similar = cosines(vectors, vectors) >= threshold
    assert near_duplicate_pairs(vectors, threshold) == np.triu(similar, 1).sum()


# duplicates -------------------------------------------------------------------------------


@fuzz
@given(split_clouds(), thresholds, st.integers(1, 8))
def test_candidates_are_the_nearest_kept_rows_and_all_earlier_new_ones(
    parts: tuple[Vectors, Vectors], floor: float, most: int
) -> None:
    kept, new = parts
    found = duplicate_candidates(new, kept, floor, most)
    exact = cosines(new, np.concatenate([kept, new]))
    assert len(found) == len(new)
    for i, (index, cosine) in enumerate(found):
        np.testing.assert_allclose(cosine, exact[i, index], atol=NEAR)
        assert (np.diff(cosine) <= 0).all()
        assert len(set(index.tolist())) == len(index)
        old, own = exact[i, : len(kept)], exact[i, len(kept) : len(kept) + i]
        for side, values, limit in ((index < len(kept), old, most), (index >= len(kept), own, i)):
            # Those at the floor itself may fall to either side of it by rounding.
            sure, likely = (values >= floor + NEAR).sum(), (values >= floor - NEAR).sum()
            assert min(sure, limit) <= side.sum() <= min(likely, limit)
            best = np.sort(values)[::-1][: side.sum()]
            np.testing.assert_allclose(cosine[side], best, atol=NEAR)


@fuzz
@given(clouds(least=2, most=40), thresholds, st.randoms(use_true_random=False))
def test_in_a_whole_graph_candidates_are_those_of_the_blocks(
    vectors: Vectors, threshold: float, rng: Any
) -> None:
    n = len(vectors)
    stay = sorted(rng.sample(range(n - 1), rng.randint(0, n - 1)))
    open_rows = np.zeros(n, dtype=bool)
    open_rows[[*stay, n - 1]] = True
    [(ids, cosines_)] = graph_candidates(nearest_others(vectors, n), [n - 1], open_rows, threshold)
    [(places, same)] = duplicate_candidates(vectors[n - 1 :], vectors[stay], threshold, n)
    assert sorted(ids) == sorted(np.asarray(stay, dtype=int)[places])
    assert cosines_ == pytest.approx(same, abs=NEAR)


# selection --------------------------------------------------------------------------------


@st.composite
def choices(draw: st.DrawFn, most: int = 25) -> dict[str, Any]:
    """The arguments of a choice: generic rows and qualities, some of them capped."""
    n = draw(st.integers(1, most))
    rng = np.random.default_rng(draw(seeds))
    return {
        "vectors": unit(rng.normal(size=(n, draw(st.integers(3, 6))))),
        "quality": rng.random(n),
        "count": draw(st.integers(1, n + 2)),
        "quality_weight": draw(st.sampled_from([0.0, 0.3, 0.9, 1.0])),
        "capped": rng.random(n) < draw(st.sampled_from([0.0, 0.5, 1.0])),
        "cap": draw(st.integers(0, n)),
    }


def allowed(chosen: list[int], choice: dict[str, Any]) -> bool:
    return bool(choice["capped"][chosen].sum() <= choice["cap"])


@fuzz
@given(choices())
def test_the_choice_has_its_size_and_keeps_the_cap(choice: dict[str, Any]) -> None:
    chosen = select(**choice).order
    free, held = (~choice["capped"]).sum(), choice["capped"].sum()
    assert len(chosen) == len(set(chosen)) == min(choice["count"], free + min(held, choice["cap"]))
    assert allowed(chosen, choice)


@fuzz
@given(choices())
def test_quality_alone_takes_the_best_rows(choice: dict[str, Any]) -> None:
    uncapped = choice | {"quality_weight": 1.0, "cap": len(choice["vectors"])}
    best = np.argsort(-choice["quality"])[: choice["count"]]
    assert select(**uncapped).order == best.tolist()


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_ties_go_to_the_lower_index(weight: float) -> None:
    uncapped = {"capped": np.zeros(6, dtype=bool), "cap": 6}
    vectors, quality = np.eye(6, dtype=np.float32), np.full(6, 0.5)
    assert sorted(select(vectors, quality, 4, weight, **uncapped).order) == [0, 1, 2, 3]


@fuzz
@given(choices(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(choice: dict[str, Any], rng: Any) -> None:
    found = select(**choice)
    order = np.asarray(rng.sample(range(len(choice["vectors"])), len(choice["vectors"])))
    moved = choice | {name: choice[name][order] for name in ("vectors", "quality", "capped")}
    again = select(**moved).order
    assert len(again) == len(found.order)
    if not (np.abs(found.margins[found.order]) < 1e-9).any():  # ties go to the lower index
        assert sorted(order[again]) == sorted(found.order)


@fuzz
@given(st.integers(3, 12), st.integers(1, 4), seeds)
def test_copies_come_last(distinct: int, copies: int, seed: int) -> None:
    vectors = np.concatenate([cloud(seed, distinct, width=16)] * (copies + 1))
    n = len(vectors)
    chosen = select(
        vectors, np.zeros(n), distinct, 0.0, capped=np.zeros(n, dtype=bool), cap=0
    ).order
    assert len({i % distinct for i in chosen}) == distinct


@fuzz
@given(choices())
def test_rows_close_to_chosen_ones_are_taken_only_for_want_of_others(
    choice: dict[str, Any],
) -> None:
    choice["quality_weight"] = min(choice["quality_weight"], 0.9)
    chosen = select(**choice, min_separation=0.9).order
    vectors, capped = choice["vectors"], choice["capped"]
    if near_duplicate_pairs(vectors[chosen], 0.9):
        left = np.ones(len(vectors), dtype=bool)
        left[chosen] = False
        if capped[chosen].sum() == choice["cap"]:
            left &= ~capped
        assert ((vectors[left] @ vectors[chosen].T).max(axis=1, initial=-1) >= 0.9).all()


def test_a_dense_place_gets_one_row_while_others_are_left() -> None:
    rng = np.random.default_rng(0)
    alike = unit(cloud(1, 1, width=32) + 0.02 * rng.normal(size=(60, 32)))
    vectors = np.concatenate([alike, cloud(2, 60, width=32)])
    none = np.zeros(len(vectors), dtype=bool)
    arguments = {"capped": none, "cap": 0, "min_separation": 0.9}
    chosen = select(vectors, rng.random(len(vectors)), 30, 0.5, **arguments).order
    assert sum(i < 60 for i in chosen) == 1


def clusters(seed: int, sizes: list[int], width: int = 32) -> tuple[Vectors, Any]:
    """Unit vectors around random centres, and the number of each one's centre."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(sizes)), sizes)
    centres = unit(rng.normal(size=(len(sizes), width)))
    return unit(centres[label] + 0.12 * rng.normal(size=(len(label), width))), label


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_a_choice_beats_chance_on_every_measure_at_once(weight: float) -> None:
    vectors, label = clusters(3, [400, 200, 100, 60, 30, 20, 10, 10, 6, 4])
    n, count = len(vectors), 60
    quality = np.random.default_rng(4).random(n)
    none = np.zeros(n, dtype=bool)
    chosen = np.asarray(select(vectors, quality, count, weight, capped=none, cap=0).order)
    rare = rarity(nearest_others(vectors, 10)[0])
    rng = np.random.default_rng(5)
    random = [rng.choice(n, count, replace=False) for _ in range(5)]

    def measures(rows: Any) -> list[float]:
        return [
            novel_sum(vectors[rows], rare[rows]),
            vendi_score(vectors[rows]),
            -coverage_radius(vectors, vectors[rows])[0],
            len(set(label[rows])),
        ]

    chance = np.mean([measures(rows) for rows in random], axis=0)
    assert (np.asarray(measures(chosen)) > chance).all()
    if weight:
        assert quality[chosen].mean() > quality.mean() + 0.1


@pytest.mark.parametrize("cap", [0, 20, 500])
def test_a_large_pool_is_thinned_and_still_filled(cap: int) -> None:
    vectors, label = clusters(6, [1500, 300, 150, 40, 10])
    n = len(vectors)
    capped = np.random.default_rng(7).random(n) < 0.97
    quality = np.zeros(n)
    chosen = select(vectors, quality, 50, 0.0, capped=capped, cap=cap, exact_limit=200).order
    assert len(chosen) == len(set(chosen)) == min(50, cap + int((~capped).sum()))
    assert int(capped[chosen].sum()) <= cap
    if cap == 500:
        assert set(label[chosen]) == set(range(5))


@pytest.mark.parametrize(
    ("exact", "weight", "separation", "cap", "digest"),
    [
        (50_000, 0.0, 1.0, 150, "6d40f454ef33"),
        (50_000, 0.5, 0.85, 40, "47c1e04b5ba8"),
        (50_000, 0.8, 0.8, 10, "1068809d31ac"),
        (400, 0.0, 1.0, 150, "9f6021d4c270"),
        (400, 0.5, 0.85, 40, "8a749f965f93"),
        (400, 0.8, 0.8, 10, "b029ebc04cc5"),
    ],
)
def test_the_same_rows_are_chosen_in_every_version(
    exact: int, weight: float, separation: float, cap: int, digest: str
) -> None:
    vectors, _ = clusters(3, [400, 200, 100, 60, 30, 20, 10, 10, 6, 4])
    rng = np.random.default_rng(4)
    quality, capped = rng.random(len(vectors)), rng.random(len(vectors)) < 0.5
    order = select(
        vectors,
        quality,
        100,
        weight,
        capped=capped,
        cap=cap,
        min_separation=separation,
        exact_limit=exact,
    ).order
    assert hashlib.sha256(" ".join(map(str, order)).encode()).hexdigest()[:12] == digest


@pytest.mark.slow
def test_cells_find_nearly_all_neighbours() -> None:
    vectors, _ = clusters(8, [500] * 12)
    exact = nearest_others(vectors, 10)[1]
    found = nearest_others(vectors, 10, exact_limit=10, probes=1500)[1]
    shared = [len(set(a) & set(b)) for a, b in zip(exact, found, strict=True)]
    assert np.mean(shared) > 9.5
    assert not (found == np.arange(len(vectors))[:, None]).any()


@fuzz
@given(st.lists(st.floats(-100, 100) | st.integers(0, 3).map(float)))
def test_percentile_ranks(values: list[float]) -> None:
    ranks = percentile_ranks(np.asarray(values, dtype=np.float64))
    assert ((ranks >= 0) & (ranks <= 1)).all()
    for (a, rank_a), (b, rank_b) in combinations(zip(values, ranks, strict=True), 2):
        assert (a < b, a == b) == (rank_a < rank_b, rank_a == rank_b)
    if len(values) > 1:
        assert ranks.mean() == pytest.approx(0.5)


# variance ---------------------------------------------------------------------------------

SHAPES = [(40, 5), (12, 30), (300, 40)]


def data(n: int, d: int, rank: int = 4) -> Any:
    """Correlated columns on different scales."""
    rng = np.random.default_rng(n * d)
    low = rng.normal(size=(n, rank)) @ rng.normal(size=(rank, d))
    return (low + 0.5 * rng.normal(size=(n, d))) * rng.uniform(0.1, 50, d) + rng.normal(size=d)


@pytest.mark.parametrize("share", [0.3, 0.95, 0.999])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_fewest_components_that_reach_the_share(shape: tuple[int, int], share: float) -> None:
    x = data(*shape)
    u, s, _ = np.linalg.svd((x - x.mean(axis=0)) / x.std(axis=0), full_matrices=False)
    explained = np.cumsum(s**2) / np.sum(s**2)
    fewest = next(c for c, reached in enumerate(explained, 1) if reached >= share)
    coordinates = principal_coordinates(x, share)
    assert coordinates.shape == (shape[0], fewest)
    np.testing.assert_allclose(np.abs(coordinates), np.abs(u * s)[:, :fewest], atol=1e-8)


def test_a_share_that_is_reached_exactly_needs_no_further_component() -> None:
    pair = np.array([[1, 1], [1, -1]])
    hadamard = pair
    for _ in range(4):
        hadamard = np.kron(hadamard, pair)
    twenty = hadamard[:, 1:21]  # uncorrelated columns of variance 1: 5% each
    assert principal_coordinates(twenty, 0.95).shape == (32, 19)


@pytest.mark.parametrize("shape", SHAPES)
def test_row_variance_is_that_of_the_published_procedure(shape: tuple[int, int]) -> None:
    """A row's variance depends on the signs of the components, which scikit-learn settles."""
    z = StandardScaler().fit_transform(data(*shape))
    expected = PCA(0.95, svd_solver="full").fit_transform(z).var(axis=1)
    np.testing.assert_allclose(row_variance(data(*shape)), expected, rtol=1e-8)


@pytest.mark.parametrize(
    "moved",
    [lambda x: x[::-1], lambda x: x[:, ::-1][::-1], lambda x: (x * 3 - 1)[::-1]],
    ids=["rows", "columns", "scale"],
)
def test_row_variance_does_not_depend_on(moved: Callable[[Any], Any]) -> None:
    for shape in SHAPES:
        x = data(*shape)
        np.testing.assert_allclose(row_variance(moved(x))[::-1], row_variance(x), rtol=1e-8)


@pytest.mark.parametrize("constant", [0.0, 0.1, -3.7, 1e6 + 0.1])
@pytest.mark.parametrize("shape", SHAPES)
def test_constant_columns_are_harmless(shape: tuple[int, int], constant: float) -> None:
    x = data(*shape)
    column = np.full(len(x), constant)
    wider = np.column_stack([x, column, column])
    assert principal_coordinates(wider).shape == principal_coordinates(x).shape
    np.testing.assert_allclose(
        np.abs(principal_coordinates(wider)), np.abs(principal_coordinates(x)), atol=1e-8
    )
    alike = np.repeat(column[:, None], 3, axis=1)
    assert not varied_rows(alike).any()


@pytest.mark.parametrize("percentile", [0, 37.5, 80, 100])
@pytest.mark.parametrize("shape", [*SHAPES, (101, 8)])
def test_varied_rows_are_strictly_above_the_percentile(
    shape: tuple[int, int], percentile: float
) -> None:
    variance = row_variance(data(*shape))
    place = percentile / 100 * (len(variance) - 1)
    low, high = np.sort(variance)[[math.floor(place), math.ceil(place)]]
    threshold = low + (high - low) * (place - math.floor(place))
    np.testing.assert_array_equal(varied_rows(data(*shape), percentile), variance > threshold)


@pytest.mark.parametrize("seed", range(20))
def test_exact_copies_at_the_percentile_share_its_fate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tame, copied, wild = (rng.normal(size=(n, 16)) for n in (121, 1, 20))
    x = np.concatenate([tame * 0.3, np.repeat(copied, 62, axis=0), wild * 3])
    order = rng.permutation(len(x))
    copies = (order >= 121) & (order < 183)
    assert not varied_rows(x[order])[copies].any()


@pytest.mark.parametrize(
    ("lengths", "cap"),
    [([], 1), ([0, 0], 1), ([7], 7), (range(101), 98), ([10, 20], 19.8)],
)
def test_length_cap(lengths: list[int], cap: float) -> None:
    assert length_cap(np.asarray(lengths, dtype=np.int64)) == pytest.approx(cap)
