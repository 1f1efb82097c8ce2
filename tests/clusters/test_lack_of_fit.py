"""What a larger model has beyond a smaller one, and rows that agree."""

from __future__ import annotations

import numpy as np
import pytest

from multilevel.clusters.lack_of_fit import cells, pure_error, restrictions

RNG = np.random.default_rng(6)


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("intercept", [True, False])
def test_restrictions_hold_just_for_the_smaller_model(intercept: bool, shift: float) -> None:
    x = RNG.integers(0, 4, 50).astype(float)
    indicators = np.eye(4)[x.astype(int)]
    large = np.column_stack([np.ones(50), indicators[:, 1:]]) if intercept else indicators
    small = np.column_stack([np.ones(50), x + shift])
    L = restrictions(small, large)
    assert L.shape == (2, 4)
    line, other = large[:, :0], RNG.normal(size=4)
    means = np.array([3.0, 5.0, 7.0, 9.0])
    line = np.r_[means[0], means[1:] - means[0]] if intercept else means
    scale = np.abs(L).max()
    assert np.abs(L @ line).max() < 1e-8 * scale
    assert np.abs(L @ other).max() > 1e-3 * scale


def test_cells_are_combinations() -> None:
    codes = np.array([0, 0, 1, 1, 1], dtype=np.int32)
    columns = np.array([[1.0, 5.0], [1.0, 5.0], [1.0, 5.0], [2.0, 5.0], [1.0, 5.0]])
    found = cells(codes, columns)
    assert len(set(found.tolist())) == 3
    assert found[0] == found[1]
    assert found[2] == found[4]


def test_a_saturated_model_has_no_lack_of_fit() -> None:
    codes = np.repeat([0, 1, 2], 4).astype(np.int32)
    x = np.tile([0.0, 0.0, 1.0, 1.0], 3)[:, None]
    y = RNG.normal(size=12)
    assert pure_error(y, x, x[:, 0], codes, np.ones(12), np.ones(12)) is None  # own lines are the cells
    found = pure_error(y, x, None, codes, np.ones(12), np.ones(12))
    assert found is not None
    assert (found.df_lack, found.df_pure) == (2, 6)
