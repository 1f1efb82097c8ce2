"""Predictions of generalized mixed models: kinds, groups old and new, and their limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import expit

import multilevel as ml
from glmm_data import grouped
from multilevel.errors import DataError, ModelError, NewLevelsError


@pytest.fixture(scope="module")
def fit() -> Any:
    return ml.glmm("hits / size ~ x + (1 + x | g)", grouped(), family="binomial")


@pytest.fixture(scope="module")
def zero_inflated() -> Any:
    return ml.glmm("empty ~ x + (1 | g)", grouped(), family="nbinom2", zi="~ a + (1 | g)", dispersion="~ x")


def test_the_rows_of_the_fit(fit: Any) -> None:
    np.testing.assert_allclose(fit.predict(), fit.fitted)
    np.testing.assert_allclose(fit.predict(grouped()), fit.fitted)
    np.testing.assert_allclose(fit.predict(kind="link", re="none"), fit.design.X @ fit.fixef)


def test_kinds_belong_together(zero_inflated: Any) -> None:
    fit = zero_inflated
    whole = (1.0 - fit.predict(kind="zprob")) * fit.predict(kind="conditional")
    np.testing.assert_allclose(fit.predict(), whole)
    np.testing.assert_allclose(np.log(fit.predict(kind="conditional")), fit.predict(kind="link"))
    part = fit.record.part("disp")
    np.testing.assert_allclose(
        np.log(fit.predict(kind="dispersion")),
        np.column_stack([np.ones(240), grouped()["x"]]) @ part.estimate,
    )
    np.testing.assert_allclose(fit.predict(grouped().head(7)), whole[:7])


def test_probabilities_of_categories() -> None:
    fit = ml.glmm("grade ~ x + (1 | g)", grouped(), family="ordinal")
    table = fit.predict()
    assert list(table.columns) == ["low", "some", "much", "all"]
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    by_hand = expit(fit.thresholds[0] - fit.predict(kind="link"))
    np.testing.assert_allclose(table["low"], by_hand)


def test_incomplete_rows_are_not_predicted(zero_inflated: Any) -> None:
    new = grouped().head(4)
    new.loc[1, "x"] = np.nan
    new["a"] = new["a"].astype(object)
    new.loc[2, "a"] = None
    found = zero_inflated.predict(new)
    assert np.isnan(found[[1, 2]]).all()
    assert np.isfinite(found[[0, 3]]).all()
    limits = zero_inflated.predict(new, interval="confidence")
    assert np.isnan(limits["conf_low"][[1, 2]]).all()


class TestNewGroups:
    new = grouped().head(3).assign(g=1000)

    def test_are_refused(self, fit: Any) -> None:
        with pytest.raises(NewLevelsError, match="1000"):
            fit.predict(self.new)

    def test_may_be_typical(self, fit: Any) -> None:
        np.testing.assert_allclose(
            fit.predict(self.new, new_levels="population"), fit.predict(self.new, re="none")
        )

    def test_may_be_averaged_over(self, fit: Any) -> None:
        np.testing.assert_allclose(
            fit.predict(self.new, new_levels="integrate"), fit.predict(self.new, re="integrate")
        )

    def test_may_be_drawn(self, fit: Any) -> None:
        one, two = (fit.predict(self.new, new_levels="sample", seed=4) for _ in range(2))
        np.testing.assert_allclose(one, two)

    def test_known_groups_keep_their_effects(self, fit: Any) -> None:
        some = grouped().head(12)
        mixed = some.assign(g=some["g"].where(some.index % 2 == 0, 1000))
        found = fit.predict(mixed, new_levels="integrate")
        np.testing.assert_allclose(found[::2], fit.predict(some)[::2])


def test_named_factors_of_both_sides(zero_inflated: Any) -> None:
    np.testing.assert_allclose(zero_inflated.predict(re=["g"]), zero_inflated.predict())
    np.testing.assert_allclose(zero_inflated.predict(re=[]), zero_inflated.predict(re="none"))
    with pytest.raises(DataError, match="no grouping factor"):
        zero_inflated.predict(re="clinic")


class TestLimits:
    def test_of_a_gaussian_model_are_near_the_linear_ones(self) -> None:
        data = grouped()
        for right in ("x + (1 + x | g)", "x + (1 | g) + (1 | a)"):
            ours = ml.glmm(f"line ~ {right}", data, family="gaussian")
            linear = ml.lmm(f"line ~ {right}", data, reml=False)
            found = ours.predict(interval="confidence", re="none")
            expected = linear.predict(interval="confidence", re="none")
            np.testing.assert_allclose(found, expected, atol=2e-2)  # beta's covariance knows of theta here
            found = ours.predict(interval="confidence")
            expected = linear.predict(interval="confidence")
            np.testing.assert_allclose(found["fitted"], expected["fitted"], atol=1e-3)
            # and so do the modes: limits are those of the linear model, whose theta is held, or wider
            assert (found["conf_high"] > expected["conf_high"] - 2e-3).all()
            assert np.median(found["conf_high"] - expected["conf_high"]) < 0.05

    def test_of_known_groups_are_glmmtmbs(self) -> None:
        fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
        table = fit.predict(kind="link", interval="confidence")
        half = (table["conf_high"] - table["fitted"]) / 1.959963984540054
        # predict(type = "link", se.fit = TRUE) of glmmTMB 1.1.5, the first six rows
        theirs = [0.3783301, 0.4302001, 0.4495108, 0.5324875, 0.3934829, 0.4400654]
        np.testing.assert_allclose(half[:6], theirs, rtol=1e-5)

    def test_are_inside_the_range(self, fit: Any) -> None:
        table = fit.predict(interval="confidence")
        assert (table["conf_low"] > 0).all()
        assert (table["conf_low"] < table["fitted"]).all()
        assert (table["fitted"] < table["conf_high"]).all()
        assert (table["conf_high"] < 1).all()

    def test_follow_the_link(self, fit: Any) -> None:
        link = fit.predict(kind="link", interval="confidence", re="none")
        response = fit.predict(interval="confidence", re="none")
        np.testing.assert_allclose(response["conf_low"], expit(link["conf_low"]))
        half = 1.959963984540054 * np.sqrt(np.einsum("ni,ij,nj->n", fit.design.X, fit.vcov(), fit.design.X))
        np.testing.assert_allclose(link["conf_high"] - link["fitted"], half)

    def test_of_a_population_average_know_of_the_covariances(self) -> None:
        fit = ml.glmm("hits / size ~ x + (1 | g)", grouped(), family="binomial", link="probit")
        table = fit.predict(grouped().head(3), re="integrate", interval="confidence")
        sigma, X = fit.theta[0], fit.design.X[:3]
        root = np.sqrt(1.0 + sigma**2)
        eta = X @ fit.fixef
        J = np.column_stack([X / root, -eta * sigma / root**3])
        half = 1.959963984540054 * np.sqrt(np.einsum("ni,ij,nj->n", J, fit.vcov(full=True), J))
        link = fit.record.family.link
        np.testing.assert_allclose(table["conf_high"], link.inverse(eta / root + half), rtol=1e-6)

    def test_of_new_observations_hold_their_share(self) -> None:
        fit = ml.glmm("count ~ x + (1 | g)", grouped(), family="poisson")
        table = fit.predict(interval="prediction", level=0.8)
        inside = (table["conf_low"] <= grouped()["count"]) & (grouped()["count"] <= table["conf_high"])
        assert 0.75 < inside.mean() < 1.0

    def test_with_zeros(self, zero_inflated: Any) -> None:
        table = zero_inflated.predict(interval="confidence")
        assert (table["conf_low"] < table["fitted"]).all()
        assert (table["conf_low"] > 0).all()

    def test_that_do_not_exist(self, fit: Any) -> None:
        ordinal = ml.glmm("grade ~ x + (1 | g)", grouped(), family="ordinal")
        with pytest.raises(ModelError, match="category"):
            ordinal.predict(interval="confidence")
        with pytest.raises(ModelError, match="sampled"):
            fit.predict(interval="confidence", new_levels="sample")
        with pytest.raises(DataError, match="interval="):
            fit.predict(interval="credible")


def test_limits_of_new_observations_take_the_trials_of_the_data() -> None:
    data = grouped()
    fit = ml.glmm("hits / size ~ x + (1 | g)", data, family="binomial")
    own = fit.predict(interval="prediction", seed=3)
    new = fit.predict(data, interval="prediction", seed=3)
    np.testing.assert_allclose(new["conf_high"], own["conf_high"])
    data["misses"] = data["size"] - data["hits"]
    pairs = ml.glmm("cbind(hits, misses) ~ x + (1 | g)", data, family="binomial")
    same = pairs.predict(data, interval="prediction", seed=3)
    np.testing.assert_allclose(same["conf_low"], own["conf_low"], atol=1e-6)
    alone = fit.predict(data[["x", "g"]], interval="prediction", seed=3)  # single trials: 0 or 1
    assert set(np.unique(alone[["conf_low", "conf_high"]])) <= {0.0, 1.0}
    many = fit.predict(data.assign(size=10_000), re="none", interval="prediction", seed=3)
    few = fit.predict(data.assign(size=3), re="none", interval="prediction", seed=3)
    assert (many["conf_high"] - many["conf_low"]).mean() < 0.7 * (few["conf_high"] - few["conf_low"]).mean()
    holes = data.assign(size=np.where(data.index < 3, np.nan, data["size"]))
    unknown = fit.predict(holes, interval="prediction", seed=3)
    assert np.isnan(unknown["conf_low"][:3]).all()
    assert np.isfinite(unknown["conf_low"][3:]).all()
