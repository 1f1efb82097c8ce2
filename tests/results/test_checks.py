"""Data, responses and options that do not belong to a fit are refused, and the message says why."""

import numpy as np
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import DataError

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
