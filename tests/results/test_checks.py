"""Data, responses and options that do not belong to a fit are refused, and the message says why."""

import numpy as np
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import DataError, DataTypeError, ModelError, MultilevelWarning

FORMULA = "Reaction ~ Days + (1 + Days | Subject)"


@pytest.fixture(scope="module")
def slopes(sleepstudy):
    return ml.lmm(FORMULA, sleepstudy)


def days_reversed(data):
    return data.assign(Days=9 - data["Days"])


def subjects_rotated(data):
    return data.assign(Subject=np.roll(data["Subject"].to_numpy(), 10))


@pytest.mark.parametrize(
    ("change", "culprit"),
    [
        (lambda data: data.sample(frac=1, random_state=1), "response 'Reaction'"),
        (lambda data: data.assign(Reaction=0.0), "response 'Reaction' differs in 180"),
        (days_reversed, "column 'Days'"),
        (subjects_rotated, "grouping factor 'Subject'"),
        (lambda data: data.assign(Days=data["Days"].where(data["Days"] > 0)), "missing"),
    ],
)
def test_augment_refuses_data_that_are_not_those_of_the_fit(slopes, sleepstudy, change, culprit):
    with pytest.raises(DataError, match=culprit):
        slopes.augment(change(sleepstudy))


def test_augment_refuses_other_data_of_a_regression(sleepstudy):
    fit = ml.ols("Reaction ~ Days", sleepstudy)
    with pytest.raises(DataError, match="response 'Reaction'"):
        fit.augment(sleepstudy.assign(Reaction=0.0))


def test_augment_notices_that_the_data_were_changed_in_place(sleepstudy):
    mine = sleepstudy.copy()
    fit = ml.lmm(FORMULA, mine)
    mine["Reaction"] = 0.0
    with pytest.raises(DataError, match="not the data of the fit"):
        fit.augment()


def test_augment_takes_the_same_rows_in_another_frame_with_more_columns(slopes, sleepstudy):
    other = pl.from_pandas(sleepstudy.assign(extra=1))
    table = slopes.augment(other)
    np.testing.assert_allclose(table["fitted"].to_numpy(), slopes.fitted)
    assert "extra" in table.columns


def test_augment_codes_stateful_transforms_as_the_fit_did(sleepstudy):
    gaps = sleepstudy.copy()
    gaps.loc[[3, 77], "Days"] = np.nan
    gaps.loc[5, "Reaction"] = np.nan
    formula = "log(Reaction) ~ poly(Days, 2) + between(Days, Subject) + (1 + scale(Days) | Subject)"
    fit = ml.lmm(formula, gaps, weights=np.linspace(1, 2, len(gaps)))
    table = fit.augment(gaps.reset_index())
    assert table["fitted"].isna().to_numpy().nonzero()[0].tolist() == [3, 5, 77]


def test_augment_of_a_refit_wants_the_response_it_was_fitted_to(slopes, sleepstudy):
    other = slopes.refit(2 * sleepstudy["Reaction"])
    with pytest.raises(DataError, match="response 'Reaction'"):
        other.augment()
    table = other.augment(sleepstudy.assign(Reaction=2 * sleepstudy["Reaction"]))
    np.testing.assert_allclose(table["fitted"], other.fitted)


def test_refit_takes_what_simulate_returns(slopes):
    simulated = slopes.simulate(1, seed=1)
    assert simulated.shape == (180, 1)
    np.testing.assert_allclose(slopes.refit(simulated).fixef, slopes.refit(simulated[:, 0]).fixef)
    with pytest.raises(DataError, match=r"shape \(180, 2\)"):
        slopes.refit(slopes.simulate(2, seed=1))


@pytest.mark.parametrize("text", ["a", "1"])
def test_refits_to_text_are_refused(slopes, text):
    with pytest.raises(DataTypeError, match=f"numbers, got values like '{text}'"):
        slopes.refit([text] * 180)
    with pytest.raises(DataTypeError, match="numbers"):
        slopes.refit_many([[text]] * 180)


@pytest.mark.parametrize("reml", ["ML", 0, 1, None])
def test_reml_is_true_or_false(sleepstudy, reml):
    with pytest.raises(DataTypeError, match="neither True nor False"):
        ml.lmm(FORMULA, sleepstudy, reml=reml)


@pytest.mark.parametrize(("value", "word"), [(True, "all"), (False, "none")])
def test_random_effects_are_in_or_out_of_a_prediction_by_truth_values_too(slopes, sleepstudy, value, word):
    np.testing.assert_array_equal(slopes.predict(sleepstudy, re=value), slopes.predict(sleepstudy, re=word))


def test_a_prediction_names_grouping_factors(slopes, sleepstudy):
    with pytest.raises(DataTypeError, match=r"re=3 names no grouping factors.*'Subject'"):
        slopes.predict(sleepstudy, re=3)


