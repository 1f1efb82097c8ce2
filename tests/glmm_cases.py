"""R's generalized mixed models fitted by us, each once; and R's names in ours."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd
from scipy.special import gammaln, xlogy

import multilevel as ml
from multilevel.results.glmm import GLMMFit
from reference_cases import Case, align_names, case_data, case_names, load_case

# without a residual, and by REML: those are ml.lmm's, and tested there
OTHERS = {"tmb_sleepstudy_ar1", "tmb_sleepstudy_cs", "tmb_sleepstudy_reml"}
GLMER = case_names("glmm_")
GLMMTMB = [name for name in case_names("tmb_") if name not in OTHERS]
CLMM = case_names("clmm_")
LOG_LOG = {"clmm_wine_cloglog"}  # clmm has the two log-log links the other way round than clm (and than we)
FAMILIES = {
    "Gamma": "gamma",
    "betabinomial": "beta_binomial",
    "cumulative": "ordinal",
    "nbinom2": "negative_binomial",
}


def family_of(case: Case) -> Any:
    if case["kind"] == "glmm_nb":
        return "negative_binomial"
    if case["kind"] == "clmm":
        return ml.families.Ordinal(case["spec"]["link"], thresholds=case["spec"]["threshold"])
    return FAMILIES.get(case["spec"]["family"], case["spec"]["family"])


def formula_of(case: Case) -> str:
    """R's formula; shares with weights= for trials are written as successes out of trials."""
    formula: str = case["spec"]["formula"]
    return formula.replace("prop ~", "incidence / size ~") if case["spec"].get("weights") else formula


def side_of(case: Case, name: str) -> str | None:
    """zi= or dispersion= as R has it; None for what is R's default."""
    text = case["spec"].get({"zi": "ziformula", "dispersion": "dispformula"}[name])
    return None if text in (None, "~0" if name == "zi" else "~1") else text


def reversed_categories(ordered: pd.Series) -> pd.Series:
    """The same categories from the highest down: 1 - exp(-exp(x)) becomes exp(-exp(-x))."""
    top = len(ordered.cat.categories) - 1
    codes = pd.Categorical.from_codes(top - ordered.cat.codes, ordered.cat.categories[::-1], ordered=True)
    return pd.Series(codes, ordered.index)


@cache
def fit_case(name: str) -> GLMMFit:
    case = load_case(name)
    contrasts = case["spec"].get("contrasts")
    data = case_data(case)
    if name in LOG_LOG:
        data["rating"] = reversed_categories(data["rating"])
    return ml.glmm(
        formula_of(case),
        data,
        family=family_of(case),
        link=None if case["kind"] == "clmm" else case["spec"]["link"],
        nagq=case["spec"].get("nAGQ", 1),
        zi=side_of(case, "zi"),
        dispersion=side_of(case, "dispersion"),
        contrasts={k: v.removeprefix("contr.") for k, v in contrasts.items()} if contrasts else None,
    )


def order_of(case: Case, r_names: list[str], ours: tuple[str, ...]) -> list[int]:
    """Place of each of R's coefficients among ours."""
    return align_names(r_names, ours, case_data(case), case["spec"].get("contrasts"))


def saturated_loglik(fit: GLMMFit) -> float:
    """What lme4 leaves out of the log-likelihood by quadrature: that of the saturated model."""
    y = fit.design.y
    if fit.family == "poisson":
        return float((xlogy(y, y) - y - gammaln(y + 1)).sum())
    trials = fit.model.trials
    if trials is None:
        return 0.0
    choose = gammaln(trials + 1) - gammaln(y + 1) - gammaln(trials - y + 1)
    p = y / trials
    return float((choose + xlogy(y, p) + xlogy(trials - y, 1.0 - p)).sum())
