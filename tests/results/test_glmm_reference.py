"""Every generalized mixed model that R has answered for us, quantity by quantity.

Laplace means the textbook approximation, with the observed Hessian: glmmTMB's, whose answers (stored
with lme4's cases as a cross-check) are the reference to 1e-5; lme4's own numbers stop about 1e-3 of a
standard error from them, and for probit and cloglog links are those of another approximation. Tolerances
are those of tests/reference/README.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glmm_cases import CLMM, GLMER, GLMMTMB, LOG_LOG, fit_case, order_of, saturated_loglik
from multilevel.results.glmm import GLMMFit
from reference_cases import Case, case_data, load_case, name_key, to_formulaic_names

QUADRATURE = [name for name in GLMER if load_case(name)["spec"]["nAGQ"] > 1]
FAST = [name for name in GLMER if load_case(name)["spec"]["nAGQ"] == 0]
CHECKED = [name for name in GLMER if "glmmTMB_crosscheck" in load_case(name) and name not in QUADRATURE]
GAMMA = ["glmm_sleep_gamma_log", "glmm_sleep_gamma_inverse"]  # lme4's are no maxima of the likelihood
LAPLACE = [name for name in CHECKED if name not in (*FAST, *GAMMA)]


def fixed_of(fit: GLMMFit, case: Case) -> tuple[np.ndarray, np.ndarray]:
    order = order_of(case, case["fixed"]["names"], fit.coef_names)
    return fit.fixef[order], fit.vcov()[np.ix_(order, order)]


def assert_close_in_se(estimate: Any, reference: Any, se: Any, tolerance: float) -> None:
    """Relative to each standard error: an estimate near zero has no relative digits of its own."""
    np.testing.assert_allclose((estimate - np.array(reference)) / np.array(se), 0.0, atol=tolerance)


def covariance_of(fit: GLMMFit, case: Case, group: str, r_names: list[str], side: str = "terms") -> Any:
    wanted = [name_key(n) for n in to_formulaic_names(r_names, case_data(case))]
    for term in getattr(fit.record, side):
        ours = [name_key(n) for n in term.names]
        if set(term.group.split(":")) == set(group.split(":")) and set(wanted) <= set(ours):
            return term, [ours.index(name) for name in wanted]
    raise AssertionError(f"no term of ours for {group}: {r_names}")


@pytest.mark.parametrize("name", [*GLMER, *GLMMTMB, *CLMM])
def test_the_search_is_certified(name: str) -> None:
    assert fit_case(name).converged


# ---- lme4, Laplace ----


@pytest.mark.parametrize("name", LAPLACE)
class TestLaplaceAgainstTheCrossCheck:
    def test_loglik(self, name: str) -> None:
        check, fit = load_case(name)["glmmTMB_crosscheck"], fit_case(name)
        assert fit.loglik == pytest.approx(check["loglik"], abs=1e-6)
        assert fit.df_model == load_case(name)["criteria"]["df"]

    def test_coefficients(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        check = case["glmmTMB_crosscheck"]
        beta, vcov = fixed_of(fit, case)
        assert_close_in_se(beta, check["estimate"], check["se"], 1e-5)
        scaled = (vcov - np.array(check["vcov"])) / np.outer(check["se"], check["se"])
        np.testing.assert_allclose(scaled, 0.0, atol=5e-4)  # R's Hessian is of differences, in raw columns

    def test_covariances(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        for group, theirs in case["glmmTMB_crosscheck"]["varcorr"].items():
            term, rows = covariance_of(fit, case, group, theirs["names"])
            np.testing.assert_allclose(term.sd[rows], theirs["sd"], rtol=1e-5, atol=1e-6)
            if not fit.singular:
                np.testing.assert_allclose(
                    term.correlation[np.ix_(rows, rows)], np.array(theirs["corr"]), atol=1e-5
                )


@pytest.mark.parametrize("name", [n for n in GLMER if n not in GAMMA and load_case(n)["kind"] == "glmm"])
def test_loglik_is_never_worse_than_lme4s(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    if case["spec"]["link"] in ("probit", "cloglog"):
        pytest.skip("lme4 approximates another way for this link")
    theirs = case["criteria"]["loglik"]
    if name in QUADRATURE:
        theirs += saturated_loglik(fit)
    assert fit.loglik >= theirs - 1e-5


CANONICAL = [n for n in LAPLACE if load_case(n)["spec"]["link"] in ("logit", "log")]


@pytest.mark.parametrize("name", FAST)
class TestFastAgainstLme4:
    """Coefficients found with the modes: the same equations in lme4, whose optimiser stops first."""

    def test_loglik(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        assert fit.loglik == pytest.approx(case["criteria"]["loglik"], abs=1e-6)
        assert fit.df_model == case["criteria"]["df"]
        assert fit.aic == pytest.approx(case["criteria"]["AIC"], abs=1e-5)
        assert fit.bic == pytest.approx(case["criteria"]["BIC"], abs=1e-5)

    def test_coefficients(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        beta, vcov = fixed_of(fit, case)
        assert_close_in_se(beta, case["fixed"]["estimate"], case["fixed"]["se"], 1e-5)
        np.testing.assert_allclose(vcov, case["fixed"]["vcov_rx"], rtol=1e-5)
        np.testing.assert_allclose(np.sqrt(np.diag(vcov)), case["fixed"]["se"], rtol=1e-5)

    def test_covariances(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        np.testing.assert_allclose(fit.theta, case["theta"]["values"], rtol=1e-5)

    def test_conditional_variances(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        np.testing.assert_allclose(
            fit.record.modes[0].variance, case["ranef"][0]["condvar"]["values"], rtol=1e-5
        )


@pytest.mark.parametrize("name", CANONICAL)
def test_coefficients_of_lme4(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    beta, _ = fixed_of(fit, case)
    assert_close_in_se(beta, case["fixed"]["estimate"], case["fixed"]["se_hessian"], 1e-3)


@pytest.mark.parametrize("name", [*CANONICAL, *FAST])
class TestLaplaceAgainstLme4:
    def test_linear_predictors_and_fitted_values(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        head = len(case["eta"]["head"])
        np.testing.assert_allclose(fit.record.eta[:head], case["eta"]["head"], atol=2e-3)
        np.testing.assert_allclose(fit.record.eta_fixed[:head], case["eta_fixed"]["head"], atol=2e-3)
        np.testing.assert_allclose(fit.fitted[:head], case["fitted"]["head"], rtol=2e-3)

    @pytest.mark.parametrize("kind", ["response", "pearson", "deviance"])
    def test_residuals(self, name: str, kind: str) -> None:
        case, fit = load_case(name), fit_case(name)
        theirs = case["residuals"][kind]
        assert float((fit.residuals(kind) ** 2).sum()) == pytest.approx(theirs["sum_sq"], rel=2e-3)
        np.testing.assert_allclose(
            fit.residuals(kind)[: len(theirs["head"])], theirs["head"], rtol=5e-3, atol=2e-3
        )

    def test_random_effects(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        for theirs in case["ranef"]:
            for modes in fit.record.modes:
                grouping = fit.design.groupings[modes.grouping]
                if grouping.name != theirs["group"] or len(theirs["columns"]) != modes.values.shape[1]:
                    continue
                rows = [grouping.levels.index(level) for level in theirs["levels"]]
                sd = np.sqrt(np.diagonal(modes.variance, axis1=1, axis2=2)[rows])
                np.testing.assert_allclose(
                    modes.values[rows], theirs["values"], atol=5e-3 * max(sd.max(), 0.05)
                )


@pytest.mark.parametrize("name", [n for n in [*CANONICAL, *FAST] if "predict" in load_case(n)])
def test_predictions_for_new_rows(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    new = new_rows(case)
    theirs = case["predict"]

    def of(kind: Any, re: Any) -> Any:
        return fit.predict(new, kind=kind, re=re, new_levels="population")

    np.testing.assert_allclose(of("link", "all"), theirs["conditional"], atol=2e-3)
    np.testing.assert_allclose(of("link", "none"), theirs["population"], atol=2e-3)
    np.testing.assert_allclose(of("response", "all"), theirs["conditional_response"], rtol=3e-3)


def new_rows(case: Case) -> Any:
    """R's new data, factors as in the data of the fit."""
    data = case_data(case)
    new = data.iloc[: len(next(iter(case["predict"]["newdata"].values())))].copy()
    for column, values in case["predict"]["newdata"].items():
        new[column] = values
    return new


