"""The studentized range against scipy's, which computes one value at a time."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import studentized_range
from scipy.stats import t as student

from multilevel.inference.studentized_range import range_p_values, range_quantile, upper_tail


@pytest.mark.parametrize("k", [2, 3, 7, 40])
@pytest.mark.parametrize("df", [1.0, 2.3, 15.0, 1e4, np.inf])
def test_upper_tail(k: int, df: float) -> None:
    q = np.array([0.2, 1.5, 3.0, 5.0, 12.0])
    ours = upper_tail(q, k, df)
    np.testing.assert_allclose(ours, studentized_range.sf(q, k, df), atol=1e-9)  # scipy asks for 1e-11


@pytest.mark.parametrize(("k", "df"), [(2, 3.5), (4, 20.0), (10, np.inf)])
def test_quantile_returns_its_probability(k: int, df: float) -> None:
    q = range_quantile(0.95, k, df)
    assert studentized_range.sf(q, k, df) == pytest.approx(0.05, abs=1e-9)


def test_tukeys_table() -> None:
    assert range_quantile(0.95, 3, 10.0) == pytest.approx(3.877, abs=6e-4)  # tables print three decimals
    assert range_quantile(0.99, 5, 20.0) == pytest.approx(5.294, abs=2e-3)


def test_each_value_has_its_own_df() -> None:
    q, df = np.array([3.0, 3.0, 4.0]), np.array([5.0, np.inf, 5.0])
    ours = range_p_values(q, 4, df)
    np.testing.assert_allclose(ours, [upper_tail(q[i : i + 1], 4, df[i])[0] for i in range(3)], rtol=1e-14)


@pytest.mark.parametrize("df", [3.0, 40.0, np.inf])
def test_small_tails_keep_their_digits(df: float) -> None:
    """The range of two is a difference, and that of many is at most all differences and nearly that many."""
    q = np.array([6.0, 9.0, 12.0, 20.0])
    two = 2.0 * student.sf(q / np.sqrt(2.0), df)
    kept = two > 1e-27
    np.testing.assert_allclose(upper_tail(q, 2, df)[kept], two[kept], rtol=1e-7)
    many = upper_tail(q, 5, df)
    assert (many <= 10.0 * two).all()
    assert (many[two < 1e-6] > 9.0 * two[two < 1e-6]).all() or df < np.inf


def test_adaptive_quadrature_of_the_double_integral() -> None:
    """SciPy's quad, asked for nine digits, where R's ptukey says 6.09000e-7 and 8.23186e-8."""
    q = np.array([13.921204874828396, 16.509731476747273])
    np.testing.assert_allclose(upper_tail(q, 3, 13.0), [6.0889829154e-07, 8.2218694821e-08], rtol=1e-9)


def test_beyond_every_table_nothing_is_left() -> None:
    np.testing.assert_array_equal(upper_tail(np.array([1e3]), 3, np.inf), [0.0])
