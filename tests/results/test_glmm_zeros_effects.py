"""Random effects of an excess of zeros, where Laplace's approximation may have no maximum."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import MultilevelWarning


def visits(seed: int, sd_zeros: float) -> pd.DataFrame:
    """Counts at 12 sites, a few of which nearly always count nothing."""
    rng = np.random.default_rng(seed)
    site, x = np.repeat(np.arange(12), 14), rng.normal(size=168)
    mean = np.exp(0.6 + 0.4 * x + rng.normal(0.0, 0.3, 12)[site])
    shown = rng.random(168) > 1.0 / (1.0 + np.exp(0.5 - rng.normal(0.0, sd_zeros, 12)[site]))
    counts = np.where(shown, rng.negative_binomial(1.5, 1.5 / (1.5 + mean)), 0)
    return pd.DataFrame({"y": counts, "x": x, "site": site})


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("family", ["poisson", "nbinom2"])
def test_what_is_called_an_optimum_is_no_worse_than_a_smaller_model(family, seed):
    data = visits(seed, 0.5 + seed)
    smaller = ml.glmm("y ~ x + (1 | site)", data, family=family, zi="~ 1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultilevelWarning)
        fit = ml.glmm("y ~ x + (1 | site)", data, family=family, zi="~ 1 + (1 | site)")
    assert fit.loglik > smaller.loglik - 1e-6
    assert fit.converged or "nagq=11" in fit.optimum.message


def test_the_way_out_ends_in_an_optimum():
    """Where Laplace's approximation has no maximum, quadrature has one."""
    data = visits(6, 5.0)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        fit = ml.glmm("y ~ x + (1 | site)", data, family="nbinom2", zi="~ 1 + (1 | site)")
    assert not fit.converged
    assert "no maximum" in str(said[0].message)
    better = ml.glmm("y ~ x + (1 | site)", data, family="nbinom2", zi="~ 1 + (1 | site)", nagq=7)
    assert better.converged
    assert np.isfinite(better.se).all()
