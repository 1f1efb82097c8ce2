"""Every fit by R's nlme::lme that we know of, with and without a structure of the residuals.

Tolerances are those of tests/reference/README.md: nlme stops at numerical gradients, about 1e-4 in the
coefficients and 1e-3 in the parameters of the residuals; in the log-likelihood it reaches 1e-5. A variance
that depends on the fitted values is a fixed point that nlme reaches to about 1e-3.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import multilevel as ml
from multilevel.results.structured import StructuredFit
from nlme_cases import residual_of
from reference_cases import align_names, case_data, case_names, load_case

CASES = [name for name in case_names("nlme_") if load_case(name)["kind"] == "nlme_lme"]
BARS = {
    "~ 1 | Subject": "(1 | Subject)",
    "~ Days | Subject": "(1 + Days | Subject)",
    "~ age | Subject": "(1 + age | Subject)",
    "~ I(age - 11) | Subject": "(1 + I(age - 11) | Subject)",
    "~ Time | Rat": "(1 + Time | Rat)",
    "~ pressure + I(pressure^2) | Subject": "(1 + pressure + I(pressure**2) | Subject)",
    "list(Mare = pdDiag(~ s1))": "(1 + s1 || Mare)",
    "~ 1 | B/V": "(1 | B / V)",
    "~ 1 | Worker/Machine": "(1 | Worker / Machine)",
    "list(Worker = pdCompSymm(~ Machine - 1))": "cs(0 + Machine | Worker, hom=TRUE)",
    "list(Worker = pdBlocked(list(pdIdent(~ 1), pdIdent(~ Machine - 1))))": "(1 | Worker / Machine)",
}
COEFFICIENT = 1e-4
PARAMETER = 1e-3
LOGLIK = 1e-5


@cache
def fit_case(name: str) -> Any:
    case = load_case(name)
    spec = case["spec"]
    arguments = residual_of(case)
    residual = arguments["residual"]
    plain = spec["correlation"] is None and spec["weights"] is None
    data, time = case_data(case), arguments["time"]
    if not plain:
        if spec["correlation"] and time is None:  # R counts the rows of a group as they stand
            place = data.groupby(arguments["groups"], observed=True).cumcount()
            data, time = data.assign(place=place), "place"
        residual = ml.Residual(residual.corr, residual.var, time=time)
    return ml.lmm(
        f"{spec['formula']} + {BARS[spec['random']]}",
        data,
        residual=None if plain else residual,
        reml=spec["method"] == "REML",
    )


def of_fitted(case: dict[str, Any]) -> bool:
    weights = case["spec"]["weights"] or ""
    return weights == "varPower()" or "fitted" in weights


def structured(name: str) -> bool:
    spec = load_case(name)["spec"]
    return bool(spec["correlation"] or spec["weights"])


def reference_level(case: dict[str, Any], fit: Any) -> float:
    """nlme's sigma is that of the stratum that comes first in the data: ours over it."""
    everyone = case["variance"].get("all_groups")
    if everyone is None:
        return 1.0
    first = fit.rows.columns.strata[fit.residual.var.by].levels[0]
    return dict(zip(everyone["names"], everyone["values"], strict=True))[first]


every_case = pytest.mark.parametrize("name", CASES)
structured_cases = pytest.mark.parametrize("name", [name for name in CASES if structured(name)])


@every_case
def test_criterion(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    loglik = case["criteria"]["loglik"]
    assert fit.converged
    assert fit.nobs == case["dims"]["nobs"]
    assert fit.df_model == case["criteria"]["df"]
    # at another fixed point the covariate of the variance is another
    assert fit.loglik == pytest.approx(loglik, abs=1e-3 if of_fitted(case) else LOGLIK, rel=0.0)


@every_case
def test_coefficients(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    ours = align_names(case["fixed"]["names"], fit.coef_names, case_data(case))
    n, p = case["dims"]["nobs"], case["dims"]["p"]
    adjusted = 1.0 if fit.reml else np.sqrt(n / (n - p))  # as nlme multiplies standard errors of ML fits
    assert typical_sd(case, fit) == pytest.approx(case["sigma"] * reference_level(case, fit), rel=COEFFICIENT)
    np.testing.assert_allclose(fit.fixef[ours], case["fixed"]["estimate"], rtol=COEFFICIENT)
    np.testing.assert_allclose(fit.se[ours] * adjusted, case["fixed"]["se"], rtol=COEFFICIENT)
    if "pdBlocked" in case["spec"]["random"]:  # one level of groups to nlme, two to us
        return
    df = fit.tidy(df="containment")["df"].to_numpy()[ours]
    np.testing.assert_array_equal(df, case["fixed"]["df"])


def typical_sd(case: dict[str, Any], fit: Any) -> float:
    """Sigma; of a power of the fitted values over nlme's power, both at a typical one.

    Sigma alone is the standard deviation at a fitted value of one, far from all rows, and moves with the
    last digits of the power.
    """
    if not of_fitted(case):
        return float(fit.sigma)
    power = fit.residual_parameters()["estimate"].to_numpy()[1] - case["variance"]["values"][0]
    return float(fit.sigma * fit.fitted.mean() ** power)


@structured_cases
def test_residual_parameters(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    assert isinstance(fit, StructuredFit)
    own = fit.residual_parameters()["estimate"].to_numpy()[1:]
    everyone, theirs = case["variance"].get("all_groups"), []
    if everyone is not None:
        values = dict(zip(everyone["names"], everyone["values"], strict=True))
        levels = fit.rows.columns.strata[fit.residual.var.by].levels
        theirs += [values[level] / values[levels[0]] for level in levels[1:]]
    else:
        theirs += case["variance"].get("values") or []
    correlation = case["correlation"].get("values") or []
    if case["correlation"]["class"] == "corExp":
        correlation = [np.exp(-1.0 / correlation[0])]
    np.testing.assert_allclose(own, [*theirs, *correlation], rtol=PARAMETER)


@every_case
def test_random_effects(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    record = fit.record.mixed if structured(name) else fit.record
    if len(case["varcorr"]) == len(record.terms) == 1 and "cs(" not in fit.formula:
        theirs = case["varcorr"][0]
        names = [each.replace("(Intercept)", "Intercept") for each in theirs["names"]]
        if len(names) == len(record.terms[0].names):
            # nlme reaches a standard deviation to about 1e-4
            np.testing.assert_allclose(record.terms[0].sd, theirs["sd"], rtol=PARAMETER)
    assert (fit.fitted**2).sum() == pytest.approx(case["fitted"]["sum_sq"], rel=COEFFICIENT)
    fixed = record.fitted_fixed
    assert (fixed**2).sum() == pytest.approx(case["fitted_fixed"]["sum_sq"], rel=COEFFICIENT)
    residuals = case["residuals"]
    assert (fit.residuals() ** 2).sum() == pytest.approx(residuals["response"]["sum_sq"], rel=PARAMETER)


@structured_cases
def test_intervals(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    theirs = case.get("intervals") or {}
    if "corStruct" not in theirs or case["correlation"]["class"] != "corAR1" or "varStruct" in theirs:
        return
    row = fit.residual_parameters().iloc[1]
    # nlme's Hessian is a finite difference of the criterion; ours agrees with its profile (test_structured)
    np.testing.assert_allclose(
        [row["conf_low"], row["conf_high"]],
        [theirs["corStruct"]["lower"][0], theirs["corStruct"]["upper"][0]],
        rtol=1e-2,
    )
