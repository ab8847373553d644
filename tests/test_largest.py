"""The k largest values of each row: what a sort gives, by whichever way they are found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lift_agent.geometry.largest import largest


def by_sorting(values, k):
    columns = np.argsort(-values, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(values, columns, axis=1), columns


@given(st.integers(0, 10**6), st.integers(0, 5), st.integers(1, 900), st.integers(0, 12))
def test_without_ties_they_are_those_of_a_sort(seed, rows, width, k):
    values = np.random.default_rng(seed).permuted(
        np.tile(np.arange(width, dtype=np.float32), (rows, 1)), axis=1
    )
    found, columns = largest(values, k)
    assert found.shape == columns.shape == (rows, min(k, width))
    for got, expected in zip((found, columns), by_sorting(values, k), strict=True):
        assert np.array_equal(got, expected)


@given(st.integers(0, 10**6), st.integers(1, 900), st.integers(1, 12), st.integers(1, 400))
def test_ties_come_in_the_order_of_their_columns(seed, width, k, distinct):
    values = np.random.default_rng(seed).integers(distinct, size=(4, width)).astype(np.float32)
    found, columns = largest(values, k)
    assert np.array_equal(found, by_sorting(values, k)[0])
    assert np.array_equal(found, np.take_along_axis(values, columns, axis=1))
    alike = np.diff(found, axis=1) == 0
    assert (np.diff(columns, axis=1)[alike] > 0).all()
    assert all(len(set(row)) == len(row) for row in columns.tolist())
    assert np.array_equal(columns, largest(values[::-1], k)[1][::-1])  # each row by itself


@pytest.mark.parametrize("crowd", [0, 30, 500, 2000])
def test_rows_with_a_crowd_at_the_top_are_found_too(crowd):
    values = np.random.default_rng(crowd).random((3, 2000)).astype(np.float32)
    values[1, :crowd] += 1  # together, in columns of the same groups
    values[2, : crowd // 2] = 5
    found, columns = largest(values, 8)
    assert np.array_equal(found, by_sorting(values, 8)[0])
    assert np.array_equal(found, np.take_along_axis(values, columns, axis=1))


def test_what_is_no_number_comes_last():
    values = np.random.default_rng(0).random((2, 600)).astype(np.float32)
    values[0, ::2] = np.nan
    found, _ = largest(values, 5)
    assert np.array_equal(found[0], np.sort(values[0, 1::2])[::-1][:5])
    assert np.array_equal(found[1], np.sort(values[1])[::-1][:5])
