"""The least-squares fit a user holds."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import (
    ColumnNotFoundError,
    DataError,
    FormulaError,
    ModelError,
    MultilevelWarning,
    NewLevelsError,
)
from reference_cases import load_data


@pytest.fixture(scope="module")
def sleep():
    return load_data("sleepstudy")


@pytest.fixture(scope="module")
def weighted(sleep):
    """R: m <- lm(Reaction ~ Days, sleepstudy, weights = w); the answers of R 4.2.2, sandwich 3.0-2."""
    return ml.ols("Reaction ~ Days", sleep, weights="w")


def random_data(n=60, seed=1):
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n))
    g = np.array(list("abcde"))[rng.integers(5, size=n)]
    return pd.DataFrame({"y": 2.0 + x - 0.5 * z + rng.normal(size=n), "x": x, "z": z, "g": g})


# Against R -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("HC0", [28.695891074944, -5.54034473557047, 1.73447246571027]),
        ("HC1", [29.0183168173592, -5.60259580001511, 1.75396092038118]),
        ("HC2", [29.2113222977083, -5.64966326817065, 1.76699158160641]),
        ("HC3", [29.737828164667, -5.76137190325286, 1.80018639940654]),
    ],
)
def test_hc_variances_of_a_weighted_fit(weighted, kind, expected):
    vcov = weighted.vcov(kind=kind)
    np.testing.assert_allclose(vcov[np.tril_indices(2)], expected, rtol=1e-12)


def test_glance_is_what_summary_lm_prints(weighted):
    row = weighted.glance().iloc[0]
    expected = {
        "r_squared": 0.291919147530473,
        "adj_r_squared": 0.287941165213229,
        "sigma": 63.0399263610408,
        "statistic": 73.383721758894,
        "df_residual": 178,
        "loglik": -954.946310896093,
        "aic": 1915.89262179219,
        "bic": 1925.47149234486,
        "nobs": 180,
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize(
    ("interval", "lower", "upper"),
    [
        ("confidence", [237.787037883673, 291.344333329287, 358.063666169808],
         [263.554816285743, 305.367163216367, 397.597234336243]),
        ("prediction", [125.603749395440, 173.756533693742, 251.868034877616],
         [375.738104773977, 422.954962851913, 503.792865628434]),
    ],
)  # fmt: skip
def test_prediction_intervals(weighted, interval, lower, upper):
    table = weighted.predict({"Days": [0.0, 4.5, 12.0]}, interval=interval)
    np.testing.assert_allclose(
        table["fitted"], [250.670927084708, 298.355748272827, 377.830450253025], rtol=1e-12
    )
    np.testing.assert_allclose(table["conf_low"], lower, rtol=1e-12)
    np.testing.assert_allclose(table["conf_high"], upper, rtol=1e-12)


def test_confidence_limits(weighted):
    table = weighted.confint()
    np.testing.assert_allclose(table["conf_low"], [237.78703788367341, 8.15556557408459], rtol=1e-12)
    np.testing.assert_allclose(table["conf_high"], [263.5548162857433, 13.0376882873016], rtol=1e-12)


def test_diagnostics_of_the_rows(weighted, sleep):
    rows = weighted.augment(sleep).head(3)
    np.testing.assert_allclose(
        rows["residual_studentized"],
        [-0.0217589334323916, -0.0579420148827793, -0.5319404702450381],
        rtol=1e-10,
    )
    np.testing.assert_allclose(
        rows["cooks_distance"], [3.87098452421274e-06, 2.62580330957917e-05, 1.95267710334356e-03], rtol=1e-10
    )
    np.testing.assert_allclose(
        rows["leverage"], [0.0160891089108912, 0.0154015401540154, 0.0136138613861386], rtol=1e-12
    )
    np.testing.assert_allclose(
        weighted.residuals("pearson")[:3],
        [-1.36060224948841, -3.62442290696297, -33.30444573449164],
        rtol=1e-10,
    )


# Algebra -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("vcov", ["model", "HC3", "CR1"])
def test_freq_weights_are_repeated_rows(weights, vcov):
    data = random_data().assign(count=lambda d: np.arange(len(d)) % 3 + 1, w=lambda d: 1.0 + d.index / 60)
    options = {"weights": weights, "vcov": vcov, "cluster": data["g"].to_numpy() if vcov == "CR1" else None}
    with pytest.warns(MultilevelWarning) if vcov == "CR1" else warnings.catch_warnings():
        counted = ml.ols("y ~ x + z", data, freq_weights="count", **options)
        repeated = data.loc[data.index.repeat(data["count"])]
        options["cluster"] = repeated["g"].to_numpy() if vcov == "CR1" else None
        expected = ml.ols("y ~ x + z", repeated, **options)
    assert counted.nobs == expected.nobs == 120
    np.testing.assert_allclose(counted.fixef, expected.fixef, rtol=1e-12)
    np.testing.assert_allclose(counted.vcov(), expected.vcov(), rtol=1e-10)
    for name in ("sigma", "loglik", "aic", "bic", "r_squared", "adj_r_squared"):
        assert getattr(counted, name) == pytest.approx(getattr(expected, name), rel=1e-12), name
    np.testing.assert_allclose(np.repeat(counted.fitted, data["count"]), expected.fitted, rtol=1e-12)


def test_offset_is_a_coefficient_of_one():
    data = random_data()
    shifted = ml.ols("y ~ x + offset(2 * z)", data)
    by_hand = ml.ols("y ~ x", data.assign(y=data["y"] - 2.0 * data["z"]))
    np.testing.assert_allclose(shifted.fixef, by_hand.fixef, rtol=1e-12)
    np.testing.assert_allclose(shifted.fitted, by_hand.fitted + 2.0 * data["z"], rtol=1e-12)
    np.testing.assert_allclose(shifted.predict(data), shifted.fitted, rtol=1e-12)
    assert shifted.loglik == pytest.approx(by_hand.loglik, rel=1e-12)


def test_dummies_in_place_of_an_intercept_give_the_same_model():
    data = random_data()
    with_intercept, without = ml.ols("y ~ g + x", data), ml.ols("y ~ 0 + g + x", data)
    np.testing.assert_allclose(without.fitted, with_intercept.fitted, rtol=1e-12)
    for name in ("loglik", "r_squared", "adj_r_squared"):
        assert getattr(without, name) == pytest.approx(getattr(with_intercept, name), rel=1e-12), name
    statistic = with_intercept.glance()["statistic"][0]
    assert without.glance()["statistic"][0] == pytest.approx(statistic, rel=1e-10)


def test_large_values_keep_their_digits():
    data = random_data().round(3)
    plain = ml.ols("y ~ x", data)
    far = ml.ols("y ~ x", data.assign(y=data["y"] + 2.0**40, x=data["x"] + 2.0**27))
    assert far.fixef[1] == pytest.approx(plain.fixef[1], rel=1e-3)  # y itself is stored to 2^-13
    assert far.sigma == pytest.approx(plain.sigma, rel=1e-3)
    new, far_new = {"x": [0.5, 1.0]}, {"x": [2.0**27 + 0.5, 2.0**27 + 1.0]}
    width = plain.predict(new, interval="confidence").eval("conf_high - conf_low")
    far_width = far.predict(far_new, interval="confidence").eval("conf_high - conf_low")
    np.testing.assert_allclose(far_width, width, rtol=2e-3)


# The face ------------------------------------------------------------------------------------------------


def test_the_variance_chosen_is_the_one_shown(sleep):
    fit = ml.ols("Reaction ~ Days", sleep, vcov="HC3")
    np.testing.assert_allclose(fit.se, np.sqrt(fit.vcov(kind="HC3").diagonal()))
    np.testing.assert_allclose(fit.tidy()["std_error"], fit.se)
    assert "HC3, robust to unequal variances" in str(fit)
    assert fit.vcov(kind="model")[1, 1] != fit.vcov()[1, 1]


def test_few_clusters_are_said_when_asked_for_and_in_the_summary(sleep):
    with pytest.warns(MultilevelWarning, match=r"'Subject' has 18 clusters.*17 df.*ml\.lmm"):
        fit = ml.ols("Reaction ~ Days", sleep, cluster="Subject")
    assert "CR1, robust to clustering within 18 Subject" in str(fit)
    assert "tend to be too small" in str(fit)
    with pytest.warns(MultilevelWarning, match="18 clusters"):
        ml.ols("Reaction ~ Days", sleep).vcov(cluster="Subject")


def test_many_clusters_go_without_saying():
    data = random_data(n=200).assign(c=lambda d: d.index % 50)
    assert ml.ols("y ~ x", data, cluster="c").n_clusters == 50


def test_clusters_need_not_be_contiguous_and_may_be_an_array(sleep):
    shuffled = sleep.sample(frac=1.0, random_state=1)
    labels = shuffled["Subject"].astype(str).to_numpy()
    with pytest.warns(MultilevelWarning):
        by_name = ml.ols("Reaction ~ Days", sleep, cluster="Subject")
    with pytest.warns(MultilevelWarning):
        by_array = ml.ols("Reaction ~ Days", shuffled, cluster=labels)
    np.testing.assert_allclose(by_array.vcov(), by_name.vcov(), rtol=1e-10)


def test_rows_without_a_cluster_are_dropped_and_counted(sleep):
    data = sleep.assign(Subject=sleep["Subject"].astype(object).where(sleep.index >= 5))
    with pytest.warns(MultilevelWarning):
        fit = ml.ols("Reaction ~ Days", data, cluster="Subject")
    assert fit.nobs == 175
    assert fit.dropped.missing_by_column == {"Subject": 5}
    assert "Subject 5" in str(fit)
    with pytest.raises(DataError, match="'Subject' is missing in 5"):
        ml.ols("Reaction ~ Days", data).vcov(cluster="Subject")


def test_tables_come_back_in_the_kind_of_the_data(sleep):
    fit = ml.ols("Reaction ~ Days", pl.from_pandas(sleep[["Reaction", "Days"]]))
    assert isinstance(fit.tidy(conf_int=True), pl.DataFrame)
    assert isinstance(fit.glance(), pl.DataFrame)
    assert isinstance(fit.predict(interval="confidence"), pl.DataFrame)


def test_augment_keeps_rows_that_were_not_used():
    data = random_data().assign(x=lambda d: d["x"].where(d.index != 3))
    table = ml.ols("y ~ x", data).augment()
    assert len(table) == 60
    assert table["fitted"].isna().sum() == 1
    assert np.isnan(table["fitted"][3])


def test_predictions_of_incomplete_rows_are_missing():
    fit = ml.ols("y ~ x + g", random_data())
    predicted = fit.predict({"x": [1.0, np.nan], "g": ["a", "b"]})
    assert np.isfinite(predicted[0])
    assert np.isnan(predicted[1])


def test_new_observations_have_the_weights_of_their_column(sleep, weighted):
    new = sleep.head(3)
    by_column = weighted.predict(new, interval="prediction")
    given = weighted.predict(new[["Days"]], interval="prediction", weights=new["w"])
    np.testing.assert_allclose(by_column["conf_high"], given["conf_high"], rtol=1e-12)
    np.testing.assert_allclose(by_column, weighted.predict(interval="prediction").head(3), rtol=1e-12)
    with pytest.raises(DataError, match="3 new rows"):
        weighted.predict(new, interval="prediction", weights=[1.0, -1.0, 1.0])


def test_pickle_round_trip(sleep):
    fit = ml.ols("Reaction ~ Days", sleep, vcov="HC3")
    again = pickle.loads(pickle.dumps(fit))
    assert str(again) == str(fit)
    np.testing.assert_array_equal(again.predict({"Days": [1.0]}), fit.predict({"Days": [1.0]}))


def test_simulate_and_refit_find_the_model_again():
    fit = ml.ols("y ~ x + z", random_data(400), vcov="HC1")
    draws = fit.simulate(200, seed=7)
    assert draws.shape == (400, 200)
    np.testing.assert_array_equal(draws[:, :2], fit.simulate(2, seed=7))
    refits = np.array([fit.refit(y).fixef for y in draws.T])
    np.testing.assert_allclose(refits.std(axis=0), np.sqrt(fit.vcov(kind="model").diagonal()), rtol=0.2)
    assert fit.refit(draws[:, 0]).variance.kind == "HC1"


def test_comparison_with_a_larger_model_is_the_likelihood_ratio():
    data = random_data()
    small, large = ml.ols("y ~ x", data), ml.ols("y ~ x + g", data)
    comparison = ml.compare(small, large)
    assert comparison["chisq"][1] == pytest.approx(2.0 * (large.loglik - small.loglik), rel=1e-12)
    assert comparison["df"][1] == 4


def test_update_adds_a_term():
    fit = ml.ols("y ~ x", random_data(), vcov="HC2")
    larger = fit.update(". ~ . + z")
    assert larger.coef_names == ("Intercept", "x", "z")
    assert larger.variance.kind == "HC2"


def test_equation_in_words_and_latex(weighted):
    assert weighted.equation().splitlines()[1].strip() == "Reaction_i = β0 + β1 Days_i + e_i"
    assert r"\beta_{1} \, \text{Days}_{i}" in weighted.equation("latex")


def test_summary_reads_like_lm(sleep):
    text = str(ml.ols("Reaction ~ Days", sleep).summary())
    for part in (
        "Reaction ~ Days",
        "251.405",
        "10.467",
        "R-squared: 0.2865",
        "F statistic: 71.46 on 1 and 178 df",
    ):
        assert part in text
    assert "<table" in ml.ols("Reaction ~ Days", sleep)._repr_html_()


def test_summary_of_a_mean_alone_has_no_r_squared(sleep):
    assert "R-squared" not in str(ml.ols("Reaction ~ 1", sleep))


def test_too_few_clusters_for_the_overall_test_are_said():
    with pytest.warns(MultilevelWarning):
        fit = ml.ols("y ~ x + z", random_data().assign(c=np.arange(60) % 2), cluster="c")
    assert "2 clusters are too few" in str(fit)
    assert np.isnan(fit.glance()["statistic"][0])


def test_matrices(weighted):
    matrices = weighted.matrices()
    assert matrices.X.shape == (180, 2)
    assert matrices.Z.shape == (180, 0)
    np.testing.assert_allclose(matrices.residual_variance, weighted.sigma**2 / weighted.design.weights)


# Misuse --------------------------------------------------------------------------------------------------


def test_random_effects_are_sent_to_lmm(sleep):
    with pytest.raises(FormulaError, match=r"\(1 \| Subject\).*ml\.lmm"):
        ml.ols("Reaction ~ Days + (1 | Subject)", sleep)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"vcov": "HC9"}, DataError, "vcov='HC9'.*HC3.*CR1"),
        ({"vcov": "CR1"}, ModelError, 'vcov="CR1" needs to know the clusters'),
        ({"vcov": "HC3", "cluster": "g"}, ModelError, "would ignore the clusters in 'g'"),
        ({"cluster": "gg"}, ColumnNotFoundError, "gg"),
        ({"cluster": np.arange(7)}, DataError, "60 rows of the data"),
        ({"cluster": ["g", "gg"]}, ColumnNotFoundError, "gg"),
        ({"cluster": [np.arange(7), np.arange(7)]}, DataError, "60 rows of the data"),
    ],
)
def test_impossible_variances(options, error, message):
    with pytest.raises(error, match=message):
        ml.ols("y ~ x", random_data(), **options)


def test_missing_clusters_can_be_refused():
    data = random_data().assign(g=lambda d: d["g"].where(d.index != 7))
    with pytest.raises(DataError, match=r"\bg\b"):
        ml.ols("y ~ x", data, cluster="g", missing="raise")


def test_as_many_coefficients_as_rows():
    with pytest.raises(ModelError, match="leave no residual variance"):
        ml.ols("y ~ x + z", random_data(3))


def test_a_perfect_fit_has_no_variance_to_estimate():
    with pytest.raises(ModelError, match="fits 'y' perfectly"):
        ml.ols("y ~ x", {"x": [1.0, 2.0, 4.0, 7.0], "y": [3.0, 5.0, 9.0, 15.0]})


def test_unseen_level_of_a_factor():
    with pytest.raises(NewLevelsError, match="'q'"):
        ml.ols("y ~ g", random_data()).predict({"g": ["q"]})


@pytest.mark.parametrize("options", [{"interval": "both"}, {"interval": "confidence", "level": 95}])
def test_impossible_intervals(weighted, options):
    with pytest.raises((ModelError, DataError)):
        weighted.predict({"Days": [1.0]}, **options)


def test_unknown_kind_of_residuals(weighted):
    with pytest.raises(DataError, match="pearson"):
        weighted.residuals("deviant")
