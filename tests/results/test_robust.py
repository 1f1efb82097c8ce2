"""Cluster-robust inference as a user meets it: summaries, tables, predictions, and what is said."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import stats

import multilevel as ml
from multilevel.errors import ColumnNotFoundError, DataError, ModelError, MultilevelWarning
from reference_cases import load_data


@pytest.fixture(scope="module")
def sleep():
    return load_data("sleepstudy")


@pytest.fixture(scope="module")
def treated():
    """Nine schools of unequal sizes, three of them treated."""
    rng = np.random.default_rng(1)
    school = np.repeat(np.arange(9), [4, 9, 12, 3, 7, 20, 5, 8, 6])
    data = pd.DataFrame({"school": [f"s{k}" for k in school], "treated": (school < 3) * 1.0})
    data["x"] = rng.normal(size=len(data))
    data["year"] = rng.integers(4, size=len(data))
    data["w"] = rng.uniform(0.5, 2.0, len(data))
    data["y"] = data["x"] + rng.normal(size=9)[school] + rng.normal(size=len(data))
    return data


# What is shown -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["CR2", "CR3", "cr2"])
def test_the_corrected_kinds_come_with_satterthwaites_df_and_without_a_warning(treated, kind):
    fit = ml.ols("y ~ treated + x", treated, vcov=kind, cluster="school")
    inference = fit._inference()
    L = np.eye(3)
    df = inference.df(L)
    assert len(set(df.round(3))) == 3
    tidy = fit.tidy(conf_int=True)
    np.testing.assert_allclose(tidy["df"], df)
    np.testing.assert_allclose(tidy["std_error"], np.sqrt(fit.vcov().diagonal()))
    np.testing.assert_allclose(tidy["p_value"], 2 * stats.t.sf(np.abs(tidy["statistic"]), df), rtol=1e-10)
    half = stats.t.ppf(0.975, df) * fit.se
    np.testing.assert_allclose(fit.confint()["conf_high"], fit.fixef + half, rtol=1e-10)
    text = str(fit)
    assert f"{kind.upper()}, robust to clustering within 9 school; df by Satterthwaite" in text
    assert f"{df[1]:.1f}" in text
    assert "below 40" not in text


def test_the_older_kinds_keep_the_df_they_are_known_by(treated):
    with pytest.warns(MultilevelWarning, match=r"8 df that goes with them\. Use vcov=\"CR2\".*ml\.lmm"):
        fit = ml.ols("y ~ treated + x", treated, cluster="school")
    np.testing.assert_array_equal(fit.tidy()["df"], [8.0] * 3)
    by_question = fit._inference(df="satterthwaite")
    assert by_question.method == "CR1, Satterthwaite"
    assert by_question.df(np.eye(3))[1] < 5.0
    assert np.isinf(fit._inference(df="z").df(np.eye(3))).all()
    np.testing.assert_array_equal(fit._inference(vcov="CR3", df="residual").df(np.eye(3)), [8.0] * 3)


def test_the_test_of_the_whole_model_is_hotellings(treated):
    fit = ml.ols("y ~ treated + x", treated, vcov="CR2", cluster="school")
    test = fit._inference().f_test(np.eye(3)[1:])
    row = fit.glance().iloc[0]
    assert (row["statistic"], row["p_value"]) == pytest.approx((test.statistic, test.p_value), rel=1e-9)
    assert f"(approximate Hotelling test): {test.statistic:.4g} on 2 and {test.df_den:.5g} df" in str(fit)


def test_a_mean_alone(treated):
    fit = ml.ols("y ~ 1", treated, vcov="CR2", cluster="school")
    scores = (fit.residuals()[:, None] * pd.get_dummies(treated["school"]).to_numpy()).sum(axis=0)
    m = treated.groupby("school").size().to_numpy()
    expected = (scores**2 / (1 - m / m.sum())).sum() / m.sum() ** 2  # I - H has eigenvalues 1 and 1 - m / n
    np.testing.assert_allclose(fit.vcov(), [[expected]], rtol=1e-10)
    assert 1.0 < fit.tidy()["df"][0] < 8.0


def test_checks_know_that_clusters_are_taken_into_account(treated):
    fit = ml.ols("y ~ treated + x", treated, vcov="CR2", cluster="school")
    checks = fit.check()
    assert dict(zip(checks["check"], checks["status"], strict=True))["alike within clusters"] != "warn"


def test_few_df_are_said(treated):
    text = str(ml.ols("y ~ treated + x", treated, vcov="CR2", cluster="school"))
    assert "Fewer than 4 degrees of freedom (Intercept, treated)" in text.replace("\n  ", " ")


def test_intervals_of_predictions_have_the_df_of_their_own_question(treated):
    fit = ml.ols("y ~ treated + x", treated, vcov="CR2", cluster="school")
    new = pd.DataFrame({"treated": [0.0, 1.0, 1.0, np.nan], "x": [0.0, 0.5, 0.5, 1.0]})
    table = fit.predict(new, interval="confidence")
    L = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.5]])
    inference = fit._inference()
    half = stats.t.ppf(0.975, inference.df(L)) * np.sqrt(inference.covariance(L).diagonal())
    np.testing.assert_allclose((table["conf_high"] - table["fitted"])[:3], half[[0, 1, 1]], rtol=1e-10)
    assert np.isnan(table["conf_low"][3])


def test_pickles_refits_and_updates_keep_the_variance(treated):
    fit = ml.ols("y ~ treated + x", treated, vcov="CR2", cluster="school")
    assert str(pickle.loads(pickle.dumps(fit))) == str(fit)
    again = fit.refit(3.0 * fit.design.y)
    np.testing.assert_allclose(again.vcov(), 9.0 * fit.vcov(), rtol=1e-10)
    np.testing.assert_allclose(again.tidy()["df"], fit.tidy()["df"], rtol=1e-12)
    assert fit.update(". ~ . - x").variance.kind == "CR2"


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("kind", ["CR2", "CR3"])
def test_freq_weights_are_repeated_rows(treated, weights, kind):
    data = treated.assign(count=np.arange(len(treated)) % 3 + 1)
    options = {"vcov": kind, "cluster": "school", "weights": weights}
    counted = ml.ols("y ~ treated + x", data, freq_weights="count", **options)
    repeated = ml.ols("y ~ treated + x", data.loc[data.index.repeat(data["count"])], **options)
    columns = ["estimate", "std_error", "df", "p_value"]
    np.testing.assert_allclose(counted.tidy()[columns], repeated.tidy()[columns], rtol=1e-9)


def test_rows_without_a_cluster_are_dropped(treated):
    data = treated.assign(school=treated["school"].where(treated.index > 5))
    fit = ml.ols("y ~ treated + x", data, vcov="CR2", cluster="school")
    assert fit.nobs == len(data) - 6
    expected = ml.ols("y ~ treated + x", data.iloc[6:], vcov="CR2", cluster="school")
    np.testing.assert_allclose(fit.vcov(), expected.vcov(), rtol=1e-10)


def test_dropped_columns_and_other_frames(treated):
    data = treated.assign(twice=2.0 * treated["x"])
    expected = ml.ols("y ~ treated + x", treated, vcov="CR3", cluster="school")
    fit = ml.ols("y ~ treated + x + twice", pl.from_pandas(data), vcov="CR3", cluster="school")
    assert isinstance(fit.tidy(), pl.DataFrame)
    np.testing.assert_allclose(fit.vcov(), expected.vcov(), rtol=1e-9)


# Coefficients of one cluster -----------------------------------------------------------------------------


def test_a_coefficient_that_one_cluster_determines_has_no_robust_error(treated):
    data = treated.assign(alone=(treated["school"] == "s5") * 1.0)
    text = str(ml.ols("y ~ x + alone", data, vcov="CR2", cluster="school")).replace("\n  ", " ")
    assert "Resting on one 'school' each: alone. Nothing can be seen to vary" in text
    everything = ml.ols("y ~ school", data, vcov="CR2", cluster="school")
    assert np.isnan(everything.se).all()
    assert np.isnan(everything.tidy()["p_value"]).all()
    assert "Resting on one 'school' each: Intercept, " in str(everything)


def test_other_coefficients_of_such_a_model_are_as_without_the_cluster(treated):
    data = treated.assign(alone=(treated["school"] == "s5") * 1.0)
    fit = ml.ols("y ~ treated + x + alone + alone:x", data, vcov="CR2", cluster="school")
    without = ml.ols("y ~ treated + x", data[data["school"] != "s5"], vcov="CR2", cluster="school")
    np.testing.assert_allclose(fit.vcov()[:3, :3], without.vcov(), rtol=1e-9)
    np.testing.assert_allclose(fit.tidy()["df"][:3], without.tidy()["df"], rtol=1e-9)


def test_more_coefficients_than_rows_of_a_cluster(treated):
    """Rows of small clusters, many dummies: adjusted in the dimensions of the rows, tested only if quick."""
    data = treated.assign(pair=np.arange(len(treated)) // 2)
    fit = ml.ols("y ~ school + x + C(year)", data, vcov="CR3", cluster="pair")
    left_out = [
        ml.ols("y ~ school + x + C(year)", data[data["pair"] != pair]).fixef for pair in data["pair"].unique()
    ]
    changes = np.array(left_out) - fit.fixef
    np.testing.assert_allclose(fit.vcov(), changes.T @ changes, rtol=1e-7, atol=1e-12)


def test_a_test_that_would_take_minutes_is_refused(treated, monkeypatch):
    monkeypatch.setattr("multilevel.inference.robust_tests.MOST_WORK", 100.0)
    fit = ml.ols("y ~ treated + x", treated, vcov="CR2", cluster="school")
    assert "it would take minutes" in str(fit)
    assert "F statistic: " in str(fit.summary(df="residual"))
    with pytest.raises(ModelError, match=r'of 2 coefficients at once.*df="residual"'):
        fit._inference().f_test(np.eye(3)[1:])


# Several ways --------------------------------------------------------------------------------------------


def test_clusters_in_two_ways(treated):
    with pytest.warns(
        MultilevelWarning, match=r"'year' has 4 clusters.*\(1 \| school\) \+ \(1 \| year\)"
    ) as told:
        fit = ml.ols("y ~ treated + x", treated, cluster=["school", "year"])
    assert len(told) == 1
    assert "CR2" not in str(told[0].message)
    assert fit.n_clusters == 4
    assert "CR1, robust to clustering within 9 school and 4 year" in str(fit)
    np.testing.assert_array_equal(fit.tidy()["df"], [3.0] * 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultilevelWarning)
        arrays = [treated["school"].to_numpy(), treated["year"].to_numpy()]
        np.testing.assert_allclose(fit.vcov(kind="CR1", cluster=arrays), fit.vcov(), rtol=1e-12)
        one = fit.vcov(kind="CR1", cluster=["school"])
        np.testing.assert_allclose(one, fit.vcov(kind="CR1", cluster="school"), rtol=1e-12)
    with pytest.raises(ModelError, match="CR2 is defined for clusters in one way only"):
        fit.vcov(kind="CR2")
    with pytest.raises(ModelError, match=r'df="satterthwaite" belongs to .* in one way'):
        fit._inference(df="satterthwaite")


def test_rows_without_either_cluster_are_dropped(treated):
    data = treated.assign(year=treated["year"].where(treated.index > 2))
    with pytest.warns(MultilevelWarning):
        fit = ml.ols("y ~ treated + x", data, cluster=["school", "year"])
    assert fit.dropped.missing_by_column["year"] == 3


def test_a_list_of_labels_is_one_way(treated):
    fit = ml.ols("y ~ treated + x", treated, vcov="CR2", cluster=list(treated["school"]))
    expected = ml.ols("y ~ treated + x", treated, vcov="CR2", cluster="school")
    np.testing.assert_allclose(fit.vcov(), expected.vcov(), rtol=1e-12)


# Misuse --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"vcov": "CR2"}, ModelError, 'vcov="CR2" needs to know the clusters'),
        ({"vcov": "CR4", "cluster": "school"}, DataError, "vcov='CR4'.*'CR3'"),
        ({"vcov": "CR2", "cluster": "one"}, ModelError, "'one' has one cluster"),
        (
            {"vcov": "CR3", "cluster": ["school", "year"]},
            ModelError,
            "CR3 is defined for clusters in one way",
        ),
        ({"cluster": ["school", "yaer"]}, ColumnNotFoundError, "yaer"),
        ({"vcov": "HC3", "cluster": "school"}, ModelError, "would ignore the clusters"),
    ],
)
def test_impossible_variances(treated, options, error, message):
    with pytest.raises(error, match=message):
        ml.ols("y ~ treated + x", treated.assign(one=1), **options)


def test_degrees_of_freedom_that_do_not_exist(treated):
    fit = ml.ols("y ~ treated + x", treated)
    with pytest.raises(ModelError, match='df="satterthwaite" belongs to a variance with clusters'):
        fit._inference(df="satterthwaite")
    with pytest.raises(DataError, match=r"df='kenward-roger'.*'satterthwaite'"):
        fit._inference(df="kenward-roger")


# Mixed models --------------------------------------------------------------------------------------------


def test_a_mixed_model_has_robust_variances_too(sleep):
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", sleep)
    slopes = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep)
    robust = fit.vcov(kind="CR2")
    # balanced data: the estimates of both models agree, and so do their robust variances
    np.testing.assert_allclose(robust, slopes.vcov(kind="CR2"), rtol=1e-6)
    np.testing.assert_allclose(robust, fit.vcov(kind="CR2", cluster="Subject"), rtol=1e-12)
    np.testing.assert_allclose(robust, slopes.vcov(), rtol=1e-6)
    np.testing.assert_array_equal(fit.vcov(kind="model"), fit.vcov())


# Degrees of freedom asked for ----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*tend to be too small")
def test_df_may_be_chosen_for_tables_and_summaries(treated):
    fit = ml.ols("y ~ treated + x", treated, cluster="school")
    satterthwaite = fit._inference(df="satterthwaite")
    np.testing.assert_allclose(fit.tidy(df="satterthwaite")["df"], satterthwaite.df(np.eye(3)))
    np.testing.assert_allclose(fit.tidy(df="satterthwaite")["std_error"], fit.se)
    text = str(fit.summary(df="satterthwaite"))
    assert "CR1, robust to clustering within 9 school; df by Satterthwaite" in text
    assert "approximate Hotelling" in text
    half = stats.norm.ppf(0.975) * fit.se
    np.testing.assert_allclose(fit.confint(df="z")["conf_high"], fit.fixef + half, rtol=1e-10)
    assert "z value" in str(fit.summary(df="z"))
    assert "df" not in fit.tidy(df="z")
    corrected = ml.ols("y ~ treated + x", treated, vcov="CR2", cluster="school")
    np.testing.assert_array_equal(corrected.tidy(df="residual")["df"], [8.0] * 3)
    with pytest.raises(DataError, match=r"df='t'.*'satterthwaite'"):
        fit.summary(df="t")


def test_satterthwaites_test_keeps_its_level_where_the_usual_one_does_not(treated):
    """Three of nine clusters treated: CR1 with t on 8 df rejects a true null far too often."""
    rng = np.random.default_rng(2)
    fit = ml.ols("y ~ treated + x", treated, vcov="CR2", cluster="school")
    codes = fit.choice.clusters[0].codes
    rejected = {"CR1": 0, "CR2": 0}
    for _ in range(300):
        y = rng.normal(size=9)[codes] + rng.normal(size=len(codes))
        again = fit.refit(y)
        rejected["CR2"] += again.tidy()["p_value"][1] < 0.05
        naive = again._inference(vcov="CR1").f_test(np.eye(3)[[1]])
        rejected["CR1"] += naive.p_value < 0.05
    assert 300 * 0.01 < rejected["CR2"] < 300 * 0.09  # about three standard errors of a share of 0.05
    assert rejected["CR1"] > 300 * 0.1
