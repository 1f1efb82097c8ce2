"""Predictions against R, and their variances against dense algebra."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import multilevel as ml
from dense_lmm import dense_fit, term_matrices
from multilevel.errors import ColumnNotFoundError, DataError, ModelError, NewLevelsError
from reference_cases import case_data, load_case

CASES = ["lmm_sleepstudy_m2_reml", "lmm_pastes_nested", "lmm_penicillin_reml", "lmm_machines_nested"]


@pytest.fixture(scope="module")
def slopes(sleepstudy):
    return ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleepstudy)


@pytest.fixture(scope="module")
def crossed(penicillin):
    return ml.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin)


@pytest.mark.parametrize("name", CASES)
def test_predictions_are_those_of_lme4(name):
    case = load_case(name)
    fit = ml.lmm(case["spec"]["formula"], case_data(case))
    new = pd.DataFrame(case["predict"]["newdata"])
    conditional = fit.predict(new, new_levels="population")
    np.testing.assert_allclose(conditional, case["predict"]["conditional"], rtol=1e-5)
    np.testing.assert_allclose(fit.predict(new, re="none"), case["predict"]["population"], rtol=1e-6)


def joint_error(fit):
    """Dense covariance of the errors in (beta-hat, b-hat)."""
    factors = tuple(term.factor for term in fit.record.terms)
    return dense_fit(fit.design, factors, reml=fit.reml).error_variance


def half_widths(table, level=0.95):
    return (table["conf_high"] - table["conf_low"]).to_numpy() / 2 / stats.norm.ppf(0.5 + level / 2)


@pytest.mark.parametrize("name", ["slopes", "crossed"])
def test_known_groups_carry_the_joint_error_of_both_parts(name, request):
    fit = request.getfixturevalue(name)
    C = np.hstack([fit.design.X, *term_matrices(fit.design)])
    expected = np.einsum("ij,jk,ik->i", C, joint_error(fit), C)
    np.testing.assert_allclose(half_widths(fit.predict(interval="confidence")) ** 2, expected, rtol=1e-6)
    observed = half_widths(fit.predict(interval="prediction")) ** 2
    np.testing.assert_allclose(observed, expected + fit.sigma**2, rtol=1e-6)


def test_new_groups_carry_their_own_variance(slopes):
    new = pd.DataFrame({"Days": [0.0, 4.0], "Subject": ["new", "new"]})
    X = np.array([[1.0, 0.0], [1.0, 4.0]])
    covariance = slopes.vcov() + slopes.record.terms[0].covariance
    expected = np.einsum("ij,jk,ik->i", X, covariance, X)
    table = slopes.predict(new, new_levels="population", interval="confidence")
    np.testing.assert_allclose(table["fitted"], X @ slopes.fixef)
    np.testing.assert_allclose(half_widths(table) ** 2, expected, rtol=1e-8)


def test_groups_left_out_enter_the_interval_of_an_observation_only(slopes):
    new = pd.DataFrame({"Days": [0.0, 4.0]})
    X = np.array([[1.0, 0.0], [1.0, 4.0]])
    mean = np.einsum("ij,jk,ik->i", X, slopes.vcov(), X)
    between = np.einsum("ij,jk,ik->i", X, slopes.record.terms[0].covariance, X)
    confidence = slopes.predict(new, re="none", interval="confidence")
    np.testing.assert_allclose(half_widths(confidence) ** 2, mean, rtol=1e-8)
    prediction = slopes.predict(new, re="none", interval="prediction", level=0.8)
    np.testing.assert_allclose(half_widths(prediction, 0.8) ** 2, mean + between + slopes.sigma**2, rtol=1e-8)


def test_some_groups_may_be_included(crossed, penicillin):
    plates = crossed.predict(penicillin, re=["plate"])
    effects = crossed.ranef()
    effects = effects[effects["group"] == "plate"].set_index("level")["estimate"]
    np.testing.assert_allclose(plates, crossed.fixef[0] + penicillin["plate"].map(effects).to_numpy(float))
    both = crossed.predict(penicillin, re=["plate", "sample"])
    np.testing.assert_allclose(both, crossed.predict(penicillin))
    without_sample = crossed.predict(penicillin[["plate"]], re="plate")
    np.testing.assert_allclose(without_sample, plates)


def test_predictions_of_the_rows_used_are_the_fitted_values(slopes, sleepstudy):
    np.testing.assert_array_equal(slopes.predict(), slopes.predict(kind="link"))
    np.testing.assert_allclose(slopes.predict(), slopes.fitted, rtol=1e-10)
    np.testing.assert_allclose(slopes.predict(sleepstudy), slopes.fitted, rtol=1e-10)


def test_new_levels_are_an_error_that_names_them(slopes):
    new = pd.DataFrame({"Days": [1.0, 2.0], "Subject": ["308", "Ada"]})
    with pytest.raises(NewLevelsError, match=r"1 of these levels of 'Subject': 'Ada'.*population"):
        slopes.predict(new)


def test_sampled_levels_keep_their_effect_and_follow_the_seed(slopes):
    new = pd.DataFrame({"Days": [0.0, 0.0, 0.0, 0.0], "Subject": ["a", "a", "b", "308"]})
    first = slopes.predict(new, new_levels="sample", seed=1)
    assert first[0] == first[1]
    assert first[0] != first[2]
    assert first[3] == pytest.approx(slopes.predict(new.iloc[3:])[0])
    np.testing.assert_array_equal(first, slopes.predict(new, new_levels="sample", seed=1))
    assert first[0] != slopes.predict(new, new_levels="sample", seed=2)[0]


def test_sampled_effects_have_the_estimated_variance(slopes):
    labels = [f"new {k}" for k in range(4000)]
    new = pd.DataFrame({"Days": 4.0, "Subject": labels})
    drawn = slopes.predict(new, new_levels="sample", seed=3)
    z = np.array([1.0, 4.0])
    expected = z @ slopes.record.terms[0].covariance @ z
    assert np.var(drawn) == pytest.approx(expected, rel=0.1)  # SE of a variance of 4000 draws: 2%


def test_missing_predictors_give_missing_predictions(slopes):
    new = pd.DataFrame({"Days": [1.0, np.nan], "Subject": ["308", "309"]})
    assert np.isnan(slopes.predict(new)).tolist() == [False, True]
    table = slopes.predict(new, interval="prediction")
    assert table.isna().to_numpy().tolist() == [[False] * 3, [True] * 3]


def test_weights_of_new_rows_scale_the_residual_variance(sleepstudy):
    w = np.linspace(0.5, 2.0, len(sleepstudy))
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy, weights=w)
    mean = half_widths(fit.predict(interval="confidence")) ** 2
    observation = half_widths(fit.predict(interval="prediction")) ** 2
    np.testing.assert_allclose(observation - mean, fit.sigma**2 / w, rtol=1e-8)
    same = fit.predict(sleepstudy, interval="prediction", weights=w)
    np.testing.assert_allclose(same["conf_high"], fit.predict(interval="prediction")["conf_high"])
    with pytest.raises(DataError, match="weights="):
        fit.predict(sleepstudy, interval="prediction")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"re": ["Days"]}, DataError, "no grouping factor"),
        ({"re": "some"}, DataError, "no grouping factor"),
        ({"new_levels": "zero"}, DataError, "'population'"),
        ({"interval": "credible"}, DataError, "'confidence'"),
        ({"interval": "confidence", "level": 95}, DataError, "0.95"),
        ({"kind": "probability"}, DataError, "'link'"),
        ({"weights": [1.0]}, DataError, "new rows"),
        ({"interval": "confidence", "new_levels": "sample"}, ModelError, "population"),
    ],
)
def test_misuse_is_refused(slopes, options, error, message):
    with pytest.raises(error, match=message):
        slopes.predict(**options)


def test_a_missing_column_is_named(slopes):
    with pytest.raises(ColumnNotFoundError, match="Subject"):
        slopes.predict(pd.DataFrame({"Days": [1.0]}))
