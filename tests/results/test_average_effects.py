"""`ame()` of `ml.glm` and `ml.gee`: effects on the response, as R's predictions have them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import multilevel as ml

R_STEP = 1e-6  # R's gradients were differenced at steps of 1e-6


@pytest.mark.parametrize(
    ("fit", "estimate", "std_error"),
    [
        (
            lambda: ml.glm("resp ~ age + smoke", ml.datasets.ohio(), family="binomial"),
            [-0.01453694410, 0.03488199096],
            [0.006929945238, 0.015819229345],
        ),
        (
            lambda: ml.glm("y ~ trt + age", ml.datasets.epil(), family="poisson"),
            [-0.7651920373, -0.1100411472],
            [0.37804067270, 0.03070562519],
        ),
        (
            lambda: ml.gee(
                "resp ~ age + smoke",
                ml.datasets.ohio(),
                groups="id",
                family="binomial",
                corr="exchangeable",
            ),
            [-0.01454046819, 0.03399325737],
            [0.005616191773, 0.022824782224],
        ),
    ],
    ids=["logit", "counts", "estimating equations"],
)
def test_against_r(fit, estimate, std_error):
    """R's coefficients and covariance, the average written out, its gradient by differences."""
    table = fit().ame()
    np.testing.assert_allclose(table["estimate"], estimate, rtol=R_STEP)
    np.testing.assert_allclose(table["std_error"], std_error, rtol=R_STEP)


def test_a_difference_between_levels_is_that_of_predictions():
    cbpp = ml.datasets.cbpp()
    fit = ml.glm("incidence / size ~ period + size", cbpp, family="binomial")
    means = [fit.predict(cbpp.assign(period=level)).mean() for level in ("1", "2", "3", "4")]
    table = fit.ame("period")
    assert table["contrast"].tolist() == ["2 - 1", "3 - 1", "4 - 1"]
    np.testing.assert_allclose(table["estimate"], np.array(means[1:]) - means[0], rtol=1e-12)


def test_on_the_scale_of_the_link_they_are_coefficients():
    ohio = ml.datasets.ohio()
    for fit in (
        ml.glm("resp ~ age", ohio, family="binomial"),
        ml.gee("resp ~ age", ohio, groups="id", family="binomial"),
    ):
        assert fit.ame(kind="link")["estimate"].iloc[0] == pytest.approx(fit.fixef[1], rel=1e-9)


def test_groups_and_counted_rows():
    data = ml.datasets.cbpp().assign(w=lambda d: 1.0 + np.arange(len(d)) % 3)
    counted = ml.glm("incidence / size ~ size", data, family="binomial", freq_weights="w")
    repeated = data.loc[data.index.repeat(data["w"].astype(int))].reset_index(drop=True)
    fit = ml.glm("incidence / size ~ size", repeated, family="binomial")
    for name in ("estimate", "std_error"):
        np.testing.assert_allclose(counted.ame()[name], fit.ame()[name], rtol=1e-8)
    for period, estimate in fit.ame(by="period")[["period", "estimate"]].to_numpy():
        there = fit.predict(repeated[repeated["period"] == period])
        assert estimate == pytest.approx(float((there * (1.0 - there)).mean()) * fit.fixef[1], rel=1e-9)


def test_every_row_has_its_own_offset():
    data = ml.datasets.epil().assign(t=lambda d: 1.0 + np.arange(len(d)) % 5)
    named = ml.glm("y ~ trt + offset(log(t))", data, family="poisson")
    given = ml.glm("y ~ trt", data, family="poisson", offset=np.log(data["t"]))
    change = np.exp(named.fixef.sum()) - np.exp(named.fixef[0])
    for fit in (named, given):
        assert fit.ame()["estimate"].iloc[0] == pytest.approx(change * data["t"].mean(), rel=1e-9)


def test_identity_links_agree_with_least_squares():
    data = ml.datasets.sleepstudy()
    fit = ml.glm("Reaction ~ Days", data, family="gaussian")
    for name in ("estimate", "std_error", "df", "p_value"):
        np.testing.assert_allclose(fit.ame()[name], ml.ols("Reaction ~ Days", data).ame()[name], rtol=1e-6)


def test_counts_without_zeros_have_the_mean_of_what_is_left():
    """A factor alone fits the means of its levels, and the error is that of all parameters together."""
    rng = np.random.default_rng(4)
    g = np.repeat(["a", "b"], 300)
    y = rng.negative_binomial(1.5, np.where(g == "a", 0.3, 0.5))
    data = pd.DataFrame({"g": g, "y": y})[y > 0]
    fit = ml.glm("y ~ g", data, family="truncated_nbinom2")
    means = data.groupby("g")["y"].mean()
    np.testing.assert_allclose(fit.predict({"g": ["a", "b"]}), means, rtol=1e-5)  # of maximum likelihood
    assert fit.ame()["estimate"].iloc[0] == pytest.approx(means["b"] - means["a"], rel=1e-4)

    def difference(psi):
        size = np.exp(psi[2])
        mu = np.exp([psi[0], psi[0] + psi[1]])
        return np.diff(mu / (1.0 - (1.0 + mu / size) ** -size))[0]

    psi = np.concatenate([part.estimate for part in fit.record.parts])
    gradient = [(difference(psi + h) - difference(psi - h)) / 2e-5 for h in 1e-5 * np.eye(3)]
    expected = np.sqrt(gradient @ fit.record.joint_vcov @ gradient)
    assert fit.ame()["std_error"].iloc[0] == pytest.approx(expected, rel=1e-6)


def test_what_the_data_do_not_say_is_missing():
    data = pd.DataFrame({"y": [0, 1, 1, 0, 1, 0, 1, 1], "x": [1.0, 2, 3, 4, 5, 6, 7, 8]}).assign(
        z=lambda d: 2.0 * d["x"]
    )
    fit = ml.glm("y ~ x + z", data, family="binomial")
    with pytest.warns(ml.errors.MultilevelWarning, match="The effect of x, z cannot be estimated"):
        assert fit.ame()["estimate"].isna().all()


def test_categories_have_no_mean():
    fit = ml.glm("rating ~ temp", ml.datasets.wine(), family="ordinal")
    with pytest.raises(ml.errors.ModelError, match="no mean whose change could be averaged"):
        fit.ame()
    assert fit.ame(kind="link")["estimate"].iloc[0] == pytest.approx(fit.fixef[0])


def test_unknown_variables_are_named():
    fit = ml.gee("resp ~ age", ml.datasets.ohio(), groups="id", family="binomial")
    with pytest.raises(ml.errors.DataError, match="foo"):
        fit.ame("foo")
