"""Least squares: against certified answers, against exact algebra, and with numbers that are hard to add."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multilevel.errors import ModelError
from multilevel.estimation.ols import (
    LeastSquares,
    least_squares,
    refuse_saturated,
    triangle_by_gram,
    triangle_by_qr,
)

# NIST Statistical Reference Datasets, Longley (1967): y, x1 .. x6
LONGLEY = np.loadtxt(
    """
    60323  83.0 234289 2356 1590 107608 1947
    61122  88.5 259426 2325 1456 108632 1948
    60171  88.2 258054 3682 1616 109773 1949
    61187  89.5 284599 3351 1650 110929 1950
    63221  96.2 328975 2099 3099 112075 1951
    63639  98.1 346999 1932 3594 113270 1952
    64989  99.0 365385 1870 3547 115094 1953
    63761 100.0 363112 3578 3350 116219 1954
    66019 101.2 397469 2904 3048 117388 1955
    67857 104.6 419180 2822 2857 118734 1956
    68169 108.4 442769 2936 2798 120445 1957
    66513 110.8 444546 4681 2637 121950 1958
    68655 112.6 482704 3813 2552 123366 1959
    69564 114.2 502601 3931 2514 125368 1960
    69331 115.7 518173 4806 2572 127852 1961
    70551 116.9 554894 4007 2827 130081 1962
    """.strip().splitlines()
)
LONGLEY_BETA = [
    -3482258.63459582, 15.0618722713733, -0.0358191792925910, -2.02022980381683,
    -1.03322686717359, -0.0511041056535807, 1829.15146461355,
]  # fmt: skip
LONGLEY_SE = [
    890420.383607373, 84.9149257747669, 0.0334910077722432, 0.488399681651699,
    0.214274163161675, 0.226073200069370, 455.478499142212,
]  # fmt: skip


def with_constant(*columns):
    return np.asfortranarray(np.column_stack([np.ones(len(columns[0])), *columns]))


def covariance(solution: LeastSquares, n: int):
    p = len(solution.beta)
    to_coefficients = solution.centring.contrasts(np.eye(p)) @ solution.root
    return solution.rss / (n - p) * to_coefficients @ to_coefficients.T


def dyadic(rng, n):
    """Random numbers with 10 binary places: they and their sums with 1e8 or 1e12 are exact."""
    return np.round(rng.normal(size=n) * 1024) / 1024


def test_longley_agrees_with_nist_certified_values():
    solution = least_squares(with_constant(*LONGLEY[:, 1:].T), LONGLEY[:, 0])
    # 5e9 is the condition of these columns as they stand; centring leaves about 1e2 and so 12 digits
    np.testing.assert_allclose(solution.beta, LONGLEY_BETA, rtol=1e-11)
    np.testing.assert_allclose(np.sqrt(covariance(solution, 16).diagonal()), LONGLEY_SE, rtol=1e-11)
    assert np.sqrt(solution.rss / 9) == pytest.approx(304.854073561965, rel=1e-12)


def test_wampler_polynomial_is_recovered():
    x = np.arange(21.0)
    X = with_constant(*(x**power for power in range(1, 6)))
    # NIST's Wampler1 has every coefficient 1; its condition number of 6e6 costs 7 of 16 digits
    np.testing.assert_allclose(least_squares(X, X.sum(axis=1)).beta, np.ones(6), rtol=1e-8)


@given(st.integers(0, 10**6), st.integers(1, 5), st.booleans())
@settings(max_examples=25, deadline=None)
def test_agrees_with_orthogonal_projection(seed, p, weighted):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(12, p)), rng.normal(size=12)
    weights = rng.uniform(0.5, 2.0, 12) if weighted else None
    root_w = np.ones(12) if weights is None else np.sqrt(weights)
    expected = np.linalg.lstsq(X * root_w[:, None], y * root_w, rcond=None)[0]
    np.testing.assert_allclose(least_squares(X, y, weights).beta, expected, rtol=1e-8, atol=1e-10)


def test_both_ways_to_the_triangle_agree():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(50, 4)) * [1.0, 1e-3, 1e3, 1.0], rng.normal(size=50)
    lengths = np.sqrt((X * X).sum(axis=0))
    by_gram = triangle_by_gram(X.T @ X / np.outer(lengths, lengths), lengths, X.T @ y)
    by_qr = triangle_by_qr(X, y)
    signs = np.sign(by_qr.R.diagonal())  # QR leaves the signs of rows free
    np.testing.assert_allclose(by_gram.R, by_qr.R * signs[:, None], atol=1e-10)
    np.testing.assert_allclose(by_gram.z, by_qr.z * signs, atol=1e-12)


@pytest.mark.parametrize("x_shift", [0.0, 1e8])
@pytest.mark.parametrize("y_shift", [0.0, 1e12])
def test_shifts_of_x_and_y_change_the_intercept_alone(x_shift, y_shift):
    rng = np.random.default_rng(1)
    x, y = dyadic(rng, 200), dyadic(rng, 200)
    plain = least_squares(with_constant(x), y)
    shifted = least_squares(with_constant(x + x_shift), y + y_shift)
    assert shifted.beta[1] == pytest.approx(plain.beta[1], rel=1e-10)
    assert shifted.rss == pytest.approx(plain.rss, rel=1e-12)
    assert shifted.tss == pytest.approx(plain.tss, rel=1e-12)
    np.testing.assert_allclose(shifted.residuals, plain.residuals, atol=1e-10)


def test_shifts_survive_when_dummies_make_the_constant():
    rng = np.random.default_rng(2)
    x, y = dyadic(rng, 90), dyadic(rng, 90)
    dummies = (np.arange(90) % 3)[:, None] == np.arange(3)
    plain = least_squares(np.column_stack([dummies, x]), y)
    shifted = least_squares(np.column_stack([dummies, x + 1e8]), y + 1e12)
    assert shifted.beta[3] == pytest.approx(plain.beta[3], rel=1e-10)
    assert shifted.rss == pytest.approx(plain.rss, rel=1e-12)
    assert shifted.tss == pytest.approx(((y - y.mean()) ** 2).sum(), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_units_of_a_predictor_scale_its_coefficient(scale):
    rng = np.random.default_rng(4)
    x, z, y = rng.normal(size=(3, 60))
    plain = least_squares(with_constant(x, z), y)
    scaled = least_squares(with_constant(x * scale, z), y)
    np.testing.assert_allclose(scaled.beta * [1.0, scale, 1.0], plain.beta, rtol=1e-10)


def test_without_a_constant_the_sum_of_squares_is_about_zero():
    x, y = np.array([[1.0], [2.0], [4.0]]), np.array([1.0, 3.0, 7.0])
    assert least_squares(x, y).tss == y @ y


def test_as_many_coefficients_as_observations_are_refused():
    with pytest.raises(ModelError, match="3 observations and 3 coefficients"):
        refuse_saturated(3.0, 3)
