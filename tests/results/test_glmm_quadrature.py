"""Quadrature is right where Laplace's approximation is not: yes or no, few times, groups far apart."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

import multilevel as ml

SD = 4.0  # variance 16, as in the toenail trial
BETA = np.array([-1.5, -0.4])


def trial(groups: int, seed: int) -> pd.DataFrame:
    """Six yes-or-no responses of each patient."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), 6)
    time = np.tile(np.arange(6.0) * 2.0, groups)
    eta = BETA[0] + BETA[1] * time + SD * rng.normal(size=groups)[g]
    return pd.DataFrame({"g": g, "time": time, "y": (rng.random(len(g)) < expit(eta)).astype(int)})


@cache
def fit(points: int) -> Any:
    return ml.glmm("y ~ time + (1 | g)", trial(1500, seed=1), family="binomial", nagq=points)


def test_quadrature_finds_what_was_simulated() -> None:
    found = fit(25)
    error = np.sqrt(found.vcov(full=True)[-1, -1])
    assert abs(found.theta[0] - SD) < 3.0 * error
    assert (np.abs(found.fixef - BETA) < 3.0 * found.se).all()


def test_laplace_does_not() -> None:
    right, laplace = fit(25), fit(1)
    error = np.sqrt(right.vcov(full=True)[-1, -1])
    assert abs(laplace.theta[0] - right.theta[0]) > 2.0 * error
    assert "nagq=25" in str(laplace)


def test_more_points_settle_it() -> None:
    few, some, many = (fit(points).loglik for points in (9, 25, 51))
    assert abs(some - many) < 0.2  # of 2913: a standard deviation of 4 asks for many points
    assert abs(some - many) < abs(few - many)


def test_the_likelihood_by_brute_force() -> None:
    found = ml.glmm("y ~ time + (1 | g)", trial(40, seed=3), family="binomial", nagq=101)
    data = trial(40, seed=3)
    total = 0.0
    for _, rows in data.groupby("g"):
        eta = found.fixef[0] + found.fixef[1] * rows["time"].to_numpy()
        sign = 2.0 * rows["y"].to_numpy() - 1.0

        def integrand(z: float, eta: Any = eta, sign: Any = sign) -> float:
            return float(np.prod(expit(sign * (eta + found.theta[0] * z))) * norm.pdf(z))

        total += np.log(quad(integrand, -9, 9, epsabs=1e-14, epsrel=1e-11, limit=400)[0])
    assert found.loglik == pytest.approx(total, abs=2e-4)


@pytest.mark.parametrize("nodes", [7, 15])
def test_slopes_and_other_families_are_integrated(nodes: int) -> None:
    data = trial(150, seed=5)
    rng = np.random.default_rng(6)
    data["count"] = rng.poisson(np.exp(0.2 + 0.05 * data["time"] + 0.4 * rng.normal(size=150)[data["g"]]))
    laplace = ml.glmm("count ~ time + (1 + time | g)", data, family="poisson")
    found = ml.glmm("count ~ time + (1 + time | g)", data, family="poisson", nagq=nodes)
    # counts say much about their group: the two agree
    assert found.loglik == pytest.approx(laplace.loglik, abs=0.5)
    np.testing.assert_allclose(found.fixef, laplace.fixef, atol=0.05)


@pytest.mark.study
def test_coverage_and_bias_over_many_trials() -> None:
    """Of 300 trials with 200 patients: quadrature unbiased with its errors right, Laplace biased."""
    estimates, covered, laplace = [], [], []
    for seed in range(300):
        data = trial(200, seed=1000 + seed)
        right = ml.glmm("y ~ time + (1 | g)", data, family="binomial", nagq=25)
        estimates.append(right.theta[0])
        covered.append(abs(right.fixef[1] - BETA[1]) < 1.96 * right.se[1])
        laplace.append(ml.glmm("y ~ time + (1 | g)", data, family="binomial").theta[0])
    error = np.std(estimates) / np.sqrt(300)
    assert abs(np.mean(estimates) - SD) < 0.1 * SD
    assert 0.92 < np.mean(covered) < 0.98
    assert abs(np.mean(laplace) - np.mean(estimates)) > 10.0 * error
