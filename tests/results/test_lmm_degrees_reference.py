"""Degrees of freedom, adjusted covariances and Wald limits of every model that R has answered for us.

lmerTest differentiates numerically, so Satterthwaite's degrees of freedom are compared to 1e-4, also at the
boundary, where its one-sided derivatives might have been worse; all differ by less than 2e-5. Kenward and
Roger's depend on theta alone: 1e-5.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from multilevel.results.lmm import LMMFit
from reference_cases import align_names, case_data, case_names, load_case
from results.test_lmm_reference import fit_case

SATTERTHWAITE, KENWARD_ROGER = 1e-4, 1e-5
P = 1e-3  # relative, of p-values down to 1e-12: a tail's logarithm moves by more than the degrees of freedom

# pbkrtest leaves prior weights out of its covariances; tests/inference/test_small_samples.py checks them
UNWEIGHTED_IN_R = {"lmm_sleepstudy_weights"}

CASES = case_names("lmm_")
WITH_SATTERTHWAITE = [name for name in CASES if "summary_satterthwaite" in load_case(name)]
WITH_KENWARD_ROGER = [
    name for name in CASES if load_case(name).get("summary_kenward_roger") and name not in UNWEIGHTED_IN_R
]


def order_of(case: dict[str, Any], names: list[str], fit: LMMFit) -> list[int]:
    return align_names(names, fit.coef_names, case_data(case), case["spec"]["contrasts"])


def check_summary(name: str, df: str, theirs: dict[str, Any], tolerance: float) -> None:
    case, fit = load_case(name), fit_case(name)
    table = fit._coefficients(df)
    order = order_of(case, theirs["names"], fit)
    assert table.df is not None
    assert table.p_value is not None
    np.testing.assert_allclose(table.df[order], theirs["df"], rtol=tolerance)
    np.testing.assert_allclose(table.std_error[order], theirs["Std. Error"], rtol=1e-6)
    # an estimate near zero has no relative digits of its own
    np.testing.assert_allclose(table.statistic[order], theirs["t value"], rtol=2e-6, atol=2e-6)
    np.testing.assert_allclose(table.p_value[order], theirs["Pr(>|t|)"], rtol=P, atol=1e-12)


@pytest.mark.parametrize("name", WITH_SATTERTHWAITE)
def test_satterthwaite(name: str) -> None:
    check_summary(name, "satterthwaite", load_case(name)["summary_satterthwaite"], SATTERTHWAITE)


@pytest.mark.parametrize("name", WITH_KENWARD_ROGER)
def test_kenward_roger(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    check_summary(name, "kenward-roger", case["summary_kenward_roger"], KENWARD_ROGER)
    order = order_of(case, case["fixed"]["names"], fit)
    theirs = np.array(case["vcov_kenward_roger"])
    se = np.sqrt(theirs.diagonal())
    ours = fit.vcov(kind="kenward-roger")[np.ix_(order, order)]
    np.testing.assert_allclose((ours - theirs) / np.outer(se, se), 0.0, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_normal_wald_limits(name: str) -> None:
    """lme4's Wald limits are those of the normal distribution."""
    case, fit = load_case(name), fit_case(name)
    theirs = case.get("ci_wald")
    if theirs is None:
        assert case["dims"]["nobs"] > 5000
        return
    order = order_of(case, theirs["names"], fit)
    table = fit.confint(df="z").iloc[order]
    for ours, limit in [("conf_low", "2.5 %"), ("conf_high", "97.5 %")]:
        np.testing.assert_allclose((table[ours] - theirs[limit]) / fit.se[order], 0.0, atol=2e-6)


@pytest.mark.parametrize("method", ["satterthwaite", "kenward_roger"])
@pytest.mark.parametrize("name", CASES)
def test_rows_of_marginal_means(name: str, method: str) -> None:
    """Degrees of freedom of the combinations of coefficients that emmeans asked for."""
    case = load_case(name)
    if method == "kenward_roger" and name not in WITH_KENWARD_ROGER:
        return
    for by_method in (case.get("emmeans") or {}).values():
        theirs = by_method.get(method)
        if theirs and theirs.get("linfct") and None not in theirs["emmeans"].get("df", [None]):
            fit = fit_case(name)
            order = order_of(case, theirs["linfct"]["col_names"], fit)
            L = np.zeros((len(theirs["linfct"]["values"]), len(order)))
            L[:, order] = theirs["linfct"]["values"]
            found = fit._inference(method.replace("_", "-"))
            tolerance = SATTERTHWAITE if method == "satterthwaite" else KENWARD_ROGER
            np.testing.assert_allclose(found.df(L), theirs["emmeans"]["df"], rtol=tolerance)
            se = np.sqrt(np.diag(found.covariance(L)))
            np.testing.assert_allclose(se, theirs["emmeans"]["SE"], rtol=1e-6)


@pytest.mark.parametrize("method", ["satterthwaite", "kenward_roger"])
@pytest.mark.parametrize("name", CASES)
def test_f_tests_of_whole_terms(name: str, method: str) -> None:
    """Of additive models, where a term is its own columns in every type of test."""
    case = load_case(name)
    theirs = (case.get("anova") or {}).get(f"typeIII_{method}")
    if theirs is None or name in UNWEIGHTED_IN_R or any(":" in term for term in theirs["terms"]):
        return
    fit, names = fit_case(name), case["fixed"]["names"]
    order = order_of(case, names, fit)
    for i, term in enumerate(theirs["terms"]):
        L = np.eye(len(names))[[k for k, r_name in zip(order, names, strict=True) if r_name.startswith(term)]]
        if len(L) != theirs["NumDF"][i]:
            continue  # another term's name begins like this one's
        test = fit._inference(method.replace("_", "-")).f_test(L)
        tolerance = SATTERTHWAITE if method == "satterthwaite" else KENWARD_ROGER
        if method == "satterthwaite" and any(r_name.endswith(".L") for r_name in names):
            tolerance = 1e-3  # Fai and Cornelius depend on how a hypothesis is written; R has other rows here
        assert test.df_den == pytest.approx(theirs["DenDF"][i], rel=tolerance)
        assert test.statistic == pytest.approx(theirs["F value"][i], rel=1e-5)
        assert test.p_value == pytest.approx(theirs["Pr(>F)"][i], rel=P, abs=1e-12)
