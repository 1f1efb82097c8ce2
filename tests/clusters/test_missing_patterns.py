"""Patterns and dropout curves by hand; leavers against stayers by a plain regression."""

import numpy as np
import pytest

from multilevel.clusters.missing_patterns import (
    dropout_curve,
    is_monotone,
    leavers_before,
    monotone_order,
    patterns_of,
)

TABLE = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0], [1, 1, 1], [0, 0, 0], [1, 1, 0]], dtype=bool)


def test_patterns_are_counted_the_commonest_first():
    found = patterns_of(TABLE)
    assert ["".join(map(str, row.astype(int))) for row in found.observed] == ["111", "110", "101", "000"]
    np.testing.assert_array_equal(found.counts, [2, 2, 1, 1])
    np.testing.assert_array_equal(found.observed[found.member], TABLE)
    np.testing.assert_array_equal(found.monotone, [True, True, False, True])


def test_more_columns_than_a_byte():
    wide = np.random.default_rng(10).random((500, 21)) < 0.9
    found = patterns_of(wide)
    np.testing.assert_array_equal(found.observed[found.member], wide)
    assert found.counts.sum() == 500
    assert len({tuple(row) for row in wide}) == len(found.counts)


def test_the_order_that_makes_columns_monotone():
    order = monotone_order(TABLE[[0, 2, 3]][:, [2, 0, 1]])
    assert order is not None
    assert is_monotone(TABLE[[0, 2, 3]][:, [2, 0, 1]][:, order]).all()
    assert monotone_order(np.array([[1, 0], [0, 1]], dtype=bool)) is None


def test_the_curve():
    curve = dropout_curve(TABLE)
    np.testing.assert_array_equal(curve.observed, [5, 4, 3])
    np.testing.assert_array_equal(curve.still, [5, 5, 3])
    np.testing.assert_array_equal(curve.leave, [0, 2])


def test_leavers_against_stayers_is_a_regression_with_times_as_a_factor():
    rng = np.random.default_rng(11)
    values = rng.normal(size=(60, 4)) + np.arange(4)
    values[np.arange(4) > rng.integers(0, 5, 60)[:, None]] = np.nan
    values[:5, 1] = np.nan  # gaps
    found = leavers_before(values)
    last = np.array([np.flatnonzero(~np.isnan(row))[-1] if (~np.isnan(row)).any() else -1 for row in values])
    group, time = np.nonzero(~np.isnan(values[:, :3]))
    leave = (last[group] == time).astype(float)
    # one mean a time and kind for the residual variance, one common difference for the estimate
    cells = np.column_stack([(time == t) & (leave == k) for t in range(3) for k in (0, 1)]).astype(float)
    y = values[group, time]
    rest = y - cells @ np.linalg.lstsq(cells, y, rcond=None)[0]
    sd = np.sqrt(rest @ rest / (len(y) - 6))
    X = np.column_stack([leave, *((time == t).astype(float) for t in range(3))])
    assert found.difference == pytest.approx(np.linalg.lstsq(X, y, rcond=None)[0][0], rel=1e-10)
    assert found.std_error == pytest.approx(sd * np.sqrt(np.linalg.inv(X.T @ X)[0, 0]), rel=1e-10)
    assert found.sd == pytest.approx(sd, rel=1e-10)


def test_nobody_leaves():
    assert np.isnan(leavers_before(np.ones((3, 2))).difference)
