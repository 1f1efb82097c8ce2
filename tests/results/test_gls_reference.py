"""Every fit by R's nlme::gls that we know of.

Tolerances are those of tests/reference/README.md: nlme stops at numerical gradients, about 1e-4 in the
coefficients and 1e-3 in residual parameters; in the log-likelihood it reaches 1e-5.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import multilevel as ml
from multilevel.results.gls import GLSFit
from nlme_cases import residual_of
from reference_cases import align_names, case_data, case_names, load_case

CASES = [name for name in case_names("nlme_") if load_case(name)["kind"] == "nlme_gls"]
COEFFICIENT = 1e-4
PARAMETER = 1e-3
LOGLIK = 1e-5

pytestmark = pytest.mark.parametrize("name", CASES)


@cache
def fit_case(name: str) -> GLSFit:
    case = load_case(name)
    method = case["spec"]["method"]
    return ml.gls(case["spec"]["formula"], case_data(case), **residual_of(case), reml=method == "REML")


def adjustment(case: dict[str, Any]) -> float:
    """nlme multiplies the variances of a fit by maximum likelihood by n / (n - p)."""
    n, p = case["dims"]["nobs"], case["dims"]["p"]
    return 1.0 if case["spec"]["method"] == "REML" else n / (n - p)


def test_criterion(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    assert fit.converged
    assert fit.nobs == case["dims"]["nobs"]
    assert fit.df_model == case["criteria"]["df"]
    assert fit.loglik == pytest.approx(case["criteria"]["loglik"], abs=LOGLIK, rel=0.0)
    assert fit.aic == pytest.approx(case["criteria"]["AIC"], abs=2 * LOGLIK, rel=0.0)


def test_coefficients(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    ours = align_names(case["fixed"]["names"], fit.coef_names, case_data(case))
    se = np.array(case["fixed"]["se"])
    np.testing.assert_allclose(fit.sigma, case["sigma"], rtol=COEFFICIENT)
    np.testing.assert_allclose(fit.fixef[ours], case["fixed"]["estimate"], rtol=COEFFICIENT)
    np.testing.assert_allclose(fit.se[ours] * np.sqrt(adjustment(case)), se, rtol=COEFFICIENT)
    V = np.array(case["fixed"]["vcov"])
    size = np.sqrt(np.outer(V.diagonal(), V.diagonal()))
    # nlme's vcov() has the maximum-likelihood variance as it is in one version and adjusted in another
    ratio = fit.vcov()[np.ix_(ours, ours)] / size
    scale = V[0, 0] / fit.vcov()[ours[0], ours[0]]
    assert scale == pytest.approx(1.0, rel=COEFFICIENT) or scale == pytest.approx(
        adjustment(case), rel=COEFFICIENT
    )
    np.testing.assert_allclose(ratio * scale, V / size, atol=COEFFICIENT)


def test_tests(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    if case["spec"]["method"] == "ML":  # nlme's adjusted variances would enter
        return
    ours = align_names(case["fixed"]["names"], fit.coef_names, case_data(case))
    table = fit.tidy()
    np.testing.assert_allclose(table["statistic"].to_numpy()[ours], case["fixed"]["t"], rtol=2 * COEFFICIENT)
    # a p-value far out in the tail moves by t^2 times the relative error of t
    np.testing.assert_allclose(
        np.log(table["p_value"].to_numpy()[ours]), np.log(case["fixed"]["p"]), rtol=1e-3, atol=1e-3
    )
    for kind in ("sequential", "marginal"):
        theirs = case[f"anova_{kind}"]
        anova = fit.anova(kind)
        own = dict(zip([frozenset(t.split(":")) for t in anova["term"]], anova["statistic"], strict=True))
        for term, statistic in zip(theirs["terms"][1:], theirs["F-value"][1:], strict=True):
            key = frozenset(term.replace("^", " ** ").replace("I(age - 11)", "I(age - 11)").split(":"))
            assert own[key] == pytest.approx(statistic, rel=1e-3, abs=1e-6), term


def test_residual_parameters(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    theirs = [*(case["variance"].get("values") or []), *(case["correlation"].get("values") or [])]
    table = fit.varcorr()
    np.testing.assert_allclose(table["estimate"].to_numpy()[1:], theirs, rtol=PARAMETER, atol=1e-5)


def test_intervals_of_residual_parameters(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    theirs = case.get("intervals") or {}
    parts = [theirs[part] for part in ("varStruct", "corStruct") if part in theirs]
    if not parts or case["correlation"]["class"] == "corSymm":  # nlme has no exact intervals of these
        return
    if case["correlation"]["class"] == "corCAR1" and fit.record.parameter_limits[-1][0] < 0.0:
        return  # over whole-numbered times our alpha may be negative: another scale than nlme's logit
    table = fit.varcorr().iloc[1:]
    for ours, end in (("conf_low", "lower"), ("conf_high", "upper")):
        limits = [value for part in parts for value in part[end]]
        # nlme's Hessian is a finite difference of the criterion
        np.testing.assert_allclose(table[ours], limits, rtol=5e-3)


def test_fitted_values_and_residuals(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    sums = case["residuals"]
    assert (fit.fitted**2).sum() == pytest.approx(case["fitted"]["sum_sq"], rel=COEFFICIENT)
    for kind in ("response", "pearson"):
        own = fit.residuals(kind)
        assert (own**2).sum() == pytest.approx(sums[kind]["sum_sq"], rel=PARAMETER)
    if case["spec"]["method"] == "REML":
        assert (fit.residuals("normalized") ** 2).sum() == pytest.approx(fit.df_residual, rel=1e-10)
