"""Population-averaged coefficients: against formulas where these are exact, and integration by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm

import multilevel as ml
from glmm_data import grouped
from multilevel.fitted.term_theta import covariance_at, split_theta
from multilevel.inference.population_averaged import C_SQUARED


def binomial(link: str = "logit", right: str = "x + (1 | g)", **options: Any) -> Any:
    return ml.glmm(f"hits / size ~ {right}", grouped(), family="binomial", link=link, **options)


def test_probit_has_an_exact_formula() -> None:
    fit = binomial("probit")
    found = fit.marginal()
    np.testing.assert_allclose(found.fixef, fit.fixef / np.sqrt(1.0 + fit.theta[0] ** 2), rtol=1e-9)
    np.testing.assert_allclose(found["closed_form"], found.fixef, rtol=1e-9)


def test_its_standard_errors_are_those_of_the_formula() -> None:
    fit = binomial("probit")
    sigma, V = fit.theta[0], fit.vcov(full=True)
    root = np.sqrt(1.0 + sigma**2)
    J = np.column_stack([np.eye(2) / root, -fit.fixef * sigma / root**3])
    np.testing.assert_allclose(fit.marginal().vcov, J @ V @ J.T, rtol=1e-6)


def test_a_log_link_moves_the_intercept_alone() -> None:
    fit = ml.glmm("count ~ x + (1 | g)", grouped(), family="poisson")
    moved = fit.marginal().fixef - fit.fixef
    np.testing.assert_allclose(moved, [0.5 * fit.theta[0] ** 2, 0.0], atol=1e-9)


def test_an_identity_link_moves_nothing() -> None:
    fit = ml.glmm("line ~ x + (1 + x | g)", grouped(), family="gaussian")
    np.testing.assert_allclose(fit.marginal().fixef, fit.fixef, rtol=1e-9)
    np.testing.assert_allclose(fit.marginal().se, fit.se, rtol=1e-9)


def test_the_logit_by_integration() -> None:
    fit = binomial()
    sd = fit.theta[0]

    def population(eta: float) -> float:
        return quad(lambda z: expit(eta + sd * z) * norm.pdf(z), -9, 9, epsabs=1e-13)[0]

    eta = fit.design.X @ fit.fixef
    target = logit([population(value) for value in eta])
    by_hand = np.linalg.lstsq(fit.design.X, target, rcond=None)[0]
    np.testing.assert_allclose(fit.marginal().fixef, by_hand, rtol=1e-8)
    # the formula with c is good to a few per cent
    np.testing.assert_allclose(fit.marginal()["closed_form"], fit.fixef / np.sqrt(1 + C_SQUARED * sd**2))
    np.testing.assert_allclose(fit.marginal()["closed_form"], by_hand, rtol=0.03)


def test_random_slopes_have_no_formula_and_standard_errors_all_the_same() -> None:
    fit = binomial(right="x + (1 + x | g)")
    found = fit.marginal()
    assert "closed_form" not in found.columns()
    assert (np.abs(found.fixef) < np.abs(fit.fixef)).all()
    # by differences in every parameter, covariances included
    theta = fit.theta
    estimate = marginal_at(fit, fit.fixef, theta)
    np.testing.assert_allclose(found.fixef, estimate, rtol=1e-6)
    J = np.zeros((2, 2 + len(theta)))
    for k in range(2 + len(theta)):
        step = np.zeros(2 + len(theta))
        step[k] = 1e-5
        high = marginal_at(fit, fit.fixef + step[:2], theta + step[2:])
        low = marginal_at(fit, fit.fixef - step[:2], theta - step[2:])
        J[:, k] = (high - low) / 2e-5
    np.testing.assert_allclose(found.vcov, J @ fit.vcov(full=True) @ J.T, rtol=1e-4)


def marginal_at(fit: Any, beta: np.ndarray, theta: np.ndarray) -> np.ndarray:
    (own,) = split_theta(fit.record.terms, theta)
    Sigma = covariance_at(fit.record.terms[0], own)
    Z = fit.design.terms[0].Z
    sd = np.sqrt(np.einsum("ni,ij,nj->n", Z, Sigma, Z))
    z = np.linspace(-8, 8, 801)
    weights = norm.pdf(z) / norm.pdf(z).sum()
    mean = expit((fit.design.X @ beta)[:, None] + sd[:, None] * z) @ weights
    return np.linalg.lstsq(fit.design.X, logit(mean), rcond=None)[0]


def test_ordered_categories_shrink_with_their_thresholds() -> None:
    fit = ml.glmm("grade ~ x + (1 | g)", grouped(), family="ordinal", link="probit")
    found = fit.marginal()
    assert found.coef_names == ("low|some", "some|much", "much|all", "x")
    root = np.sqrt(1.0 + fit.theta[0] ** 2)
    np.testing.assert_allclose(found.fixef, [*(fit.thresholds / root), fit.fixef[0] / root], rtol=1e-8)


def test_without_random_effects_both_are_the_same() -> None:
    data = grouped()
    data["g"] = np.random.default_rng(0).permutation(data["g"])
    fit = ml.glmm("count ~ x + (1 | g)", data.assign(count=np.arange(240) % 4), family="poisson")
    assert fit.singular
    np.testing.assert_allclose(fit.marginal().fixef, fit.fixef, rtol=1e-9)
    np.testing.assert_allclose(fit.marginal().se, fit.se, rtol=1e-6)


def test_the_page_says_what_each_means() -> None:
    page = " ".join(str(binomial().marginal()).split())
    for said in ("Conditional", "Marginal", "ml.gee", "16 sqrt(3) / (15 pi)"):
        assert said in page
    ratios = binomial().marginal(exponentiate=True)
    np.testing.assert_allclose(ratios["estimate"], np.exp(binomial().marginal().fixef))
    assert "Odds ratios" in str(ratios)


@pytest.mark.parametrize("link", ["cloglog", "cauchit"])
def test_other_links_are_integrated(link: str) -> None:
    found = binomial(link).marginal()
    assert "closed_form" not in found.columns()
    assert np.isfinite(found.fixef).all()


def test_predictions_average_over_the_random_effects() -> None:
    fit = binomial(right="x + (1 + x | g)")
    rng = np.random.default_rng(1)
    term = fit.record.terms[0]
    b = rng.multivariate_normal([0, 0], term.covariance, 40_000)
    rows = grouped().iloc[:5]
    Z = np.column_stack([np.ones(5), rows["x"]])
    by_hand = expit((Z @ fit.fixef)[:, None] + Z @ b.T)
    error = by_hand.std(axis=1) / np.sqrt(40_000)
    difference = fit.predict(rows, re="integrate") - by_hand.mean(axis=1)
    assert (np.abs(difference) < 4.0 * error).all()


def test_average_effects_are_differences_of_predictions() -> None:
    data = grouped()
    fit = ml.glmm("empty ~ x + a + (1 | g)", data, family="poisson", zi="~ x + (1 | g)")
    effects = fit.ame(["a", "x"])
    high, low = (fit.predict(data.assign(a=level), re="integrate").mean() for level in ("r", "p"))
    of_a = effects[effects["contrast"] == "r - p"]["estimate"].iloc[0]
    assert of_a == pytest.approx(high - low, rel=1e-8)
    h = 1e-3
    slope = (
        fit.predict(data.assign(x=data["x"] + h), re="integrate")
        - fit.predict(data.assign(x=data["x"] - h), re="integrate")
    ).mean() / (2 * h)
    assert effects[effects["term"] == "x"]["estimate"].iloc[0] == pytest.approx(slope, rel=1e-5)
    assert (effects["std_error"] > 0).all()


def test_average_effects_with_an_identity_link_are_coefficients() -> None:
    fit = ml.glmm("line ~ x + a + (1 | g)", grouped(), family="gaussian")
    effects = fit.ame()
    order = [fit.coef_names.index(name) for name in ("x", "a[T.q]", "a[T.r]")]
    by_term = effects.sort_values(["term", "contrast"], ascending=[False, True])
    np.testing.assert_allclose(by_term["estimate"], fit.fixef[order], rtol=1e-6)
    np.testing.assert_allclose(by_term["std_error"], fit.se[order], rtol=1e-5)
