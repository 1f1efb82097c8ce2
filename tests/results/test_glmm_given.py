"""What a family is told instead of estimating it: the size of a negative binomial, the power of a Tweedie."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import DataError, ModelError


@pytest.fixture(scope="module")
def counts() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    g, x = np.repeat(np.arange(25), 8), rng.normal(size=200)
    mean = np.exp(0.7 + 0.4 * x + rng.normal(0.0, 0.5, 25)[g])
    amount = np.where(rng.random(200) < 0.3, 0.0, mean * rng.gamma(1.5, 1.0 / 1.5, 200))
    return pd.DataFrame(
        {"y": rng.negative_binomial(2.0, 2.0 / (2.0 + mean)), "amount": amount, "x": x, "g": g}
    )


def test_the_size_of_a_fit_given_back_is_that_fit_with_a_parameter_less(counts):
    free = ml.glmm("y ~ x + (1 | g)", counts, family="nbinom2")
    held = ml.glmm("y ~ x + (1 | g)", counts, family=ml.families.NegativeBinomial(size=free.dispersion))
    assert held.loglik == pytest.approx(free.loglik, abs=1e-8)
    np.testing.assert_allclose(held.fixef, free.fixef, atol=1e-5)
    assert (held.df_model, held.dispersion) == (free.df_model - 1, free.dispersion)
    assert "given" in str(held)


@pytest.mark.parametrize("size", [0.5, 2.0, 30.0])
def test_another_size_lies_below_the_maximum(counts, size):
    """And the profile of the size runs through it."""
    free = ml.glmm("y ~ x + (1 | g)", counts, family="nbinom2")
    held = ml.glmm("y ~ x + (1 | g)", counts, family=ml.families.NegativeBinomial(size=size))
    assert held.dispersion == size
    zeta = free.profile("disp~Intercept").zeta("disp~Intercept", float(np.log(size)))
    assert 2.0 * (free.loglik - held.loglik) == pytest.approx(zeta**2, abs=1e-6)


def test_the_power_of_a_tweedie_is_kept(counts):
    free = ml.glmm("amount ~ x + (1 | g)", counts, family="tweedie")
    held = ml.glmm("amount ~ x + (1 | g)", counts, family=ml.families.Tweedie(power=free.record.shape))
    assert held.loglik == pytest.approx(free.loglik, abs=1e-7)
    assert held.df_model == free.df_model - 1
    other = ml.glmm("amount ~ x + (1 | g)", counts, family=ml.families.Tweedie(power=1.2))
    assert other.record.shape == 1.2
    assert other.loglik < free.loglik
    scaled = ml.glmm(
        "amount ~ x + (1 | g)",
        counts.assign(amount=100.0 * counts.amount),
        family=ml.families.Tweedie(power=1.2),
    )
    # in other units the density of each positive amount is smaller by the factor
    shift = float((counts.amount > 0.0).sum()) * np.log(100.0)
    assert scaled.loglik == pytest.approx(other.loglik - shift, abs=1e-6)
    assert scaled.dispersion == pytest.approx(other.dispersion * 100.0**0.8, rel=1e-5)


def test_regression_takes_them_too(counts):
    free = ml.glm("y ~ x", counts, family="nbinom2")
    held = ml.glm("y ~ x", counts, family=ml.families.NegativeBinomial(size=2.0))
    assert held.dispersion == 2.0
    assert held.loglik < free.loglik
    # score equations of least squares weighted by mu / (1 + mu / size), as quasi-likelihood has them
    X, mu = np.column_stack([np.ones(200), counts.x]), held.fitted
    np.testing.assert_allclose(X.T @ ((counts.y - mu) / (1.0 + mu / 2.0)), 0.0, atol=1e-5)


def test_misuse_is_refused(counts):
    with pytest.raises(DataError, match="positive number, got -1"):
        ml.families.NegativeBinomial(size=-1.0)
    with pytest.raises(ModelError, match="given in NegativeBinomial"):
        ml.glmm("y ~ x + (1 | g)", counts, family=ml.families.NegativeBinomial(size=2.0), dispersion="~ x")
    with pytest.raises(ModelError, match="would fix the dispersion at 1"):
        ml.glmm("y ~ x + (1 | g)", counts, family="nbinom2", dispersion="~ 0")
