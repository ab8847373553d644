"""The measures of a dataset beside others of equal size."""

import numpy as np
import pytest

from lift_agent.geometry.baselines import baselines
from lift_agent.geometry.coverage import (
    CoveragePool,
    cell_hit_rate,
    coverage_radius,
    near_duplicate_pairs,
    novel_sum,
    rarity,
    vendi_score,
)
from lift_agent.geometry.neighbours import Cells, nearest_others, unit
from lift_agent.geometry.variance import row_variance


def cloud(seed, rows, width=16):
    return unit(np.random.default_rng(seed).normal(size=(rows, width)))


@pytest.mark.parametrize("rows", [[0], [3, 7, 7, 120], range(200)])
def test_the_pool_measures_what_each_measure_says(rows):
    vectors, rows = cloud(0, 200), np.asarray(rows)
    found = CoveragePool(vectors, np.random.default_rng(0)).measures(rows, 0.5)
    chosen, rare = vectors[rows], rarity(nearest_others(vectors, 10)[0])
    assert found.rows == len(rows)
    assert found.novelsum == round(novel_sum(chosen, rare[rows]), 4)
    assert found.vendi == round(vendi_score(chosen), 2)
    assert (found.distance, found.distance_p99) == tuple(
        round(value, 4) for value in coverage_radius(vectors, chosen)
    )
    assert found.cells == round(cell_hit_rate(Cells.of(vectors), rows), 4)
    assert found.pairs == near_duplicate_pairs(chosen, 0.5)


def test_large_sets_are_sampled_the_same_each_time():
    vectors, rows = cloud(1, 600), np.arange(300)

    def measured(seed):
        rng = np.random.default_rng(seed)
        pool = CoveragePool(vectors, rng, distance_sample=200, novelty_sample=50)
        return pool.measures(rows, 0.999)

    first, again = measured(5), measured(5)
    assert first == again != measured(6)
    assert first.rows == len(rows)
    assert 0 < first.distance < first.distance_p99


def test_a_single_row_is_a_pool_too():
    found = CoveragePool(cloud(2, 1), np.random.default_rng(0)).measures(np.array([0]), 0.9)
    assert (found.rows, found.novelsum, found.vendi, found.cells, found.pairs) == (1, 0, 1, 1, 0)


def test_baselines_have_the_size_of_the_dataset():
    vectors = cloud(3, 40)
    found = baselines(vectors, 12, np.random.default_rng(0))
    assert list(found) == ["random", "variance"]
    assert all(len(set(rows.tolist())) == 12 for rows in found.values())
    assert set(found["variance"]) == set(np.argsort(-row_variance(vectors))[:12])
    assert baselines(vectors, 41, np.random.default_rng(0)) == {}
    assert baselines(vectors, 0, np.random.default_rng(0)) == {}
