"""The map: a layout of vectors on a plane."""

import numpy as np
import pytest

from lift_agent.geometry.neighbours import unit
from lift_agent.geometry.projection import interpolate, project


def groups(count, size, seed=0):
    rng = np.random.default_rng(seed)
    centres = unit(rng.normal(size=(count, 32)))
    return unit(np.repeat(centres, size, axis=0) + 0.05 * rng.normal(size=(count * size, 32)))


def test_near_rows_lie_near_each_other():
    vectors = groups(5, 30)
    placed, _ = project(vectors, vectors[:0])
    distances = np.linalg.norm(placed[:, None] - placed[None], axis=-1)
    same = np.repeat(np.arange(5), 30)[:, None] == np.repeat(np.arange(5), 30)
    nearest = np.argsort(distances, axis=1)[:, 1:6]
    assert np.take_along_axis(same, nearest, axis=1).mean() > 0.97


def test_it_fills_the_square_and_is_the_same_again():
    vectors = groups(4, 20)
    first, second = (project(vectors, vectors[:0], seed=3)[0] for _ in range(2))
    assert np.array_equal(first, second)
    assert first.min() >= 0 and first.max() <= 1 and np.ptp(first, axis=0).max() == pytest.approx(1)


@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 7])
def test_few_rows_and_copies_have_places_too(count):
    vectors = unit(np.ones((count, 8)))
    placed, others = project(vectors, unit(np.ones((2, 8))))
    assert placed.shape == (count, 2) and np.isfinite(placed).all()
    assert others.shape == (2, 2) and np.isfinite(others).all()


@pytest.mark.slow
def test_rows_beyond_the_landmarks_lie_among_their_like():
    vectors = groups(6, 400)  # more than are laid out
    placed, _ = project(vectors, vectors[:0])
    label = np.repeat(np.arange(6), 400)
    middles = np.stack([np.median(placed[label == i], axis=0) for i in range(6)])
    nearest = np.linalg.norm(placed[:, None] - middles, axis=-1).argmin(axis=1)
    assert (nearest == label).mean() > 0.95


def test_a_landmark_is_placed_on_itself():
    vectors = groups(3, 10)
    laid = np.random.default_rng(1).uniform(size=(30, 2))
    assert np.abs(interpolate(vectors, vectors, laid) - laid).max() < 0.1
