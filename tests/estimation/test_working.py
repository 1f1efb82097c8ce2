"""Working coordinates: when are columns too close to one another for cross-products?"""

from __future__ import annotations

import numpy as np
import pytest

from multilevel.estimation.working import WELL_CONDITIONED, nearly_collinear, typical_size


@pytest.mark.parametrize("p", [2, 3, 5])
@pytest.mark.parametrize("apart", [1.0, 1e-2, 3e-4, 1e-4, 3e-5, 1e-6])
def test_nearly_collinear_is_what_eigenvalues_say(p: int, apart: float) -> None:
    rng = np.random.default_rng(p)
    X = rng.normal(size=(200, p)) * 10.0 ** rng.uniform(-3, 3, p)
    X[:, -1] = X[:, 0] / np.linalg.norm(X[:, 0]) + apart * rng.normal(size=200) / np.sqrt(200.0)
    unit = X / np.linalg.norm(X, axis=0)
    eigenvalues = np.linalg.eigvalsh(unit.T @ unit)
    assert nearly_collinear(X.T @ X) == (eigenvalues[0] < WELL_CONDITIONED * eigenvalues[-1])


def test_a_column_of_zeros_is_one_too_many() -> None:
    assert nearly_collinear(np.diag([1.0, 0.0]))
    assert nearly_collinear(np.diag([1.0, 2.0, 0.0]))
    assert not nearly_collinear(np.zeros((0, 0)))
    assert not nearly_collinear(np.ones((1, 1)))


def test_typical_sizes_stay_in_range() -> None:
    columns = np.asfortranarray(
        np.column_stack([np.full(9, 1e300), np.full(9, 1e-300), np.zeros(9), range(9)])
    )
    assert typical_size(columns, np.zeros(4)) == pytest.approx(
        [1e300, 1e-300, 1.0, np.sqrt(204 / 9)], rel=1e-14
    )
