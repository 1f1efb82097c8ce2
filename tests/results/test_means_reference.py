"""Marginal means and contrasts of every linear mixed model that R's emmeans has answered for us.

Tolerances are those of tests/reference/README.md: 1e-6 of a standard error for estimates, relative 1e-6 for
standard errors, 1e-4 for p-values (R's `ptukey` and, for Satterthwaite's df, its numerical derivatives).
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

SPECS = [(name, spec) for name in case_names("lmm_") for spec in (load_case(name).get("emmeans") or {})]

pytestmark = pytest.mark.parametrize(("name", "spec"), SPECS)


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


def answer(name: str, spec: str, df_method: str = "asymptotic") -> dict[str, Any]:
    found: dict[str, Any] = load_case(name)["emmeans"][spec][df_method]
    return found


@cache
def our_means(name: str, spec: str, df: str | None = "z") -> MarginalMeans:
    return fit_case(name).emmeans(answer(name, spec)["spec"], df=df)


def text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def rows_of(ours: dict[str, Any], theirs: dict[str, Any]) -> list[int]:
    """Row of ours for each of R's, by what the label columns say."""
    labels = [column for column in ours if column in theirs and isinstance(ours[column], list)]
    place = {key: i for i, key in enumerate(zip(*(map(text, ours[label]) for label in labels), strict=True))}
    return [place[key] for key in zip(*(map(text, theirs[label]) for label in labels), strict=True)]


def as_numbers(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def check_estimates(ours: dict[str, Any], theirs: dict[str, Any], estimate: str) -> list[int]:
    rows = rows_of(ours, theirs)
    assert sorted(rows) == list(range(len(ours["estimate"])))
    se = as_numbers(theirs["SE"])
    np.testing.assert_allclose((ours["estimate"][rows] - as_numbers(theirs[estimate])) / se, 0.0, atol=1e-6)
    np.testing.assert_allclose(ours["std_error"][rows], se, rtol=1e-6)
    return rows


def check_limits(ours: dict[str, Any], theirs: dict[str, Any], rows: list[int]) -> None:
    low, high = ("asymp.LCL", "asymp.UCL") if "asymp.LCL" in theirs else ("lower.CL", "upper.CL")
    for column, limit in [("conf_low", low), ("conf_high", high)]:
        difference = ours[column][rows] - as_numbers(theirs[limit])
        np.testing.assert_allclose(difference / as_numbers(theirs["SE"]), 0.0, atol=1e-4)


def test_means(name: str, spec: str) -> None:
    ours, theirs = our_means(name, spec).columns(), answer(name, spec)["emmeans"]
    rows = check_estimates(ours, theirs, "emmean")
    check_limits(ours, theirs, rows)
    p = our_means(name, spec).test()["p_value"].to_numpy()[rows]
    np.testing.assert_allclose(p, as_numbers(theirs["p.value"]), rtol=1e-4, atol=1e-300)


def test_linear_functions(name: str, spec: str) -> None:
    case, fit = load_case(name), fit_case(name)
    theirs = answer(name, spec)
    rows = rows_of(our_means(name, spec).columns(), theirs["emmeans"])
    order = align_names(
        theirs["linfct"]["col_names"], fit.coef_names, case_data(case), case["spec"]["contrasts"]
    )
    L = our_means(name, spec).means.functions.L[np.ix_(rows, order)]
    np.testing.assert_allclose(L, theirs["linfct"]["values"], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("adjust", "column"),
    [("none", "unadjusted"), ("tukey", "tukey"), ("bonferroni", "bonferroni"), ("holm", "holm")],
)
def test_pairwise_contrasts(name: str, spec: str, adjust: str, column: str) -> None:
    pairs = answer(name, spec)["pairs"]
    if pairs is None:
        with pytest.raises(ml.errors.DataError, match="nothing can be compared"):
            our_means(name, spec).contrasts()
        return
    ours, theirs = our_means(name, spec).contrasts(adjust=adjust).columns(), pairs[column]
    rows = check_estimates(ours, theirs, "estimate")
    np.testing.assert_allclose(ours["p_value"][rows], as_numbers(theirs["p.value"]), rtol=1e-4, atol=1e-12)
    if adjust == "none":
        check_limits(ours, theirs, rows)
