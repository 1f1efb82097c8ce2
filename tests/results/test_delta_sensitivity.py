"""Delta-adjusted imputation: MAR at zero, lines over delta, tipping points, words and misuse."""

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest

import multilevel as ml
from longitudinal import drop_out, trial
from multilevel.errors import DataError, DataTypeError, ModelError

FORMULA = "y ~ week * arm + (1 | id)"
EFFECT = "week:arm"


@pytest.fixture(scope="module")
def gaps():
    return drop_out(trial(n_groups=120, effect=0.4), keep_rows=True, intercept=2.5)


@pytest.fixture(scope="module")
def fit(gaps):
    return ml.lmm(FORMULA, gaps)


@pytest.fixture(scope="module")
def found(fit):
    return ml.delta_sensitivity(fit, deltas=[-3.0, -1.5, 1.0], where={"arm": 1}, seed=1)


def test_zero_delta_is_the_likelihood_under_mar(fit, found):
    at_zero = found.frame[found.frame["delta"] == 0.0].set_index("term")
    # imputation noise of 20 data sets: sd of the mean is sqrt(fmi / 20) of a standard error, here about 0.1
    apart = (at_zero["estimate"] - fit.fixef[1:]) / fit.se[1:]
    assert np.abs(apart).max() < 0.4
    np.testing.assert_allclose(at_zero["std_error"], fit.se[1:], rtol=0.15)


def test_estimates_move_on_a_line(found):
    path = found.frame[found.frame["term"] == EFFECT]
    assert list(path["delta"]) == [-3.0, -1.5, 0.0, 1.0]
    slopes = np.diff(path["estimate"]) / np.diff(path["delta"])
    np.testing.assert_allclose(
        slopes, slopes[0], rtol=0.05
    )  # variances change with delta, and weights with them
    assert slopes[0] > 0.0  # the treated who left are pulled down by a negative delta


def test_the_tipping_point_is_where_a_limit_is_zero(found):
    tips = found.tipping.set_index("term").loc[EFFECT]
    path = found.frame[found.frame["term"] == EFFECT]
    assert -3.0 < tips["tips_below"] < 0.0
    assert np.interp(tips["tips_below"], path["delta"], path["conf_low"]) == pytest.approx(0.0, abs=1e-12)
    text = " ".join(str(found).split())
    assert "where arm is 1" in text
    assert "the tipping point" in text
    assert "No data can tell which delta is true" in text
    assert "nan" not in text.lower()


def test_the_same_seed_and_the_kind_of_frame(gaps, found):
    again = ml.delta_sensitivity(
        ml.lmm(FORMULA, pl.from_pandas(gaps)), deltas=[-3.0, -1.5, 1.0], where={"arm": 1}, seed=1
    )
    assert isinstance(again.frame, pl.DataFrame)
    np.testing.assert_allclose(again["estimate"], found["estimate"], rtol=1e-6)


def test_another_analysis_of_the_completed_data(fit):
    other = ml.delta_sensitivity(
        fit, deltas=[0.0, 1.0], n=3, seed=2, analysis=lambda data: ml.ols("y ~ week", data), term="week"
    )
    assert set(other["term"]) == {"week"}
    assert "y ~ week" in str(other)
    everyone = np.ones(len(fit.call.data), dtype=bool)
    same = ml.delta_sensitivity(
        fit, deltas=[0.0, 1.0], n=3, seed=2, where=everyone, analysis=lambda data: ml.ols("y ~ week", data)
    )
    np.testing.assert_allclose(same["estimate"], other["estimate"])


def test_groups_never_observed_are_imputed_too(gaps):
    data = gaps.assign(y=gaps["y"].mask(gaps["id"] == 5))
    found = ml.delta_sensitivity(ml.lmm("y ~ week + (week | id)", data), n=3, seed=3)
    assert found.imputed.sum() == data["y"].isna().sum()
    assert np.isfinite(found["std_error"]).all()
    assert len(found["delta"]) == 9


def test_the_picture(found):
    axes = found.plot(EFFECT)
    assert EFFECT in axes.get_ylabel()
    plt.close("all")
    with pytest.raises(DataError, match="plot"):
        found.plot("dose")


def test_misuse(gaps, fit):
    with pytest.raises(DataTypeError, match=r"imputes from a fit by ml\.lmm"):
        ml.delta_sensitivity(ml.ols("y ~ week", gaps))
    with pytest.raises(ModelError, match="add these, with their predictors"):
        ml.delta_sensitivity(ml.lmm(FORMULA, gaps.dropna()))
    with pytest.raises(ModelError, match="make it a column"):
        ml.delta_sensitivity(ml.lmm("I(2 * y) ~ week + (1 | id)", gaps))
    with pytest.raises(DataError, match="'arm' is never 'drug'"):
        ml.delta_sensitivity(fit, where={"arm": "drug"})
    with pytest.raises(DataError, match="truth values"):
        ml.delta_sensitivity(fit, where=[1, 2])
    with pytest.raises(DataError, match="chooses none"):
        ml.delta_sensitivity(fit, where={"week": 0})
    with pytest.raises(DataError, match="is no coefficient"):
        ml.delta_sensitivity(fit, term="dose", n=2)
    with pytest.raises(DataError, match="cannot be pooled"):
        ml.delta_sensitivity(fit, n=1)
    with pytest.raises(DataError, match="deltas="):
        ml.delta_sensitivity(fit, deltas=[np.inf])
