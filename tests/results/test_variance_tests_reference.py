"""`ranova` against lmerTest's, and `compare` against lme4's likelihood-ratio tests, over all cases.

Statistics agree to 1e-6, as the reference's README has it: R's optimiser limits them. (The README allows 1e-4
on the boundary and for large data; nothing here needs it.) P-values follow: a statistic that moves by d moves
log p by about d / 2.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
import pytest

import multilevel as ml
from multilevel.results.lmm import LMMFit
from reference_cases import case_data, case_names, load_case

WITH_RANOVA = [name for name in case_names("lmm_") if load_case(name).get("ranova")]
WITH_LRT = [(name, key) for name in case_names("lmm_") for key in (load_case(name).get("lrt") or {})]
CLOSE = 1e-6


def fit_formula(case: dict[str, Any], formula: str, method: str) -> LMMFit:
    spec = case["spec"]
    contrasts = {k: v.removeprefix("contr.") for k, v in (spec["contrasts"] or {}).items()}
    return ml.lmm(
        formula,
        case_data(case),
        reml=method == "REML",
        weights=spec["weights"],
        offset=spec["offset"],
        contrasts=contrasts or None,
    )


@cache
def table_of(name: str) -> Any:
    case = load_case(name)
    return fit_formula(case, case["spec"]["formula"], case["spec"]["method"]).ranova()


def key(label: str) -> tuple[str, frozenset[str]]:
    """The effect taken out ("" for an intercept), and the parts of the grouping factor in any order."""
    slope, _, term = label.rpartition(" in (")
    group = re.split(r"\|+", term or label)[-1].strip(" )")
    return slope.replace(" ", "").replace("**", "^"), frozenset(group.split(":"))


@pytest.mark.parametrize("name", WITH_RANOVA)
def test_ranova_is_that_of_lmertest(name: str) -> None:
    case, table = load_case(name), table_of(name).columns()
    theirs = case["ranova"]
    ours = {key(label): k for k, label in enumerate(table["term"])}
    assert len(ours) == len(theirs["terms"])
    for row, label in enumerate(theirs["terms"]):
        k = ours[key(label)]
        loglik = theirs["logLik"][row]
        assert table["n_parameters"][k] == theirs["npar"][row]
        assert table["loglik"][k] == pytest.approx(loglik, abs=CLOSE)
        assert table["aic"][k] == pytest.approx(theirs["AIC"][row], abs=CLOSE)
        if row == 0:
            assert np.isnan([table[name][k] for name in ("statistic", "df", "p_value", "p_boundary")]).all()
            continue
        assert table["statistic"][k] == pytest.approx(theirs["LRT"][row], abs=CLOSE)
        assert table["df"][k] == theirs["Df"][row]
        check_p(table["p_value"][k], theirs["Pr(>Chisq)"][row])


def check_p(ours: float, theirs: float | None) -> None:
    if theirs is None:
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(theirs, rel=CLOSE, abs=1e-300)


@pytest.mark.parametrize("name", WITH_RANOVA)
def test_the_boundary_p_is_never_above_the_naive_one(name: str) -> None:
    table = table_of(name).columns()
    tested = np.isfinite(table["p_value"])
    boundary = table["p_boundary"][tested]
    assert np.isfinite(boundary).all()  # every covariance that R has leads to a mixture
    assert (boundary <= table["p_value"][tested]).all()
    one = tested & (table["df"] == 1.0) & (table["statistic"] > 0.0)
    np.testing.assert_allclose(table["p_boundary"][one], table["p_value"][one] / 2.0, rtol=1e-12)


@pytest.mark.parametrize(("name", "test"), WITH_LRT)
def test_likelihood_ratios_are_those_of_lme4(name: str, test: str) -> None:
    case = load_case(name)
    theirs = case["lrt"][test]
    fits = [fit_formula(case, theirs[f"{which}_formula"], "ML") for which in ("null", "alternative")]
    comparison = ml.compare(fits)
    for ours, column in (
        ("npar", "n_par"),
        ("loglik", "loglik"),
        ("deviance", "deviance"),
        ("aic", "AIC"),
        ("bic", "BIC"),
    ):
        np.testing.assert_allclose(comparison[ours], theirs[column], rtol=0.0, atol=CLOSE)
    assert comparison["chisq"][1] == pytest.approx(theirs["chisq"], abs=CLOSE)
    assert comparison["df"][1] == theirs["df"]
    check_p(comparison["p_value"][1], theirs["p"])
