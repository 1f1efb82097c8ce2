"""`ml.gee` against R's geepack and gee.

R iterates to 1e-10, and so do we: estimates, standard errors, scale and correlations agree to rounding, or to
what is left of slow iterations. Where R is known to be wrong `trust.json` says so.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import MultilevelWarning
from multilevel.results.gee import GEEFit
from reference_cases import align_names, case_data, case_names, load_case, load_data, warnings_about

CASES = case_names("gee_")
ITERATED = 1e-6  # of an estimate: R stops at 1e-10, slow AR(1) iterations leave up to 1e-8 of that
STRUCTURES = {  # gee::gee's names
    "independence": "independence",
    "exchangeable": "exchangeable",
    "AR-M": "ar1",
    "unstructured": "unstructured",
    "stat_M_dep": "stationary2",
    "non_stat_M_dep": "nonstationary1",
}
FAMILIES = {"Gamma": "gamma"}
COURSE = {  # corr -> standard error of Days
    "independence": 1.502,
    "exchangeable": 1.502,
    "ar1": 1.448,
}


def structure(case, data):
    """The working correlation of a case, and the column of visits it needs."""
    spec = case["spec"]
    if spec["corstr"] != "userdefined":
        return spec["corstr"], spec["waves"]
    if case["data"]["name"] == "ohio":
        return "unstructured", "age"
    s, t = np.triu_indices(4, 1)
    lags = ((t - s)[:, None] == np.arange(1, 4)) * 1.0
    return ml.UserCorrelation(np.tile(lags, (data[spec["id"]].nunique(), 1))), None


def fitted(case, corr, time, moments="geepack"):
    spec, data = case["spec"], case_data(case)
    scale = None
    if spec["scale_fix"]:
        scale = case["geepack"]["scale"]["estimate"][0] if moments == "geepack" else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultilevelWarning)  # sizes without times; correlations that are none
        return ml.gee(
            spec["formula"].replace("^", "**"),
            data,
            groups=spec["id"],
            time=time,
            family=FAMILIES.get(spec["family"], spec["family"]),
            link=spec["link"],
            corr=corr,
            scale=scale,
            weights=spec["weights"],
            moments=moments,
        )


@cache
def geepack_fit(name: str) -> GEEFit:
    case = load_case(name)
    corr, time = structure(case, case_data(case))
    return fitted(case, corr, time)


def in_our_order(name: str, part: dict) -> list[int]:
    case = load_case(name)
    return align_names(part["names"], geepack_fit(name).coef_names, load_data(case["data"]["name"]))


def close(ours, theirs, tolerance=ITERATED):
    np.testing.assert_allclose(ours, np.asarray(theirs, dtype=float), rtol=tolerance)


@pytest.mark.parametrize("name", CASES)
def test_estimates(name):
    fit, r = geepack_fit(name), load_case(name)["geepack"]
    order = in_our_order(name, r)
    close(fit.fixef[order], r["estimate"])
    close(fit.scale, r["scale"]["estimate"][0])
    if r["alpha"]:
        np.testing.assert_allclose(fit.alpha, r["alpha"]["estimate"], rtol=ITERATED, atol=1e-9)
    head = r["fitted"]["head"]
    close(fit.fitted[: len(head)], head)
    close(fit.residuals("pearson")[: len(head)], r["residuals_pearson"]["head"])


@pytest.mark.parametrize("name", CASES)
def test_variances(name):
    fit, r = geepack_fit(name), load_case(name)["geepack"]
    order = np.ix_(in_our_order(name, r), in_our_order(name, r))
    scale = np.sqrt(np.diag(r["vcov_robust"]))
    ours = fit.vcov(kind="sandwich")[order] / np.outer(scale, scale)
    np.testing.assert_allclose(ours, r["vcov_robust"] / np.outer(scale, scale), atol=ITERATED)
    naive = np.sqrt(np.diag(r["vcov_naive"]))
    ours = fit.vcov(kind="model")[order] / np.outer(naive, naive)
    np.testing.assert_allclose(ours, r["vcov_naive"] / np.outer(naive, naive), atol=ITERATED)


@pytest.mark.parametrize("name", CASES)
def test_standard_errors_of_scale_and_correlation(name):
    table, r = geepack_fit(name).association(), load_case(name)["geepack"]
    errors = table["std_error"].to_numpy()
    close(errors[0], r["scale"]["se"][0], 1e-5)
    if r["alpha"] and not any("SE of alpha" in doubt for doubt in warnings_about(name)):
        close(errors[1:], r["alpha"]["se"], 1e-5)


@pytest.mark.parametrize(
    ("variant", "kind", "of_all"),
    [("jack", "one-step", "linear"), ("j1s", "one-step", "one-step"), ("fij", "jackknife", "jackknife")],
)
@pytest.mark.parametrize(
    "name", [name for name in CASES if len(load_case(name)["geepack"]["se_variants"]) > 1]
)
def test_jackknives(name, variant, kind, of_all):
    fit, r = geepack_fit(name), load_case(name)["geepack"]
    expected = r["se_variants"].get(variant)
    if expected is None or fit.n_clusters > 120:  # hundreds of refits are for the study
        return
    order = in_our_order(name, r)
    close(np.sqrt(np.diag(fit.vcov(kind=kind)))[order], expected["se"], 1e-5)
    errors = fit.association(vcov=of_all)["std_error"].to_numpy()
    if fit.problem.scale is None:
        close(errors[0], expected["scale_se"], 1e-5)
    if expected["alpha_se"]:
        close(errors[1:], expected["alpha_se"], 1e-5)


@pytest.mark.parametrize("name", [name for name in CASES if "QIC" in load_case(name)["geepack"]])
def test_criteria(name):
    table, r = geepack_fit(name).qic(scale=1.0), load_case(name)["geepack"]["QIC"]
    close(table["cic"], [r["CIC"]], 1e-5)
    if any("QIC" in doubt for doubt in warnings_about(name)):
        return
    close(table["quasi_likelihood"], [r["Quasi Lik"]], 1e-5)
    close(table["qic"], [r["QIC"]], 1e-5)
    close(table["qicu"], [r["QICu"]], 1e-5)
    if np.isfinite(table["qicc"].iloc[0]):  # R divides by a negative number where there are too few clusters
        close(table["qicc"], [r["QICC"]], 1e-5)


@pytest.mark.parametrize(
    "name", [name for name in CASES if "anova_sequential_wald" in load_case(name)["geepack"]]
)
def test_sequential_wald(name):
    r = load_case(name)["geepack"]["anova_sequential_wald"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultilevelWarning)
        table = geepack_fit(name).anova("sequential")
    assert list(table["df"]) == r["Df"]
    doubtful = any("anova" in doubt for doubt in warnings_about(name))
    last = slice(-1 if doubtful else None, None)  # tested in the fit itself
    close(table["statistic"][last], r["X2"][last], 1e-5)  # each of several fits is iterated


@pytest.mark.parametrize("name", [name for name in CASES if load_case(name)["geepack"].get("anova_nested")])
def test_nested_wald(name):
    fit = geepack_fit(name)
    for r in load_case(name)["geepack"]["anova_nested"].values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MultilevelWarning)
            smaller = fit.update(r["null_formula"])
        table = fit.wald_test(smaller)
        assert table["df"].iloc[0] == r["df"]
        close(table["statistic"], [r["wald_chisq"]], 1e-5)


@pytest.mark.parametrize("name", [name for name in CASES if "estimate" in (load_case(name).get("gee") or {})])
def test_moments_of_gee(name):
    case = load_case(name)
    r = case["gee"]
    if r["error"] != 0 or "not positive definite" in " ".join(case["notes"]):
        return  # gee stopped
    fit = fitted(case, STRUCTURES[r["corstr"]], None, moments="gee")
    order = align_names(r["names"], fit.coef_names, load_data(case["data"]["name"]))
    close(fit.fixef[order], r["estimate"])
    close(fit.scale, r["scale"])
    scale = np.sqrt(np.diag(r["vcov_robust"]))
    V = fit.vcov(kind="sandwich")[np.ix_(order, order)]
    np.testing.assert_allclose(
        V / np.outer(scale, scale), r["vcov_robust"] / np.outer(scale, scale), atol=ITERATED
    )
    close(np.sqrt(np.diag(fit.vcov(kind="model")))[order], r["se_naive"])
    R, theirs = fit.working_correlation(), np.array(r["working_correlation"])
    np.testing.assert_allclose(R[: len(theirs), : len(theirs)], theirs, atol=1e-7)


def test_a_cluster_of_one_row_repeats_the_derivatives_before_it_in_geepack():
    # why our standard error of alpha is not R's there: with the repetition we get the same weight of pairs
    fit, r = geepack_fit("gee_toenail_exch"), load_case("gee_toenail_exch")["geepack"]
    ours = fit.association()["std_error"].iloc[1]
    assert abs(ours / r["alpha"]["se"][0] - 1.0) > 1e-3
    assert abs(ours / r["alpha"]["se"][0] - 1.0) < 3e-3


@pytest.mark.parametrize("corr", COURSE)
def test_the_course(corr):
    fit = geepack_fit(f"gee_sleepstudy_{corr}")
    table = fit.tidy(vcov="sandwich")
    assert f"{table['estimate'].iloc[1]:.3f}" == "10.467"
    assert f"{table['std_error'].iloc[1]:.3f}" == f"{COURSE[corr]:.3f}"
    if corr == "exchangeable":
        assert f"{table['std_error'].iloc[0]:.3f}" == "6.632"
        shown = fit.association().round({"estimate": 3, "std_error": 4})
        assert f"{shown['estimate'].iloc[0]:.0f} ({shown['std_error'].iloc[0]:.1f})" == "2251 (536.6)"
        assert (shown["estimate"].iloc[1], shown["std_error"].iloc[1]) == (0.576, 0.1114)
        assert f"{fit.anova('sequential')['statistic'].iloc[0]:.2f}" == "48.55"
