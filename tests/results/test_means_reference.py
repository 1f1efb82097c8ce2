"""Marginal means and contrasts of every linear mixed model that R's emmeans has answered for us.

Tolerances are those of tests/reference/README.md: 1e-6 of a standard error for estimates, relative 1e-6 for
standard errors, 1e-5 for Kenward and Roger's degrees of freedom, 1e-4 for Satterthwaite's (R differentiates
numerically) and 1e-2 for those of singular fits. P-values are held to 1e-4 in their logarithm, in which the
error of the degrees of freedom grows with it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import multilevel as ml
from multilevel.results.lmm import LMMFit
from multilevel.results.marginal_means import MarginalMeans
from reference_cases import align_names, case_data, case_names, load_case

METHODS = {"asymptotic": "z", "satterthwaite": "satterthwaite", "kenward_roger": "kenward-roger"}
SPECS = [
    (name, spec, method)
    for name in case_names("lmm_")
    for spec, answers in (load_case(name).get("emmeans") or {}).items()
    for method in answers
]
PTUKEY = 2e-10  # absolute: quadrature (test_studentized_range.py) shows R's to be off by 1e-10
DF = {"asymptotic": 0.0, "satterthwaite": 1e-4, "kenward_roger": 1e-5}

pytestmark = pytest.mark.parametrize(("name", "spec", "method"), SPECS)


@cache
def fit_case(name: str) -> LMMFit:
    case = load_case(name)
    spec = case["spec"]
    contrasts = spec["contrasts"] and {k: v.removeprefix("contr.") for k, v in spec["contrasts"].items()}
    return ml.lmm(
        spec["formula"],
        case_data(case),
        reml=spec["method"] == "REML",
        weights=spec["weights"],
        offset=spec["offset"],
        contrasts=contrasts,
    )


def answer(name: str, spec: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = load_case(name)["emmeans"][spec][method]
    return found


def our_method(name: str, method: str) -> str:
    """R's emmeans gives up Satterthwaite's degrees of freedom beyond 3,000 rows and takes the normal."""
    large = method == "satterthwaite" and load_case(name)["dims"]["nobs"] > 3000
    return "z" if large else METHODS[method]


@cache
def our_means(name: str, spec: str, method: str) -> MarginalMeans:
    return fit_case(name).emmeans(answer(name, spec, method)["spec"], df=our_method(name, method))


def text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def rows_of(ours: dict[str, Any], theirs: dict[str, Any]) -> list[int]:
    """Row of ours for each of R's, by what the label columns say."""
    labels = [column for column in ours if column in theirs and isinstance(ours[column], list)]
    place = {key: i for i, key in enumerate(zip(*(map(text, ours[label]) for label in labels), strict=True))}
    return [place[key] for key in zip(*(map(text, theirs[label]) for label in labels), strict=True)]


def as_numbers(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def df_tolerance(name: str, method: str) -> float:
    return 1e-2 if method == "satterthwaite" and load_case(name)["is_singular"] else DF[method]


def check_estimates(ours: dict[str, Any], theirs: dict[str, Any], estimate: str, df: float) -> list[int]:
    rows = rows_of(ours, theirs)
    assert sorted(rows) == list(range(len(ours["estimate"])))
    se = as_numbers(theirs["SE"])
    np.testing.assert_allclose((ours["estimate"][rows] - as_numbers(theirs[estimate])) / se, 0.0, atol=1e-6)
    np.testing.assert_allclose(ours["std_error"][rows], se, rtol=1e-6)
    expected = np.array([np.inf if value is None else value for value in theirs["df"]])
    np.testing.assert_allclose(ours["df"][rows], expected, rtol=df)
    return rows


def check_limits(ours: dict[str, Any], theirs: dict[str, Any], rows: list[int]) -> None:
    low, high = ("asymp.LCL", "asymp.UCL") if "asymp.LCL" in theirs else ("lower.CL", "upper.CL")
    for column, limit in [("conf_low", low), ("conf_high", high)]:
        difference = ours[column][rows] - as_numbers(theirs[limit])
        np.testing.assert_allclose(difference / as_numbers(theirs["SE"]), 0.0, atol=1e-4)


def check_p(ours: np.ndarray, theirs: list[float | None], df: float, rounding: float = 0.0) -> None:
    expected = as_numbers(theirs)
    told = expected > 1e4 * rounding
    np.testing.assert_allclose(np.log(ours[told]), np.log(expected[told]), rtol=max(df, 1e-4), atol=1e-4)
    np.testing.assert_allclose(ours[~told], expected[~told], atol=rounding)


def test_means(name: str, spec: str, method: str) -> None:
    ours, theirs = our_means(name, spec, method).columns(), answer(name, spec, method)["emmeans"]
    rows = check_estimates(ours, theirs, "emmean", df_tolerance(name, method))
    check_limits(ours, theirs, rows)
    p = our_means(name, spec, method).test()["p_value"].to_numpy()[rows]
    check_p(p, theirs["p.value"], df_tolerance(name, method))


def test_linear_functions(name: str, spec: str, method: str) -> None:
    case, fit = load_case(name), fit_case(name)
    theirs = answer(name, spec, method)
    means = our_means(name, spec, method)
    rows = rows_of(means.columns(), theirs["emmeans"])
    order = align_names(
        theirs["linfct"]["col_names"], fit.coef_names, case_data(case), case["spec"]["contrasts"]
    )
    L = means.means.functions.L[np.ix_(rows, order)]
    np.testing.assert_allclose(L, theirs["linfct"]["values"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("adjust", "column"),
    [("none", "unadjusted"), ("tukey", "tukey"), ("bonferroni", "bonferroni"), ("holm", "holm")],
)
def test_pairwise_contrasts(name: str, spec: str, method: str, adjust: str, column: str) -> None:
    pairs = answer(name, spec, method)["pairs"]
    if pairs is None:
        with pytest.raises(ml.errors.DataError, match="nothing can be compared"):
            our_means(name, spec, method).contrasts()
        return
    ours, theirs = our_means(name, spec, method).contrasts(adjust=adjust).columns(), pairs[column]
    df = df_tolerance(name, method)
    rows = check_estimates(ours, theirs, "estimate", df)
    check_p(ours["p_value"][rows], theirs["p.value"], df, PTUKEY if adjust == "tukey" else 0.0)
    if adjust == "none":
        check_limits(ours, theirs, rows)
