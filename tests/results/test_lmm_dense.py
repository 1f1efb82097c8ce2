"""The compiled estimation against textbook formulas with n x n matrices, on random data of several shapes."""

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from dense_lmm import dense_fit, dense_optimum, record_of

MODELS = {
    "intercept": "y ~ x + (1 | g)",
    "slope": "y ~ x + (1 + x | g)",
    "uncorrelated": "y ~ x + (x || g)",
    "crossed": "y ~ x + (1 | g) + (1 | h)",
    "nested": "y ~ x + (1 | h / g)",
    "two terms on one factor": "y ~ x + (1 | g) + (0 + x | g) + (1 | h)",
    "no fixed intercept": "y ~ 0 + x + (1 | g)",
    "offset": "y ~ x + offset(known) + (1 + x | g)",
}
ARGUMENTS = {"plain": {}, "weights": {"weights": "w"}, "counts": {"freq_weights": "n"}}


def random_data(seed):
    rng = np.random.default_rng(seed)
    g, h, x = rng.integers(0, 12, 90), rng.integers(0, 5, 90), rng.normal(3.0, 2.0, 90)
    u, v, slope = rng.normal(0, 2, 12), rng.normal(0, 1, 5), rng.normal(0, 1, 12)
    y = 10.0 + 2.0 * x + u[g] + slope[g] * x + v[h] + rng.normal(size=90)
    w, n = rng.uniform(0.5, 2.0, 90), rng.integers(1, 4, 90)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "w": w, "n": n, "known": rng.normal(size=90)})


@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("arguments", ARGUMENTS)
@pytest.mark.parametrize("model", MODELS)
def test_the_record_is_that_of_dense_algebra_at_the_same_covariances(model, arguments, reml):
    fit = ml.lmm(MODELS[model], random_data(1), reml=reml, **ARGUMENTS[arguments])
    factors = tuple(term.factor for term in fit.record.terms)
    dense = record_of(fit.design, dense_fit(fit.design, factors, reml=reml), reml=reml)
    record = fit.record
    assert record.criterion == pytest.approx(dense.criterion, abs=1e-8)
    assert record.pwrss == pytest.approx(dense.pwrss, rel=1e-9)
    assert record.sigma == pytest.approx(dense.sigma, rel=1e-9)
    for name in ("beta", "vcov", "fitted", "fitted_fixed"):
        np.testing.assert_allclose(getattr(record, name), getattr(dense, name), rtol=1e-8, err_msg=name)
    for ours, theirs in zip(record.modes, sorted(dense.modes, key=lambda m: m.grouping), strict=True):
        np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(ours.variance, theirs.variance, rtol=1e-7, atol=1e-9)
    assert (record.n_obs, record.n_parameters) == (dense.n_obs, dense.n_parameters)


@pytest.mark.parametrize("model", ["slope", "crossed", "offset"])
def test_the_optimum_is_no_worse_than_a_search_without_derivatives(model):
    fit = ml.lmm(MODELS[model], random_data(2))
    assert fit.converged
    assert fit.criterion <= dense_optimum(fit.design, reml=True).criterion + 1e-7
