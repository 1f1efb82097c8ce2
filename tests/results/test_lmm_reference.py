"""Every linear mixed model that R has answered for us, quantity by quantity.

Tolerances are those of tests/reference/README.md. R's optimum was found by three optimisers and polished, so
what limits us is the flatness of the criterion: about 1e-6 in what depends on theta in second order (beta,
its covariance), 1e-5 in theta itself. On the boundary, variances are compared to 1e-3 of sigma and
correlations not.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.results.lmm import LMMFit
from reference_cases import align_names, case_data, case_names, load_case, name_key, to_formulaic_names

CASES = case_names("lmm_")
THETA = 1e-5  # relative, for all that depends on theta in first order

pytestmark = pytest.mark.parametrize("name", CASES)


def contrasts_of(case: dict[str, Any]) -> dict[str, str] | None:
    contrasts = case["spec"]["contrasts"]
    return {k: v.removeprefix("contr.") for k, v in contrasts.items()} if contrasts else None


def fit_formula(case: dict[str, Any], formula: str, method: str) -> LMMFit:
    spec = case["spec"]
    return ml.lmm(
        formula,
        case_data(case),
        reml=method == "REML",
        weights=spec["weights"],
        offset=spec["offset"],
        contrasts=contrasts_of(case),
    )


@cache
def fit_case(name: str) -> LMMFit:
    case = load_case(name)
    return fit_formula(case, case["spec"]["formula"], case["spec"]["method"])


def group_key(name: str) -> frozenset[str]:
    """Parts of a grouping factor's name: lme4 writes a/b as b:a."""
    return frozenset(name.split(":"))


def our_columns(case: dict[str, Any], r_names: list[str]) -> list[frozenset[str]]:
    names = to_formulaic_names(r_names, case_data(case), case["spec"]["contrasts"])
    return [name_key(n) for n in names]


def find_block(fit: LMMFit, case: dict[str, Any], group: str, r_names: list[str]) -> Any:
    """Our covariance of R's term: rows of the term that holds R's columns (|| keeps ours in one term)."""
    wanted = our_columns(case, r_names)
    for term in fit.record.terms:
        ours = [name_key(n) for n in term.names]
        if group_key(term.group) == group_key(group) and set(wanted) <= set(ours):
            return term, [ours.index(w) for w in wanted]
    raise AssertionError(f"no term of ours for {group}: {r_names}")


