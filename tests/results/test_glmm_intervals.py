"""Profiles and bootstraps of generalized mixed models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import multilevel as ml
from glmm_data import grouped
from multilevel.errors import DataError, ModelError


@pytest.fixture(scope="module")
def fit() -> Any:
    return ml.glmm("hits / size ~ x + (1 + x | g)", grouped(), family="binomial")


def test_a_profile_by_hand(fit: Any) -> None:
    """The minimum with the slope held, by a search that knows nothing of ours."""
    kernel, psi = fit._working_model().kernel, fit.optimum.theta
    rows = fit._working_model().rows
    at = fit.fixef[1] + 0.2
    profile = fit.profile("x")

    def held(free: np.ndarray) -> float:
        # the working slope is the user's over the scale of the column
        full = np.append(free, (at - rows.constant[1]) / rows.back[1, 1])
        return float(kernel.value(full))

    assert rows.back[1, 0] == 0.0
    begin = psi[:-1] + np.array([0.0, 0.0, 0.05, 0.0])  # off the boundary, where the fit itself is
    options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 5000}
    found = minimize(held, begin, method="Nelder-Mead", options=options)
    assert profile.zeta("x", at) == pytest.approx(np.sqrt(found.fun - kernel.value(psi)), rel=1e-5)


def test_limits_are_where_the_likelihood_ratio_says(fit: Any) -> None:
    limits = fit.profile().interval_columns(0.9)
    names = fit.profile().parameters
    profile = fit.profile()
    for name, low, high in zip(names, limits["conf_low"], limits["conf_high"], strict=True):
        for value, sign in ((low, -1.0), (high, 1.0)):
            ends = [0.0] if name.startswith("sd__") else [-1.0, 1.0] if name.startswith("cor__") else []
            if np.isfinite(value) and value not in ends:
                assert profile.zeta(name, value) == pytest.approx(sign * 1.6448536, abs=1e-3)


def test_profiles_in_other_units() -> None:
    data = grouped()
    data["x"] = 100.0 * data["x"] + 7000.0
    wide = ml.glmm("hits / size ~ x + (1 | g)", data, family="binomial").profile(["x", "sd__(Intercept)|g"])
    plain = ml.glmm("hits / size ~ x + (1 | g)", grouped(), family="binomial").profile(
        ["x", "sd__(Intercept)|g"]
    )
    ours, theirs = wide.interval_columns(0.95), plain.interval_columns(0.95)
    np.testing.assert_allclose(ours["conf_low"] * [100.0, 1.0], theirs["conf_low"], rtol=1e-4)
    np.testing.assert_allclose(ours["conf_high"] * [100.0, 1.0], theirs["conf_high"], rtol=1e-4)


def test_a_variance_near_zero_has_zero_in_its_interval() -> None:
    data = grouped()
    data["g"] = np.random.default_rng(2).permutation(data["g"])
    fit = ml.glmm("count ~ x + (1 | g)", data, family="poisson")
    limits = fit.confint("profile", effects="ran_pars")
    assert limits["conf_low"].iloc[0] == 0.0 or fit.singular


def test_names_of_all_parts() -> None:
    fit = ml.glmm("empty ~ x + (1 | g)", grouped(), family="nbinom2", zi="~ 1 + (1 | g)")
    assert fit.profile().parameters == (
        "Intercept",
        "x",
        "disp~Intercept",
        "zi~Intercept",
        "sd__(Intercept)|g",
        "zi~sd__(Intercept)|g",
    )
    with pytest.raises(DataError, match="did you mean"):
        fit.profile("zi~intercept")
    points = fit.profile("x").frame()
    assert (np.diff(points["zeta"]) > 0).all()
    assert (np.diff(points["value"]) > 0).all()


def test_a_prior_has_no_profile() -> None:
    fit = ml.glmm("binary ~ x + (1 | g)", grouped(), family="binomial", prior="weak")
    with pytest.raises(ModelError, match="prior"):
        fit.profile()


def test_the_bootstrap_agrees_with_the_hessian() -> None:
    fit = ml.glmm("count ~ x + (1 | g)", grouped(), family="poisson")
    boot = fit.bootstrap(300, seed=1, progress=False)
    assert boot.parameters == ("Intercept", "x", "sd__(Intercept)|g")
    np.testing.assert_allclose(boot.se[:2], fit.se, rtol=0.15)  # 4% is one standard error of 300
    again = fit.bootstrap(300, seed=1, progress=False)
    np.testing.assert_array_equal(boot.replicates, again.replicates)
    table = boot.confint("basic")
    assert (table["conf_low"] < table["estimate"]).all()
    assert (table["estimate"] < table["conf_high"]).all()
    assert "Parametric bootstrap of a generalized linear mixed model" in str(boot)


def test_a_statistic_of_ones_own() -> None:
    fit = ml.glmm("hits / size ~ x + (1 | g)", grouped(), family="binomial")
    boot = fit.bootstrap(40, seed=1, statistic=lambda refit: {"icc": refit.icc()["icc"].iloc[0]})
    assert boot.parameters == ("icc",)
    assert 0.0 < boot.se[0] < 0.2


def test_what_is_not_made() -> None:
    fit = ml.glmm("count ~ x + (1 | g)", grouped(), family="poisson")
    with pytest.raises(DataError, match="kind='cases' does not exist; choose 'parametric' or 'case'"):
        fit.bootstrap(10, kind="cases")
    with pytest.raises(ModelError, match="makes no counts, shares or categories"):
        fit.bootstrap(10, kind="residual")
    boot = fit.bootstrap(50, seed=1)
    with pytest.raises(ModelError, match="linear mixed models"):
        boot.confint("studentized")
    with pytest.raises(ModelError, match="mislead"):
        fit.confint(effects="ran_pars")
    with pytest.raises(ModelError, match="belongs to profiles"):
        fit.confint(n=100)


def test_all_methods_say_which_part_and_group_each_row_is_of() -> None:
    """The standard deviations of the mean and of zeros have the same term and group."""
    data = ml.datasets.salamanders()
    fit = ml.glmm("count ~ mined + (1 | site)", data, family="poisson", zi="~ mined + (1 | site)")
    columns = ["component", "effect", "group", "term", "estimate", "conf_low", "conf_high"]
    wald, profiled = fit.confint(), fit.confint("profile", which=["zi~Intercept", "zi~sd__(Intercept)|site"])
    assert list(wald.columns) == list(profiled.columns) == columns
    assert profiled["component"].tolist() == ["zi", "zi"]
    assert profiled["term"].tolist() == ["Intercept", "sd__(Intercept)"]
    assert profiled["estimate"][1] == fit.varcorr()["sd"].iloc[-1]
    boot = fit.bootstrap(60, seed=2, progress=False).confint(effects="ran_pars")
    assert list(boot.columns) == columns
    keys = list(zip(boot["component"], boot["group"], boot["term"], strict=True))
    assert keys == [("cond", "site", "sd__(Intercept)"), ("zi", "site", "sd__(Intercept)")]
    assert wald["component"].tolist() == ["cond", "cond", "zi", "zi"]
