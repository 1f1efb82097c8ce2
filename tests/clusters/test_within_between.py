"""Columns taken apart: sums of squares add up, digits stay, rows count as often as they stand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from multilevel._typing import Array, Codes
from multilevel.clusters.within_between import mean_square_matrices, split_columns


def sample(seed: int = 1) -> tuple[Array, Codes, Array]:
    """Two columns in groups of unequal size, with counts."""
    random = np.random.default_rng(seed)
    codes = np.repeat(np.arange(6, dtype=np.int32), [1, 2, 3, 5, 8, 13])
    random.shuffle(codes)
    X = random.normal(size=(len(codes), 2)) + random.normal(size=(6, 2))[codes]
    return X, codes, random.integers(1, 4, len(codes)).astype(float)


def test_parts_add_up_and_so_do_their_squares() -> None:
    X, codes, _ = sample()
    split = split_columns(X, codes)
    assert_allclose(split.within + split.between, X, atol=1e-15)
    total = ((X - X.mean(axis=0)) ** 2).sum(axis=0)
    assert_allclose(split.ss_within + split.ss_between, total)
    assert_allclose(split.share_between, split.ss_between / total)


def test_counts_are_rows_repeated() -> None:
    X, codes, counts = sample()
    repeated = np.repeat(np.arange(len(X)), counts.astype(int))
    ours, theirs = split_columns(X, codes, counts), split_columns(X[repeated], codes[repeated])
    for name in ("sizes", "grand", "means", "ss_within", "ss_between"):
        assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-13)
    for one, other in zip(
        mean_square_matrices(ours, counts), mean_square_matrices(theirs, None), strict=True
    ):
        assert_allclose(one, other, rtol=1e-12)


def test_columns_far_from_zero_keep_their_digits() -> None:
    X, codes, _ = sample()
    near, far = split_columns(X, codes), split_columns(X + 1e8, codes)
    assert_allclose(far.within, near.within, atol=1e-7)  # X + 1e8 itself has lost what is finer than 1e-8
    assert_allclose(far.ss_within, near.ss_within, rtol=1e-6)


@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_where_a_column_varies(shift: float) -> None:
    X, codes, _ = sample()
    split = split_columns(X, codes)
    one_sided = np.column_stack([split.within[:, 0], split.between[:, 0], X[:, 0]]) + shift
    found = split_columns(one_sided, codes)
    assert found.varies_within.tolist() == [True, False, True]
    assert found.varies_between.tolist() == [False, True, True]


def test_a_constant_has_no_share() -> None:
    split = split_columns(np.ones((4, 1)), np.array([0, 0, 1, 1], dtype=np.int32))
    assert np.isnan(split.share_between[0])
    assert not split.varies_within[0]
    assert not split.varies_between[0]
