"""Factors of standard deviations: derivatives, starts, and constants at zero."""

from __future__ import annotations

import numpy as np
import pytest

from multilevel.estimation.residual.scale_factors import (
    ConstantPowers,
    KnownScale,
    Ratios,
    ScaleProduct,
    powers,
)

RNG = np.random.default_rng(1)
N = 30
CODES = (np.arange(N) % 3).astype(np.int32)
X = RNG.uniform(0.5, 9.0, size=N)
FACTORS = {
    "ratios": Ratios("g", ("a", "b", "c"), CODES),
    "one power": powers(["p"], np.log(X), np.zeros(N, dtype=np.int32)),
    "powers": powers(["p", "q", "r"], np.log(X), CODES),
    "constant": ConstantPowers(("c", "p"), X, np.zeros(N, dtype=np.int32)),
    "constants": ConstantPowers(("c1", "c2", "c3", "p1", "p2", "p3"), X, CODES),
    "known": KnownScale(np.log(X)),
}
FACTORS["product"] = ScaleProduct((FACTORS["ratios"], FACTORS["known"], FACTORS["constant"]), N)


@pytest.mark.parametrize("name", FACTORS)
def test_slopes(name):
    factor, rng = FACTORS[name], np.random.default_rng(2)
    delta, h = rng.uniform(0.2, 1.0, size=len(factor.names)), rng.normal(size=N)

    def value(at):
        return float(h @ factor.log_scale(at))

    numeric = [(value(delta + s) - value(delta - s)) / 2e-6 for s in 1e-6 * np.eye(len(delta))]
    np.testing.assert_allclose(factor.slopes(delta, h), numeric, atol=1e-7)


@pytest.mark.parametrize("name", FACTORS)
def test_starts_have_the_right_size(name):
    factor = FACTORS[name]
    for delta in factor.starts(RNG.normal(size=N)):
        assert delta.shape == (len(factor.names),)
        assert np.isfinite(factor.log_scale(delta)).all()


def test_start_of_ratios_is_their_moment():
    residuals = np.array([1.0, 2.0, 4.0])[CODES]
    np.testing.assert_allclose(np.exp(FACTORS["ratios"].starts(residuals)[0]), [2.0, 4.0])


def test_units_of_a_covariate_do_not_matter_to_the_search():
    one, other = (powers(["r"], X * unit, np.zeros(N, dtype=np.int32)) for unit in (1.0, 1e6))
    delta = np.array([0.3])
    np.testing.assert_allclose(one.log_scale(delta), other.log_scale(delta))
    np.testing.assert_allclose(one.natural(delta), other.natural(delta) * 1e6)


def test_a_constant_goes_to_zero_and_says_whether_it_should_stay():
    factor = FACTORS["constant"]
    delta = factor.boundary(np.array([1e-5, 0.4]))
    assert delta[0] == 0.0
    assert factor.null_slope(delta, np.ones(N)) > 0.0  # the criterion would rise with the constant
    assert factor.null_slope(delta, -np.ones(N)) < 0.0
    assert factor.null_slope(np.array([0.5, 0.4]), np.ones(N)) == np.inf


def test_a_power_of_zero_is_refused_where_it_is_not_positive():
    factor = ConstantPowers(("c", "p"), np.append(X, 0.0), np.zeros(N + 1, dtype=np.int32))
    assert np.isfinite(factor.log_scale(np.array([0.5, 0.5]))).all()
    with pytest.raises(np.linalg.LinAlgError):
        factor.log_scale(np.array([0.5, -0.5]))
