"""Adjusted p-values by hand, and limits that agree with them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t as student

from multilevel.inference.multiplicity import METHODS, WITHOUT_LIMITS, Family, adjust, simple_p

P = np.array([0.04, 0.001, 0.03, 0.5])


def family(df: float = 12.0) -> Family:
    """Three differences between means with unequal variances."""
    C = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0], [0.0, 1.0, -1.0]])
    covariance = C @ np.diag([1.0, 2.0, 0.5]) @ C.T
    return Family(
        estimate=np.array([4.6, 3.2, -1.4]),
        std_error=np.sqrt(covariance.diagonal()),
        df=np.full(3, df),
        n_means=3,
        covariance=lambda: covariance,
        seed=0,
    )


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("none", P),
        ("bonferroni", [0.16, 0.004, 0.12, 1.0]),
        ("holm", [0.09, 0.004, 0.09, 0.5]),
        ("fdr", [0.04 * 4 / 3, 0.004, 0.04 * 4 / 3, 0.5]),
        ("sidak", 1.0 - (1.0 - P) ** 4),
    ],
)
def test_p_values_by_hand(method: str, expected: list[float]) -> None:
    np.testing.assert_allclose(simple_p(method, P), expected, rtol=1e-12)


def test_sidak_keeps_the_digits_of_small_p_values() -> None:
    np.testing.assert_allclose(simple_p("sidak", np.array([1e-20, 0.5])), [2e-20, 0.75], rtol=1e-12)


@pytest.mark.parametrize("method", [method for method in METHODS if method not in WITHOUT_LIMITS])
@pytest.mark.parametrize("df", [12.0, np.inf])
def test_limits_touch_zero_where_p_is_at_the_level(method: str, df: float) -> None:
    contrasts = family(df)
    at_level = adjust(contrasts, 0.0, method, 0.95)
    for i, p in enumerate(at_level.p_value):
        if p < 1.0:
            half = adjust(contrasts, 0.0, method, 1.0 - p).half_width[i]
            assert half == pytest.approx(abs(contrasts.estimate[i]), rel=1e-6)


@pytest.mark.parametrize("method", WITHOUT_LIMITS)
def test_step_methods_have_bonferronis_limits(method: str) -> None:
    half = adjust(family(), 0.0, method, 0.95).half_width
    np.testing.assert_allclose(half, adjust(family(), 0.0, "bonferroni", 0.95).half_width)


def test_adjustments_in_order_of_their_strength() -> None:
    p = {method: adjust(family(), 0.0, method, 0.95).p_value for method in METHODS}
    for weaker, stronger in [
        ("none", "fdr"), ("fdr", "holm"), ("holm", "bonferroni"), ("none", "mvt"), ("mvt", "sidak"),
        ("sidak", "bonferroni"), ("mvt", "tukey"),
    ]:  # fmt: skip
        assert (p[weaker] <= p[stronger] + 1e-4).all()  # Tukey and Kramer's is exact or conservative


def test_a_null_other_than_zero() -> None:
    contrasts = family()
    p = adjust(contrasts, 3.0, "none", 0.95).p_value
    expected = 2.0 * student.sf(np.abs(contrasts.estimate - 3.0) / contrasts.std_error, 12.0)
    np.testing.assert_allclose(p, expected, rtol=1e-12)


def test_an_empty_family() -> None:
    nothing = np.empty(0)
    empty = Family(nothing, nothing, nothing, 0, lambda: np.empty((0, 0)), 0)
    assert all(len(adjust(empty, 0.0, method, 0.95).p_value) == 0 for method in METHODS)
