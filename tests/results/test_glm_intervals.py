"""`ml.glm(...).confint("profile")`: against R's fits with a coefficient held, and by mathematics."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import multilevel as ml
from multilevel.errors import DataError, ModelError

LENGTH = 1e-6  # of an interval: R's roots were sought to 1e-11, its fits to 1e-14 of the deviance


@pytest.mark.parametrize(
    ("fit", "limits"),
    [
        (
            lambda: ml.glm("incidence / size ~ period + size", ml.datasets.cbpp(), family="binomial"),
            [
                (-1.89225749818, -0.383925797397),
                (-1.78786637752, -0.63011949698),
                (-1.98827313582, -0.727654166192),
                (-2.71119747067, -1.05145483673),
                (-0.0410425922116, 0.0271096599163),
            ],
        ),
        (
            lambda: ml.glm("y ~ trt + age", ml.datasets.epil(), family="poisson"),
            [
                (2.31587999589, 2.74960432512),
                (-0.181880287095, -0.00311783217653),
                (-0.0206213693531, -0.00608619342512),
            ],
        ),
        (
            lambda: ml.glm("I(y + 1) ~ trt + age", ml.datasets.epil(), family="gamma", link="log"),
            [
                (1.79386647304, 3.58439336933),
                (-0.48525038388, 0.233968632307),
                (-0.0419183266714, 0.0145247477644),
            ],
        ),
    ],
    ids=["binomial", "poisson", "gamma, with t"],
)
def test_profiles_against_r(fit, limits):
    table = fit().confint("profile")
    length = np.ptp(limits, axis=1)
    for name, expected in zip(("conf_low", "conf_high"), np.transpose(limits), strict=True):
        np.testing.assert_array_less(np.abs(table[name] - expected), LENGTH * length)


def test_normal_responses_have_the_limits_of_least_squares():
    """The deviance is a parabola, and t has its quantile: nothing differs from Wald's limits."""
    formula, data = "Reaction ~ Days", ml.datasets.sleepstudy()
    one = ml.glm(formula, data, family="gaussian").confint("profile", level=0.9)
    other = ml.ols(formula, data).confint(level=0.9)
    for name in ("estimate", "conf_low", "conf_high"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-7)


def test_a_single_proportion():
    """7 of 10: the limits solve 2 (l(p-hat) - l(p)) = chi-square, in closed form but for the root."""
    fit = ml.glm("s / n ~ 1", {"s": [3, 4], "n": [5, 5]}, family="binomial")
    low, high = fit.confint("profile").iloc[0][["conf_low", "conf_high"]]
    for eta in (low, high):
        p = 1.0 / (1.0 + np.exp(-eta))
        lost = 2.0 * (7.0 * np.log(0.7 / p) + 3.0 * np.log(0.3 / (1.0 - p)))
        assert lost == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-6)


@pytest.mark.parametrize("family", ["negative_binomial", "beta", "ordinal"])
def test_other_parameters_are_fitted_again(family):
    """At each limit the best likelihood with the coefficient held has lost just so much."""
    rng = np.random.default_rng(5)
    n = 150
    x = rng.normal(size=n)
    y = {
        "negative_binomial": rng.negative_binomial(2, 1.0 / (1.0 + np.exp(0.4 * x))),
        "beta": rng.beta(2.0 * np.exp(0.3 * x), 2.0),
        "ordinal": np.digitize(0.5 * x + rng.logistic(size=n), [-1.0, 0.5]),
    }[family]
    data = pd.DataFrame({"y": y, "x": x})
    fit = ml.glm("y ~ x", data, family=family)
    row = fit.confint("profile", which="x").iloc[0]
    assert row["conf_low"] < row["estimate"] < row["conf_high"]
    for value in (row["conf_low"], row["conf_high"]):
        held = ml.glm("y ~ 1", data.assign(known=value * x), family=family, offset="known")
        assert 2.0 * (fit.loglik - held.loglik) == pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-5)


def test_one_coefficient_in_other_units():
    data = ml.datasets.epil().assign(decades=lambda d: d["age"] / 10.0)
    years, decades = (ml.glm(f"y ~ trt + {x}", data, family="poisson") for x in ("age", "decades"))
    one, other = years.confint("profile", which=["age"]), decades.confint("profile", which=["decades"])
    np.testing.assert_allclose(10.0 * one["conf_low"], other["conf_low"], rtol=1e-6)


def test_what_a_profile_is_not_of():
    ohio = ml.datasets.ohio()
    with pytest.raises(ModelError, match="this fit's variance is robust"):
        ml.glm("resp ~ age", ohio, family="binomial", cluster="id").confint("profile")
    with pytest.raises(ModelError, match="this fit has a prior"):
        ml.glm("resp ~ age", ohio, family="binomial", prior="weak").confint("profile")
    fit = ml.glm("resp ~ age", ohio, family="binomial")
    with pytest.raises(DataError, match="no coefficient 'smoke'; there are Intercept, age"):
        fit.confint(which="smoke")
    with pytest.raises(ModelError, match="df= belongs to"):
        fit.confint("profile", df="z")
    assert fit.confint(which="age")["term"].tolist() == ["age"]
