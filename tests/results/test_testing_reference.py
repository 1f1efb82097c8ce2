"""Every analysis of variance that R has answered for us: types I to III by both methods, and lme4's own.

Tolerances are those of tests/reference/README.md. F is limited by the flatness of R's criterion, as
coefficients and their covariance are (1e-6); mean squares also by sigma (1e-5); Satterthwaite's degrees of
freedom by R's numerical derivatives (1e-4, and 1e-2 at the boundary); Kenward and Roger's by theta (1e-5).
p-values follow: a relative change of F or of df changes the logarithm of p by as much.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from reference_cases import case_data, case_names, load_case, name_key

CASES = [name for name in case_names("lmm_") if load_case(name).get("anova")]
TYPES = {"typeIII": "III", "typeII": "II", "typeI": "I"}

# pbkrtest leaves precision weights out of the covariance that it adjusts: for the same model, all columns
# multiplied by the root of the weight, R gives F 41.96 on 17 df instead of 40.64 on 20.6 (tested below).
WITHOUT_WEIGHTS = {"lmm_sleepstudy_weights"}
SMALLEST_P = 1e-300  # numbers below lose digits, then all


@cache
def fit_case(name: str) -> Any:
    case = load_case(name)
    spec = case["spec"]
    contrasts = {k: v.removeprefix("contr.") for k, v in (spec["contrasts"] or {}).items()}
    return ml.lmm(
        spec["formula"],
        case_data(case),
        reml=spec["method"] == "REML",
        weights=spec["weights"],
        offset=spec["offset"],
        contrasts=contrasts,
    )


def numbers(values: list[Any]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def term_key(name: str) -> frozenset[str]:
    """Parts of a term, however its powers and spaces are written."""
    return name_key("".join(name.replace("^", "**").split()))


def in_r_order(table: pd.DataFrame, theirs: dict[str, Any]) -> pd.DataFrame:
    ours = [term_key(name) for name in table["term"]]
    return table.iloc[[ours.index(term_key(name)) for name in theirs["terms"]]]


def check_p(ours: pd.Series, theirs: np.ndarray, tolerance: float) -> None:
    ours, theirs = (np.log(np.maximum(p, SMALLEST_P)) for p in (ours.to_numpy(), theirs))
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", CASES)
def test_satterthwaite(name: str, kind: str) -> None:
    case = load_case(name)
    theirs = case["anova"][f"{kind}_satterthwaite"]
    table = in_r_order(fit_case(name).anova(TYPES[kind], df="satterthwaite"), theirs)
    np.testing.assert_array_equal(table["df_num"], np.nan_to_num(numbers(theirs["NumDF"])))
    np.testing.assert_allclose(table["statistic"], numbers(theirs["F value"]), rtol=1e-6)
    np.testing.assert_allclose(table["mean_sq"], numbers(theirs["Mean Sq"]), rtol=1e-5)
    np.testing.assert_allclose(table["sum_sq"], numbers(theirs["Sum Sq"]), rtol=1e-5)
    tolerance = 1e-2 if case["is_singular"] else 1e-4
    np.testing.assert_allclose(table["df_den"], numbers(theirs["DenDF"]), rtol=tolerance)
    check_p(table["p_value"], numbers(theirs["Pr(>F)"]), tolerance)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", [name for name in CASES if name not in WITHOUT_WEIGHTS])
def test_kenward_roger(name: str, kind: str) -> None:
    theirs = load_case(name)["anova"].get(f"{kind}_kenward_roger")
    if theirs is None:
        assert not fit_case(name).reml or fit_case(name).nobs > 1000 or fit_case(name).dropped.columns
        return
    table = in_r_order(fit_case(name).anova(TYPES[kind], df="kenward-roger"), theirs)
    np.testing.assert_array_equal(table["df_num"], numbers(theirs["NumDF"]))
    for ours, column in [
        ("statistic", "F value"),
        ("df_den", "DenDF"),
        ("mean_sq", "Mean Sq"),
        ("sum_sq", "Sum Sq"),
    ]:
        np.testing.assert_allclose(table[ours], numbers(theirs[column]), rtol=1e-5)
    check_p(table["p_value"], numbers(theirs["Pr(>F)"]), 1e-5)


@pytest.mark.parametrize("name", CASES)
def test_sequential(name: str) -> None:
    theirs = load_case(name)["anova"]["lme4_sequential"]  # which leaves dropped terms out
    table = in_r_order(fit_case(name).anova("sequential"), theirs)
    np.testing.assert_array_equal(table["df_num"], theirs["npar"])
    np.testing.assert_allclose(table["statistic"], theirs["F value"], rtol=1e-6)
    np.testing.assert_allclose(table["mean_sq"], theirs["Mean Sq"], rtol=1e-5)
    np.testing.assert_allclose(table["sum_sq"], theirs["Sum Sq"], rtol=1e-5)


@pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger"])
def test_weights_are_columns_times_their_roots(method: str) -> None:
    case = load_case("lmm_sleepstudy_weights")
    data = case_data(case)
    root = np.sqrt(data[case["spec"]["weights"]])
    whitened = data.assign(y=root * data["Reaction"], one=root, days=root * data["Days"])
    plain = ml.lmm("y ~ 0 + one + days + (0 + one + days | Subject)", whitened)
    ours = fit_case("lmm_sleepstudy_weights").test("Days", joint=True, df=method)
    expected = plain.test("days", joint=True, df=method)
    for column in ("statistic", "df_den", "p_value"):
        np.testing.assert_allclose(ours[column], expected[column], rtol=1e-5)
    if method == "kenward-roger":  # what R says of the whitened model, to the digits it prints
        assert ours["statistic"][0] == pytest.approx(41.956, rel=2e-4)
        assert ours["df_den"][0] == pytest.approx(17.0, rel=1e-4)


def test_balanced_experiments_agree_with_their_strata() -> None:
    """With positive variances F, df and p are the classical ones, by either method."""
    fit = fit_case("lmm_oats_splitplot")
    classical = fit.anova(strata=True).dropna().set_index("term")
    for method in ("satterthwaite", "kenward-roger"):
        table = fit.anova(df=method).set_index("term").loc[classical.index]
        np.testing.assert_allclose(table["statistic"], classical["statistic"], rtol=1e-6)
        np.testing.assert_allclose(table["df_den"], [10, 45, 45], rtol=1e-6)
        np.testing.assert_allclose(table["p_value"], classical["p_value"], rtol=1e-5)