def test_rows_and_columns(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    assert fit.nobs == case["dims"]["nobs"]
    assert fit.dropped.n_missing == case["dims"]["n_dropped_na"]
    assert list(fit.dropped.columns) == case["dims"]["rank_deficient_dropped"]
    assert fit.df_model == case["criteria"]["df"]
    ours = {group_key(g): n for g, n in fit.ngroups.items()}
    assert ours == {group_key(g): n for g, n in case["dims"]["ngroups"].items()}


def test_criterion(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    criteria = case["criteria"]
    reference = criteria["reml_criterion"] if fit.reml else criteria["deviance"]
    assert fit.criterion <= reference + 1e-6  # never worse than R
    for ours, theirs in [(fit.loglik, "loglik"), (fit.aic, "AIC"), (fit.bic, "BIC")]:
        assert ours == pytest.approx(criteria[theirs], rel=1e-9, abs=1e-6 if fit.singular else 1e-7)


def test_optimum_is_certified(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    assert fit.converged
    assert fit.singular == case["is_singular"]


def test_fixed_effects(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    fixed = case["fixed"]
    order = align_names(fixed["names"], fit.coef_names, case_data(case), case["spec"]["contrasts"])
    se = np.array(fixed["se"])
    # relative to each standard error: an estimate near zero has no relative digits of its own
    np.testing.assert_allclose((fit.fixef[order] - fixed["estimate"]) / se, 0.0, atol=1e-6)
    np.testing.assert_allclose(fit.se[order], se, rtol=1e-6)
    scaled = (fit.vcov()[np.ix_(order, order)] - fixed["vcov"]) / np.outer(se, se)
    np.testing.assert_allclose(scaled, 0.0, atol=2e-6)


def test_covariances(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    assert fit.sigma == pytest.approx(case["sigma"], rel=THETA)
    for theirs in case["varcorr"]:
        term, rows = find_block(fit, case, theirs["group"], theirs["names"])
        sd = np.array(theirs["sd"])
        atol = 1e-3 * case["sigma"] if case["is_singular"] else 0.0
        np.testing.assert_allclose(term.sd[rows], sd, rtol=THETA, atol=atol)
        if not case["is_singular"]:
            np.testing.assert_allclose(term.correlation[np.ix_(rows, rows)], theirs["corr"], atol=THETA)


def test_theta(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    if case["is_singular"]:
        assert sum(t.factor.shape[0] * (t.factor.shape[0] + 1) // 2 for t in fit.record.terms) >= len(
            fit.theta
        )
        return
    ours = np.sort(np.abs(fit.theta))  # terms stand in the formula's order here, by their levels in lme4
    np.testing.assert_allclose(ours, np.sort(np.abs(case["theta"]["values"])), rtol=THETA, atol=1e-6)


def levels_in_order(grouping: Any, group: str, r_levels: list[str]) -> list[int]:
    """Rows of our levels that are R's: R writes a level of b:a as "b:a", we as "a:b"."""
    ours, theirs = grouping.name.split(":"), group.split(":")
    if len(ours) == 1:
        return [grouping.levels.index(level) for level in r_levels]
    position = {frozenset(enumerate(level.split(":"))): i for i, level in enumerate(grouping.levels)}
    turn = [ours.index(part) for part in theirs]
    return [position[frozenset(zip(turn, level.split(":"), strict=True))] for level in r_levels]


def test_random_effects(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    for theirs in case["ranef"]:
        index = next(
            i for i, g in enumerate(fit.design.groupings) if group_key(g.name) == group_key(theirs["group"])
        )
        modes = next(m for m in fit.record.modes if m.grouping == index)
        names = [name_key(n) for t in modes.terms for n in fit.record.terms[t].names]
        columns = [names.index(c) for c in our_columns(case, theirs["columns"])]
        rows = levels_in_order(fit.design.groupings[index], theirs["group"], theirs["levels"])
        scale = np.sqrt(np.mean(np.square(theirs["values"]))) + case["sigma"] * 1e-3
        tolerance = 1e-3 if case["is_singular"] else THETA
        np.testing.assert_allclose(
            modes.values[np.ix_(rows, columns)] / scale, np.array(theirs["values"]) / scale, atol=tolerance
        )
        check_conditional_variances(modes, rows, columns, theirs["condvar"], tolerance)


def check_conditional_variances(
    modes: Any, rows: list[int], columns: list[int], condvar: Any, tolerance: float
) -> None:
    blocks = condvar["terms"] if "terms" in condvar else [condvar["values"]]
    variance = modes.variance[np.ix_(rows, columns, columns)]
    at = 0
    for block in map(np.array, blocks):  # R has one block for each term of a factor, we one for all
        q = block.shape[1]
        size = np.abs(block).max() or 1.0
        ours = variance[:, at : at + q, at : at + q]
        np.testing.assert_allclose(ours / size, block / size, rtol=tolerance, atol=tolerance)
        at += q


def check_summary_of(ours: np.ndarray, theirs: dict[str, Any], unit: float, tolerance: float) -> None:
    assert len(ours) == theirs["n"]
    head = np.array(theirs["head"], dtype=float)
    np.testing.assert_allclose((ours[: len(head)] - head) / unit, 0.0, atol=tolerance)
    assert (ours @ ours - theirs["sum_sq"]) / (unit**2 * len(ours)) == pytest.approx(
        0.0, abs=100 * tolerance * max(1.0, abs(ours).max() / unit)
    )


def test_fitted_and_residuals(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    unit = case["sigma"]
    tolerance = 1e-3 if case["is_singular"] else THETA
    check_summary_of(fit.fitted, case["fitted"], unit, tolerance)
    check_summary_of(fit.record.fitted_fixed, case["fitted_fixed"], unit, tolerance)
    check_summary_of(fit.residuals(), case["residuals"], unit, tolerance)
    check_summary_of(fit.residuals("scaled"), case["residuals_pearson"], 1.0, tolerance)


def newdata_of(case: dict[str, Any]) -> pd.DataFrame | None:
    if not case.get("predict"):
        return None
    data = case_data(case)
    new = pd.DataFrame(case["predict"]["newdata"])
    for column in new:
        if isinstance(data[column].dtype, pd.CategoricalDtype):
            levels = list(data[column].cat.categories)
            levels += [level for level in new[column].unique() if level not in levels]
            new[column] = pd.Categorical(new[column], levels, ordered=data[column].cat.ordered)
    return new


def test_predictions(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    new = newdata_of(case)
    if new is None:
        assert "predict" not in case or case["predict"] is None
        return
    tolerance = 1e-3 if case["is_singular"] else THETA
    conditional = fit.predict(new, new_levels="population")
    population = fit.predict(new, re="none")
    np.testing.assert_allclose(
        (conditional - case["predict"]["conditional"]) / case["sigma"], 0.0, atol=tolerance
    )
    np.testing.assert_allclose(
        (population - case["predict"]["population"]) / case["sigma"], 0.0, atol=tolerance
    )


# performance::icc gives the bare intercept's share where the slope's column is not in X under the same name,
# and for double bars; we report the mean random-effect variance (Johnson 2014) throughout.
INTERCEPT_ONLY_IN_R = {
    "lmm_sleepstudy_uncorr_ml",
    "lmm_sleepstudy_uncorr_reml",
    "lmm_sleepstudy_two_terms",
    "lmm_sleepstudy_poly2",
    "lmm_machines_slopes",
}


def test_icc(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    share = fit.icc()["icc"].iloc[-1]  # one grouping factor, or the row of all groups together
    mean_variance = sum(
        np.mean(((term.Z @ found.covariance) * term.Z).sum(axis=1))
        for term, found in zip(fit.design.terms, fit.record.terms, strict=True)
    )
    assert share == pytest.approx(mean_variance / (mean_variance + fit.sigma**2), rel=1e-12)
    theirs = (case.get("icc") or {}).get("ICC_adjusted")
    if theirs is not None and name not in INTERCEPT_ONLY_IN_R:
        assert share == pytest.approx(theirs, rel=THETA)


def test_maximum_likelihood_refit(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    theirs = case.get("ml_refit")
    if theirs is None:
        assert not fit.reml or case["dims"]["nobs"] > 5000
        return
    ours = fit.update(reml=False)
    assert ours.loglik == pytest.approx(theirs["loglik"], rel=1e-9, abs=1e-6)
    assert ours.aic == pytest.approx(theirs["AIC"], rel=1e-9, abs=1e-6)
    assert ours.sigma == pytest.approx(theirs["sigma"], rel=THETA)


def test_likelihood_ratio_tests(name: str) -> None:
    case = load_case(name)
    for theirs in (case.get("lrt") or {}).values():
        null = fit_formula(case, theirs["null_formula"], "ML")
        alternative = fit_formula(case, theirs["alternative_formula"], "ML")
        table = ml.compare(null, alternative)
        row = table.frame.iloc[1] if hasattr(table, "frame") else table.iloc[1]
        assert row["chisq"] == pytest.approx(theirs["chisq"], abs=1e-6, rel=1e-7)
        assert row["df"] == theirs["df"]
        assert row["p_value"] == pytest.approx(theirs["p"], rel=1e-5, abs=1e-15)
