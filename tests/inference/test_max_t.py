"""The largest of correlated t statistics, against cases with a formula of their own."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import t as student

from multilevel.inference.max_t import max_t, max_t_p, max_t_quantile
from multilevel.inference.studentized_range import range_quantile, upper_tail


def pairwise(k: int) -> np.ndarray:
    return np.array([np.eye(k)[i] - np.eye(k)[j] for i, j in combinations(range(k), 2)])


@pytest.mark.parametrize("k", [3, 4, 8])
@pytest.mark.parametrize("df", [5.0, 30.0, np.inf])
def test_all_differences_are_a_studentized_range(k: int, df: float) -> None:
    family = max_t(pairwise(k) @ pairwise(k).T, seed=1)
    for t in (0.5, 1.5, 2.5, 4.0):
        exact = upper_tail(np.array([t * np.sqrt(2.0)]), k, df)[0]
        assert max_t_p(family, t, df) == pytest.approx(exact, rel=5e-3)  # quasi-random: 1e-5 to 3e-3
    exact = range_quantile(0.95, k, df) / np.sqrt(2.0)
    assert max_t_quantile(family, 0.95, df) == pytest.approx(exact, abs=2e-3)


def test_independent_normals_multiply() -> None:
    family = max_t(np.diag([1.0, 4.0, 9.0]), seed=2)
    for t in (1.0, 2.0, 3.5):
        alone = 2.0 * student.sf(t, np.inf)
        assert max_t_p(family, t, np.inf) == pytest.approx(1.0 - (1.0 - alone) ** 3, rel=1e-3)


def test_dunnetts_table() -> None:
    """Three treatments against a control, 20 df, equal groups: 2.54 (Dunnett 1964, two-sided 5%)."""
    family = max_t(0.5 * (np.eye(3) + np.ones((3, 3))), seed=3)
    assert max_t_quantile(family, 0.95, 20.0) == pytest.approx(2.54, abs=6e-3)


@pytest.mark.parametrize("copies", [1, 3])
def test_one_statistic_and_its_copies_need_no_adjustment(copies: int) -> None:
    family = max_t(np.ones((copies, copies)), seed=4)
    assert family.rank == 1
    assert max_t_p(family, 2.1, 7.0) == pytest.approx(2.0 * student.sf(2.1, 7.0), rel=1e-9)
    assert max_t_quantile(family, 0.95, 7.0) == pytest.approx(student.ppf(0.975, 7.0), rel=1e-9)


def test_small_p_values_stay_between_no_adjustment_and_bonferroni() -> None:
    family = max_t(pairwise(6) @ pairwise(6).T, seed=5)
    alone = 2.0 * student.sf(9.0, np.inf)
    assert alone <= max_t_p(family, 9.0, np.inf) <= 15 * alone


def test_the_same_seed_gives_the_same_answer() -> None:
    first, second, other = (max_t(pairwise(4) @ pairwise(4).T, seed=seed) for seed in (7, 7, 8))
    assert max_t_p(first, 2.0, 9.0) == max_t_p(second, 2.0, 9.0) != max_t_p(other, 2.0, 9.0)
