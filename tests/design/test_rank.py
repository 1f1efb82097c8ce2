"""Rank: R's columns are dropped, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from design_data import design, mixed_data
from multilevel.design.rank import (
    dependent_columns,
    dropped_as_kept,
    independent_columns,
    take_columns,
)

RNG = np.random.default_rng(3)
N = 200
ONES, A, B, C = np.ones(N), *RNG.normal(size=(3, N))
INDICATORS = np.eye(4)[RNG.integers(0, 4, N)].T


def dependent(*columns: np.ndarray, intercept: int | None = 0) -> tuple[int, ...]:
    return dependent_columns(np.asfortranarray(np.column_stack(columns)), intercept)


def test_full_rank_keeps_all() -> None:
    assert dependent(ONES, A, B, C) == ()
    assert dependent(A, B, intercept=None) == ()


@pytest.mark.parametrize("scale", [1e-8, 1e-3, 1.0, 1e8])
def test_scale_does_not_matter(scale: float) -> None:
    assert dependent(ONES, A * scale, B / scale) == ()
    assert dependent(ONES, A * scale, B, 3 * A) == (3,)


@pytest.mark.parametrize("mean", [1e3, 1e8, -1e8, 1e12])
def test_large_means_are_no_dependence(mean: float) -> None:
    assert dependent(ONES, mean + A) == ()
    assert dependent(ONES, mean + A, B) == ()
    assert dependent(*INDICATORS, mean + A, intercept=None) == ()
    assert dependent(mean + A, *INDICATORS, intercept=None) == ()


def test_later_columns_are_dropped() -> None:
    assert dependent(ONES, A, 3 * A + 1) == (2,)
    assert dependent(ONES, A, B, A - B, C, A + 2 * C) == (3, 5)
    assert dependent(ONES, np.full(N, 5.0), A) == (1,)
    assert dependent(ONES, np.zeros(N), A) == (1,)
    assert dependent(ONES, 1e8 + A, 2e8 + 2 * A) == (2,)
    assert dependent(ONES, *INDICATORS) == (4,)
    assert dependent(*INDICATORS, ONES, intercept=None) == (4,)
    assert dependent(A, 2 * A, intercept=None) == (1,)
    assert dependent(1e8 + A, 2e8 + 2 * A, intercept=None) == (1,)


def test_nearly_dependent_columns_are_kept_to_rs_tolerance() -> None:
    assert dependent(ONES, A, A + 1e-5 * B) == ()
    assert dependent(ONES, A, A + 1e-9 * B) == (2,)


def test_more_columns_than_rows() -> None:
    X = RNG.normal(size=(3, 5))
    X[:, 0] = 1
    assert dependent_columns(X, 0) == (3, 4)


def test_rare_indicators_outside_the_sampled_rows() -> None:
    n = 60_000
    rare = np.zeros(n)
    rare[[3, 4]] = 1.0
    outlier = RNG.normal(size=n)
    outlier[7] = 1e9
    assert dependent_columns(np.column_stack([np.ones(n), rare, outlier, RNG.normal(size=n)]), 0) == ()
    assert dependent_columns(np.column_stack([np.ones(n), rare, outlier, rare + outlier]), 0) == (3,)


def test_no_columns() -> None:
    assert dependent_columns(np.empty((5, 0)), None) == ()
    assert independent_columns(np.ones((5, 1)), 0) == (0,)


def test_take_columns_copies_only_when_it_must() -> None:
    X = np.asfortranarray(np.column_stack([ONES, A, B]))
    assert take_columns(X, (0, 1, 2)) is X
    kept = take_columns(X, (0, 2))
    assert kept.flags.f_contiguous
    np.testing.assert_array_equal(kept, X[:, [0, 2]])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(0, 3), st.booleans())
def test_rank_found_is_the_rank_built_in(seed: int, independent: int, copies: int, intercept: bool) -> None:
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(40, independent))
    base[:, 0] = 1.0 if intercept else base[:, 0]
    mixed = base @ rng.normal(size=(independent, copies))
    X = np.column_stack([base, mixed])
    expected = tuple(range(independent, independent + copies))
    assert dependent_columns(X, 0 if intercept else None) == expected


def test_dropped_columns_are_named() -> None:
    data = mixed_data()
    data["x2"] = 3 * data["x"] + 1
    made = design("y ~ x + x2 + z", data)
    assert (made.coef_names, made.dropped.columns) == (("Intercept", "x", "z"), ("x2",))
    assert made.X.shape == (48, 3)
    assert made.X.flags.f_contiguous
    np.testing.assert_array_equal(made.encoder.encode(data).X, made.X)


def test_dropped_columns_are_combinations_of_those_kept() -> None:
    X = np.column_stack([A, ONES, 1e6 * B, 2 * A - 3e6 * B + 7, 0 * A, C + 1e5, C])
    kept = independent_columns(X, 1)
    found = dropped_as_kept(X, kept, 1)
    assert kept == (0, 1, 2, 5)
    assert found is not None
    np.testing.assert_allclose(found[:, 0], [2.0, 7.0, -3.0, 0.0], atol=1e-9)
    assert not found[:, 1].any()
    np.testing.assert_allclose(X[:, kept] @ found, X[:, [3, 4, 6]], atol=1e-6)
    assert dropped_as_kept(X[:, kept], (0, 1, 2, 3), 1) is None


def test_combinations_without_an_intercept() -> None:
    X = np.column_stack([A, B, A - B, INDICATORS.T, ONES])
    kept = independent_columns(X, None)
    found = dropped_as_kept(X, kept, None)
    assert found is not None
    np.testing.assert_allclose(found, [[1, 0], [-1, 0], [0, 1], [0, 1], [0, 1], [0, 1]], atol=1e-12)
