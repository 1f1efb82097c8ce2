"""`ml.glm(...).predict()`: limits of new responses, probabilities of categories; and `equation()`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import multilevel as ml
from multilevel.errors import ModelError


def test_normal_responses_have_the_limits_of_least_squares():
    sleep = ml.datasets.sleepstudy()
    for options in ({}, {"weights": "w"}):
        data = sleep.assign(w=1.0 + np.arange(len(sleep)) % 3)
        new = pd.DataFrame({"Days": [2, 20], "w": [1.0, 4.0]})
        one = ml.glm("Reaction ~ Days", data, family="gaussian", **options)
        other = ml.ols("Reaction ~ Days", data, **options)
        for name, values in one.predict(new, interval="prediction").items():
            np.testing.assert_allclose(values, other.predict(new, interval="prediction")[name], rtol=1e-6)


def by_simulation(draw, fit, level=0.95, n=200_000):
    """Quantiles of responses drawn with coefficients drawn: the distribution of a new response."""
    rng = np.random.default_rng(1)
    eta = fit.predict({"x": [0.7]}, kind="link")[0]
    X = np.array([1.0, 0.7])
    drawn = draw(rng, eta + np.sqrt(X @ fit.vcov() @ X) * rng.standard_normal(n))
    return np.quantile(drawn, [0.5 * (1.0 - level), 0.5 * (1.0 + level)], method="inverted_cdf")


def small(y):
    rng = np.random.default_rng(12)
    x = rng.normal(size=25)
    return pd.DataFrame({"x": x, "y": y(rng, 0.5 + 0.8 * x)})


def test_counts_against_simulation():
    data = small(lambda rng, eta: rng.poisson(np.exp(eta)))
    fit = ml.glm("y ~ x", data, family="poisson")
    table = fit.predict({"x": [0.7]}, interval="prediction")
    expected = by_simulation(lambda rng, eta: rng.poisson(np.exp(eta)), fit)
    assert table[["conf_low", "conf_high"]].to_numpy().tolist() == [expected.tolist()]


def test_amounts_against_simulation():
    data = small(lambda rng, eta: rng.gamma(3.0, np.exp(eta) / 3.0))
    fit = ml.glm("y ~ x", data, family="gamma", link="log")
    phi = fit.dispersion
    table = fit.predict({"x": [0.7]}, interval="prediction")
    expected = by_simulation(lambda rng, eta: rng.gamma(1.0 / phi, np.exp(eta) * phi), fit)
    np.testing.assert_allclose(table[["conf_low", "conf_high"]].iloc[0], expected, rtol=0.02)  # of drawing


def test_shares_are_of_the_trials_that_the_new_rows_have():
    cbpp = ml.datasets.cbpp()
    fit = ml.glm("incidence / size ~ period", cbpp, family="binomial")
    used = fit.predict(interval="prediction")
    pd.testing.assert_frame_equal(fit.predict(cbpp, interval="prediction"), used)
    shares = used["conf_high"] * cbpp["size"]
    np.testing.assert_allclose(shares, np.round(shares), atol=1e-9)
    narrow = fit.predict(pd.DataFrame({"period": ["1"], "size": [1000]}), interval="prediction").iloc[0]
    mean, sd = narrow["fitted"], fit.tidy()["std_error"].iloc[0]
    spread = np.sqrt(mean * (1.0 - mean) / 1000 + (mean * (1.0 - mean) * sd) ** 2)
    assert narrow["conf_high"] - narrow["conf_low"] == pytest.approx(3.92 * spread, rel=0.03)
    alone = fit.predict(pd.DataFrame({"period": ["1"]}), interval="prediction").iloc[0]
    assert (alone["conf_low"], alone["conf_high"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    "family", ["negative_binomial", "nbinom1", "tweedie", "student", "inverse_gaussian", "beta"]
)
def test_limits_hold_the_share_that_they_say(family):
    rng = np.random.default_rng(21)
    x = rng.normal(size=300)
    mu = np.exp(0.8 + 0.3 * x)
    y = {
        "negative_binomial": lambda: rng.negative_binomial(2, 2.0 / (2.0 + mu)).astype(float),
        "nbinom1": lambda: rng.negative_binomial(mu, 0.5).astype(float),
        "tweedie": lambda: np.array([rng.gamma(1.0, 1.0, size=k).sum() for k in rng.poisson(mu)]),
        "student": lambda: mu + rng.standard_t(4, size=300),
        "inverse_gaussian": lambda: rng.wald(mu, 3.0),
        "beta": lambda: rng.beta(2.0, 2.0 / mu),
    }[family]()
    link = "log" if family == "inverse_gaussian" else None
    fit = ml.glm("y ~ x", pd.DataFrame({"x": x, "y": y}), family=family, link=link)
    table = fit.predict(interval="prediction", level=0.8)
    inside = ((table["conf_low"] <= y) & (y <= table["conf_high"])).mean()
    counts = family in ("negative_binomial", "nbinom1", "tweedie")
    assert inside > 0.8 - 4.0 * np.sqrt(0.16 / 300)
    assert counts or inside < 0.8 + 4.0 * np.sqrt(0.16 / 300)  # of counts no less lies between them


def test_probabilities_of_categories():
    wine = ml.datasets.wine()
    fit = ml.glm("rating ~ temp", wine, family="ordinal")
    table = fit.predict(pd.DataFrame({"temp": ["cold", "warm"]}))
    assert list(table) == list("12345")
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    below = stats.logistic.cdf(fit.thresholds[1] - np.array([0.0, fit.fixef[0]]))
    np.testing.assert_allclose(table["1"] + table["2"], below, rtol=1e-12)
    with pytest.raises(ModelError, match="limits of category probabilities"):
        fit.predict(interval="confidence")


def test_missing_predictors_and_misuse():
    fit = ml.glm("y ~ age", ml.datasets.epil(), family="poisson")
    table = fit.predict({"age": [20.0, np.nan]}, interval="prediction")
    assert table.iloc[1].isna().all()
    assert table.iloc[0].notna().all()
    with pytest.raises(ModelError, match="a new response is on the scale of the response"):
        fit.predict(kind="link", interval="prediction")


def test_the_equation_has_distribution_link_and_estimates():
    text = ml.glm("y ~ trt + offset(log(age))", ml.datasets.epil(), family="negative_binomial").equation()
    assert "y: negative binomial with mean μ" in text
    assert "log(μ) = η" in text
    assert "η_i = β0 + β1 trt[T.progabide]_i + offset_i" in text
    assert "dispersion 0.84239: size: variance = mean + mean^2 / size" in text
    ordinal = ml.glm("rating ~ temp", ml.datasets.wine(), family="ordinal")
    assert f"threshold 1|2 = {ordinal.thresholds[0]:.5g}" in ordinal.equation()
    assert r"\eta_{i}" in ordinal.equation("latex")