# ---- lme4, quadrature ----


@pytest.mark.parametrize("name", QUADRATURE)
class TestQuadrature:
    def test_loglik(self, name: str) -> None:
        fit = fit_case(name)
        theirs = load_case(name)["criteria"]["loglik"] + saturated_loglik(fit)
        assert fit.loglik == pytest.approx(theirs, abs=1e-4)

    def test_estimates(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        beta, vcov = fixed_of(fit, case)
        se = case["fixed"]["se_hessian"]
        assert_close_in_se(beta, case["fixed"]["estimate"], se, 1e-3)
        np.testing.assert_allclose(np.sqrt(np.diag(vcov)), se, rtol=2e-3)
        np.testing.assert_allclose(fit.theta, case["theta"]["values"], rtol=2e-4)


# ---- glmmTMB ----


def dispersion_in_r(fit: GLMMFit, log_phi: np.ndarray) -> np.ndarray:
    """glmmTMB 1.1.5 has the log of phi = 1 / squared coefficient of variation for the Gamma."""
    return -log_phi if fit.family == "gamma" else log_phi


@pytest.mark.parametrize("name", GLMMTMB)
class TestGlmmTMB:
    def test_criteria(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        assert fit.loglik == pytest.approx(case["criteria"]["loglik"], abs=1e-6)
        assert fit.df_model == case["criteria"]["df"]
        assert fit.aic == pytest.approx(case["criteria"]["AIC"], abs=1e-5)
        assert fit.bic == pytest.approx(case["criteria"]["BIC"], abs=1e-5)

    def test_coefficients(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        beta, vcov = fixed_of(fit, case)
        se = case["fixed"]["se"]
        assert_close_in_se(beta, case["fixed"]["estimate"], se, 1e-4)
        np.testing.assert_allclose(np.sqrt(np.diag(vcov)), se, rtol=1e-4)

    def test_zero_inflation(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        theirs, ours = case.get("zero_inflation"), fit.record.part("zi")
        assert (theirs is None) == (ours is None)
        if theirs is None or ours is None:
            return
        order = order_of(case, theirs["names"], ours.names)
        assert_close_in_se(ours.estimate[order], theirs["estimate"], theirs["se"], 1e-4)
        np.testing.assert_allclose(ours.std_error[order], theirs["se"], rtol=1e-4)

    def test_dispersion(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        ours, theirs = fit.record.part("disp"), case.get("dispersion")
        if ours is None or theirs is None:
            return
        order = order_of(case, theirs["names"], ours.names)
        estimate = dispersion_in_r(fit, ours.estimate)[order]
        np.testing.assert_allclose(estimate, theirs["estimate"], rtol=1e-4, atol=1e-5)
        if theirs["se"][0] is not None:
            np.testing.assert_allclose(ours.std_error[order], theirs["se"], rtol=1e-4)

    @pytest.mark.parametrize("side", ["terms", "zi_terms"])
    def test_covariances(self, name: str, side: str) -> None:
        case, fit = load_case(name), fit_case(name)
        for theirs in case["varcorr" if side == "terms" else "varcorr_zi"] or []:
            term, rows = covariance_of(fit, case, theirs["term"], theirs["names"], side)
            np.testing.assert_allclose(term.sd[rows], theirs["sd"], rtol=1e-4, atol=1e-5)
            if theirs["structure"] != "diag" and len(rows) > 1:
                np.testing.assert_allclose(term.correlation[np.ix_(rows, rows)], theirs["corr"], atol=1e-4)

    def test_predictions(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        theirs = case.get("predict")
        if not theirs:
            return
        new = new_rows(case)
        for kind in ("link", "conditional", "response", "zprob"):
            if theirs.get(kind) is None or (kind == "zprob" and fit.model.zi is None):
                continue
            ours = fit.predict(new, kind=kind, new_levels="population")  # type: ignore[arg-type]
            np.testing.assert_allclose(ours, theirs[kind], rtol=1e-3, atol=1e-4)


# ---- ordinal ----


@pytest.mark.parametrize("name", CLMM)
class TestClmm:
    def test_loglik(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        # clmm's own modes, of models with one scalar term, stop about 1e-5 of the log-likelihood early
        assert fit.loglik == pytest.approx(case["polished"]["loglik"], abs=2e-5)
        assert fit.df_model == case["criteria"]["df"]

    def test_coefficients(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        p, m = len(case["fixed"]["names"]), len(case["thresholds"]["names"])
        order = order_of(case, case["fixed"]["names"], fit.coef_names)
        par, se = np.array(case["polished"]["par"]), np.array(case["polished"]["se"])
        turn = -1.0 if name in LOG_LOG else 1.0
        assert_close_in_se(turn * fit.fixef[order], par[m : m + p], se[m : m + p], 1e-3)
        np.testing.assert_allclose(fit.se[order], se[m : m + p], rtol=1e-3)

    def test_thresholds(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        ours = -fit.thresholds[::-1] if name in LOG_LOG else fit.thresholds
        np.testing.assert_allclose(ours, case["thresholds"]["Theta"], atol=1e-3)

    def test_covariances(self, name: str) -> None:
        case, fit = load_case(name), fit_case(name)
        for theirs in case["varcorr"]:
            term, rows = covariance_of(fit, case, theirs["group"], theirs["names"])
            np.testing.assert_allclose(term.sd[rows], theirs["sd"], rtol=2e-3, atol=1e-3)


# ---- what is asked of a fit ----


WITH_TESTS = [n for n in [*CANONICAL, *FAST] if "wald_chisq_typeII" in load_case(n)]


@pytest.mark.parametrize("name", WITH_TESTS)
@pytest.mark.parametrize("kind", ["II", "III"])
def test_wald_tests_of_terms(name: str, kind: Any) -> None:
    case, fit = load_case(name), fit_case(name)
    theirs = case[f"wald_chisq_type{kind}"]
    table = fit.anova(kind).set_index("term")
    ours = {name_key(term.replace(" ", "")): row for term, row in table.iterrows()}
    for term, chisq, df in zip(theirs["terms"], theirs["Chisq"], theirs["Df"], strict=True):
        if term == "(Intercept)":
            continue
        row = ours[name_key(term.replace(" ", "").replace("^", "**"))]
        # R's covariance is a crude finite difference: up to 2% in standard errors
        assert row["statistic"] == pytest.approx(chisq, rel=4e-2)
        assert row["df"] == df


@pytest.mark.parametrize("name", [n for n in [*CANONICAL, *FAST] if load_case(n).get("icc")])
def test_icc_and_r2(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    if case["spec"]["family"] != "binomial":
        pytest.skip("of counts the reference takes another mean; see test_counts_at_the_reference_mean")
    icc = fit.icc()
    latent = icc[icc["scale"] == "latent"]
    assert latent["icc"].sum() == pytest.approx(case["icc"]["ICC_adjusted"], rel=2e-3)
    assert latent["icc_unadjusted"].sum() == pytest.approx(case["icc"]["ICC_unadjusted"], rel=2e-3)
    r2 = fit.r2().set_index("measure")["estimate"]
    assert r2["marginal"] == pytest.approx(case["r2_nakagawa"]["R2_marginal"], rel=2e-3)
    assert r2["conditional"] == pytest.approx(case["r2_nakagawa"]["R2_conditional"], rel=2e-3)


def test_counts_at_the_reference_mean() -> None:
    """performance takes exp(intercept of the null model), the typical group's mean, for lambda."""
    case, fit = load_case("glmm_epil_ri"), fit_case("glmm_epil_ri")
    null = fit.update(". ~ 1 + (1 | subject)")
    mean = float(np.exp(null.fixef[0]))
    assert fit.icc(mean=mean)["icc"][0] == pytest.approx(case["icc"]["ICC_adjusted"], rel=1e-4)
    assert fit.r2(mean=mean)["estimate"][0] == pytest.approx(case["r2_nakagawa"]["R2_marginal"], rel=1e-3)


@pytest.mark.parametrize("name", [n for n in GLMER if "ci_profile" in load_case(n)])
def test_profile_intervals(name: str) -> None:
    case, fit = load_case(name), fit_case(name)
    theirs = case["ci_profile"]
    limits = fit.profile().interval_columns(0.95)
    width = np.array(theirs["97.5 %"], dtype=float) - np.array(theirs["2.5 %"], dtype=float)
    n_sd = len(theirs["names"]) - len(fit.fixef)
    assert n_sd == 1
    order = [len(fit.fixef), *order_of(case, theirs["names"][1:], fit.coef_names)]
    for ours, name_of in (("conf_low", "2.5 %"), ("conf_high", "97.5 %")):
        # R interpolates splines of the profile: 1e-3 of the interval
        np.testing.assert_allclose(
            (limits[ours][order] - np.array(theirs[name_of], dtype=float)) / width, 0.0, atol=1e-3
        )


def test_marginal_means_on_either_scale() -> None:
    case, fit = load_case("glmm_cbpp_laplace"), fit_case("glmm_cbpp_laplace")
    theirs = case["emmeans"]["period"]["default"]
    link = fit.emmeans("period").columns()
    np.testing.assert_allclose(link["estimate"], theirs["emmeans"]["emmean"], rtol=1e-5)
    np.testing.assert_allclose(link["std_error"], theirs["emmeans"]["SE"], rtol=1e-4)
    response = fit.emmeans("period", kind="response").columns()
    np.testing.assert_allclose(response["estimate"], theirs["response_scale"]["prob"], rtol=1e-5)
    np.testing.assert_allclose(response["std_error"], theirs["response_scale"]["SE"], rtol=1e-4)
    np.testing.assert_allclose(response["conf_low"], theirs["response_scale"]["asymp.LCL"], rtol=1e-4)
    pairs = fit.emmeans("period").contrasts("pairwise")
    np.testing.assert_allclose(pairs["p_value"], theirs["pairs"]["tukey"]["p.value"], rtol=1e-3)
    ratios = fit.contrasts("period", "pairwise", kind="response")
    np.testing.assert_allclose(ratios["estimate"], np.exp(pairs["estimate"]))
