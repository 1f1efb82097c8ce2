"""Variances as linear forms of the covariances, against the model's matrices written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.clusters.icc import group_variances
from multilevel.clusters.variance_forms import (
    Covariances,
    covariances_at,
    effect_forms,
    group_forms,
    group_mean_form,
    slopes_in_theta,
)
from multilevel.results.lmm import LMMFit

FORMULAS = [
    "y ~ x + (1 + x | g)",
    "y ~ x + (1 + x | g / h)",
    "y ~ x + (x || g) + (1 | h)",
    "y ~ x + (0 + x | g) + (1 + x | h)",
    "y ~ f + cs(0 + f | g)",
    "y ~ f + ar1(0 + f | g) + (1 | h)",
]


def data(shift: float = 0.0) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    n = 400
    g, h, x = rng.integers(0, 12, n), rng.integers(0, 5, n), rng.normal(size=n)
    effects = rng.normal(size=(2, 12))
    y = 2.0 + x + effects[0][g] + effects[1][g] * x + rng.normal(size=5)[h] + rng.normal(size=n)
    f = rng.choice(["a", "b", "c"], n)
    return pd.DataFrame({"y": y, "x": x + shift, "g": g, "h": h, "f": f, "w": rng.uniform(0.5, 2.0, n)})


def covariances_of(fit: LMMFit) -> Covariances:
    return covariances_at(fit.design, fit.record.optimum.theta[None], np.array([fit.sigma]))


@pytest.mark.parametrize("formula", FORMULAS)
def test_mean_variances_are_those_of_the_record(formula: str) -> None:
    fit = ml.lmm(formula, data())
    ours = group_forms(fit.design).at(covariances_of(fit))[0]
    np.testing.assert_allclose(ours, group_variances(fit.design, fit.record), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("formula", FORMULAS)
def test_variances_of_effects_are_the_diagonal_of_sigma(formula: str) -> None:
    fit = ml.lmm(formula, data())
    for position, term in enumerate(fit.record.terms):
        ours = effect_forms(fit.design, position).at(covariances_of(fit))[0]
        np.testing.assert_allclose(ours, term.sd**2, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("options", [{}, {"weights": "w"}])
def test_the_variance_of_a_mean_is_that_of_the_marginal_covariance(
    formula: str, options: dict[str, Any]
) -> None:
    fit = ml.lmm(formula, data(), **options)
    M = fit.matrices()
    V = (M.Z @ M.Sigma @ M.Z.T).toarray() + np.diag(M.residual_variance)
    for grouping in fit.design.groupings:
        rows = [np.flatnonzero(grouping.codes == level) for level in range(grouping.n_levels)]
        by_hand = np.mean([V[np.ix_(r, r)].mean() for r in rows])
        form = group_mean_form(fit.design, grouping.codes)
        assert form.at(covariances_of(fit))[0, 0] == pytest.approx(by_hand, rel=1e-9)


def test_a_covariate_far_from_zero_keeps_its_digits() -> None:
    near, far = (ml.lmm("y ~ x + (1 + x | g)", data(shift)) for shift in (0.0, 1e7))
    ours = [group_forms(fit.design).at(covariances_of(fit))[0, 0] for fit in (near, far)]
    assert ours[1] == pytest.approx(ours[0], rel=1e-6)


@pytest.mark.parametrize("formula", FORMULAS)
def test_slopes_are_differences(formula: str) -> None:
    design = ml.lmm(formula, data()).design
    forms = group_forms(design)
    theta = 0.3 + 0.1 * np.arange(ml.lmm(formula, data()).record.optimum.theta.size)
    step = 1e-5 * np.eye(len(theta))
    up, down = (forms.at(covariances_at(design, theta + s * step, np.ones(len(theta)))) for s in (1.0, -1.0))
    np.testing.assert_allclose(
        slopes_in_theta(design, forms, theta).T, (up - down) / 2e-5, rtol=1e-6, atol=1e-8
    )