@pytest.mark.parametrize("make", [ml.ols, ml.lmm])
@pytest.mark.parametrize(
    ("n", "error"),
    [("a", DataTypeError), (1.5, DataTypeError), (True, DataTypeError), (0, DataError), (-1, DataError)],
)
def test_simulate_wants_a_count(sleepstudy, make, n, error):
    fit = make("Reaction ~ Days" + (" + (1 | Subject)" if make is ml.lmm else ""), sleepstudy)
    with pytest.raises(error, match=f"n={n!r}"):
        fit.simulate(n)


@pytest.mark.parametrize(("seed", "error"), [("a", DataTypeError), (1.5, DataTypeError), (-1, DataError)])
def test_seeds_are_whole_numbers(slopes, seed, error):
    with pytest.raises(error, match="seed="):
        slopes.simulate(1, seed=seed)


def test_a_formula_of_nothing_is_refused(sleepstudy):
    with pytest.raises(ModelError, match=r"no terms.*y ~ 1"):
        ml.ols("Reaction ~ 0", sleepstudy)


def test_a_level_is_a_share(slopes):
    with pytest.raises(DataTypeError, match="between 0 and 1"):
        slopes.confint(level="a")
    with pytest.raises(DataError, match=r"write level=0\.95"):
        slopes.confint(level=95)


@pytest.mark.parametrize(
    ("at", "error", "culprit"),
    [
        ({"Dayz": [1, 2]}, DataError, "does not know 'Dayz'.*'Days'"),
        ({"Days": [1, 2], "x": [1, 2]}, DataError, "does not know 'x'"),
        ({}, DataError, "lacks values of 'Days'"),
        ({"Days": ["a"]}, DataTypeError, "'Days' must be numbers"),
        ([1], DataTypeError, "maps columns to values"),
    ],
)
def test_icc_wants_values_of_the_random_slopes(slopes, at, error, culprit):
    with pytest.raises(error, match=culprit):
        slopes.icc(at=at)


def test_icc_at_several_slopes_wants_equally_many_values_or_one_for_all(sleepstudy):
    fit = ml.lmm("Reaction ~ Days + (Days + I(Days**2) || Subject)", sleepstudy)
    with pytest.raises(DataError, match=r"'Days' has 3, 'I\(Days \*\* 2\)' has 2"):
        fit.icc(at={"Days": [0, 1, 2], "I(Days ** 2)": [0, 1]})
    table = fit.icc(at={"Days": [0, 1, 2], "I(Days ** 2)": 0})
    assert list(table["I(Days ** 2)"]) == [0, 0, 0]
    empty = ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy)
    with pytest.raises(DataError, match="no random slopes"):
        empty.icc(at={"Days": [1]})


def test_one_cluster_is_an_error_and_no_warning(sleepstudy):
    with pytest.raises(ModelError, match="one cluster"):  # a warning would be an error here
        ml.ols("Reaction ~ Days", sleepstudy.assign(k="a"), cluster="k")


def test_few_clusters_are_told_once(sleepstudy):
    with pytest.warns(MultilevelWarning, match="18 clusters"):
        fit = ml.ols("Reaction ~ Days", sleepstudy, cluster="Subject")
    fit.vcov(kind="cr0")  # a second warning would be an error here
    fit.vcov(cluster="Subject")
    assert "18 clusters" in " ".join(str(fit.summary()).split())
    with pytest.warns(MultilevelWarning, match="'DaysF' has 10 clusters"):
        fit.vcov(cluster="DaysF")


def test_the_kind_of_a_variance_is_the_same_in_capitals(sleepstudy):
    fit = ml.ols("Reaction ~ Days", sleepstudy, vcov="hc3")
    np.testing.assert_array_equal(fit.vcov(), fit.vcov(kind="HC3"))
    assert "HC3" in str(fit)


@pytest.mark.parametrize("make", [ml.ols, ml.lmm])
def test_predictions_keep_the_index_of_new_rows(sleepstudy, make):
    fit = make("Reaction ~ Days" + (" + (1 | Subject)" if make is ml.lmm else ""), sleepstudy)
    new = sleepstudy.iloc[[7, 3, 150]]
    table = fit.predict(new, interval="prediction")
    assert list(table) == ["fitted", "conf_low", "conf_high"]
    assert list(table.index) == [7, 3, 150]
    np.testing.assert_allclose(table["fitted"], fit.predict(new))
    assert isinstance(fit.predict(pl.from_pandas(new), interval="confidence"), pl.DataFrame)
    assert list(fit.predict(new.to_dict("list"), interval="confidence").index) == [0, 1, 2]
    assert list(fit.predict(interval="confidence").index) == list(range(180))


@pytest.mark.parametrize(
    "ask",
    [
        lambda fit: fit.residuals("none"),
        lambda fit: fit.predict(kind="logit"),
        lambda fit: fit.predict(interval="credible"),
        lambda fit: fit.equation("html"),
        lambda fit: fit.confint("exact"),
    ],
)
@pytest.mark.parametrize("make", [ml.ols, ml.lmm])
def test_an_option_that_does_not_exist_is_one_kind_of_error(sleepstudy, make, ask):
    fit = make("Reaction ~ Days" + (" + (1 | Subject)" if make is ml.lmm else ""), sleepstudy)
    with pytest.raises(DataError, match="does not exist; choose"):
        ask(fit)
