"""What generalized mixed models say of typical slips."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import multilevel as ml
from glmm_data import grouped
from multilevel.errors import DataError, DataTypeError


def counts(**options: Any) -> Any:
    return ml.glmm("count ~ a + x + (1 | g)", grouped(), family="poisson", **options)


def test_anova_of_another_fit_points_to_compare() -> None:
    with pytest.raises(DataTypeError, match=r"ml\.compare\(fit, other\)"):
        counts().anova(counts())
    with pytest.raises(DataError, match="type=4 does not exist"):
        counts().anova(4)


def test_an_effect_of_an_unknown_variable_names_those_there_are() -> None:
    with pytest.raises(
        DataError, match="variables names 'foo', which the fixed part does not have; there are"
    ):
        counts().ame("foo")
    with pytest.raises(DataError, match="'g', which is a grouping factor"):
        counts().ame("g")
    zi = ml.glmm("empty ~ x + (1 | g)", grouped(), family="poisson", zi="~ a")
    assert zi.ame("a")["term"].tolist() == ["a", "a"]  # of the other part


def test_values_that_are_nearly_counts_are_shown_in_full() -> None:
    data = grouped()
    with pytest.raises(DataError, match=r"000000001 in 240 rows.*whole numbers but for rounding"):
        ml.glmm("y ~ x + (1 | g)", data.assign(y=data["count"] + 1.0 + 1e-9), family="poisson")
    data["y"] = data["count"].astype(float)
    data.loc[3, "y"] = 2.5
    with pytest.raises(DataError, match=r"is 2\.5 in 1 row") as error:
        ml.glmm("y ~ x + (1 | g)", data, family="poisson")
    assert "rounding" not in str(error.value)


def test_a_response_of_one_and_two_is_told_how_to_be_binary() -> None:
    data = grouped()
    data["y"] = data["binary"] + 1
    with pytest.raises(DataError, match=r"'y' is 1 or 2.*I\(y == 2\)"):
        ml.glmm("y ~ x + (1 | g)", data, family="binomial")
    right = ml.glmm("I(y == 2) ~ x + (1 | g)", data, family="binomial")
    plain = ml.glmm("binary ~ x + (1 | g)", data, family="binomial")
    np.testing.assert_allclose(right.fixef, plain.fixef)
    with pytest.raises(DataError, match="successes / trials"):
        ml.glmm("y ~ x + (1 | g)", data.assign(y=data["count"]), family="binomial")


def test_refit_to_a_table_asks_for_a_column() -> None:
    with pytest.raises(DataTypeError, match="one value a row; got a table of"):
        counts().refit(grouped())
    np.testing.assert_allclose(counts().refit(grouped()[["count"]]).fixef, counts().fixef, rtol=1e-6)


def test_a_profile_of_a_factor_names_its_coefficients() -> None:
    with pytest.raises(DataError, match=r"did you mean 'a\[T\.q\]' or 'a\[T\.r\]'"):
        counts().profile("a")


def test_a_response_of_labels_can_be_refitted_as_labels() -> None:
    data = grouped()
    data["sick"] = np.where(data["binary"] == 1, "yes", "no")
    fit = ml.glmm("sick ~ x + (1 | g)", data, family="binomial")
    np.testing.assert_allclose(fit.refit(data["sick"]).fixef, fit.fixef, rtol=1e-6)
    np.testing.assert_allclose(fit.refit(data["sick"].to_list()).fixef, fit.fixef, rtol=1e-6)
    flipped = np.where(data["binary"] == 1, "no", "yes")
    np.testing.assert_allclose(fit.refit(flipped).fixef, -fit.fixef, rtol=1e-4)  # two searches
    assert "Probability of: sick = yes" in str(fit)
    with pytest.raises(DataError, match=r"the label 'maybe', which 'sick' of the fit has not; there no, yes"):
        fit.refit(np.where(data["binary"] == 1, "yes", "maybe"))
    truth = ml.glmm("b ~ x + (1 | g)", data.assign(b=data["binary"] == 1), family="binomial")
    np.testing.assert_allclose(truth.refit(data["binary"] == 1).fixef, truth.fixef, rtol=1e-6)
    assert "Probability of: b = True" in str(truth)
    assert "Probability of" not in str(ml.glmm("binary ~ x + (1 | g)", data, family="binomial"))


def test_ordered_labels_and_pairs_of_counts_can_be_refitted() -> None:
    data = grouped()
    ordinal = ml.glmm("grade ~ x + (1 | g)", data, family="ordinal")
    np.testing.assert_allclose(ordinal.refit(data["grade"]).fixef, ordinal.fixef, rtol=1e-5)
    assert "Categories: low < some < much < all" in str(ordinal)
    data["misses"] = data["size"] - data["hits"]
    pairs = ml.glmm("cbind(hits, misses) ~ x + (1 | g)", data, family="binomial")
    again = pairs.refit(data[["hits", "misses"]])
    np.testing.assert_allclose(again.fixef, pairs.fixef, rtol=1e-6)
    with pytest.raises(DataError, match="do not add up to the trials of the fit in 240 rows"):
        pairs.refit(data[["hits", "size"]] + 1)


def test_a_centred_covariate_is_held_at_zero() -> None:
    data = grouped()
    data["z"] = data["x"] - data["x"].mean() + 1e-17
    means = ml.glmm("count ~ a + z + (1 | g)", data, family="poisson").emmeans("a")
    assert "Held at: z = 0\n" in str(means)
