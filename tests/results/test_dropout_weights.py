"""Weights for dropout as users meet them: gaps of both kinds, a MAR simulation, words, misuse."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from longitudinal import drop_out, trial
from multilevel.errors import ColumnNotFoundError, DataError, FormulaError, ModelError, MultilevelWarning


@pytest.fixture(scope="module")
def gaps():
    return drop_out(trial(), keep_rows=True)


@pytest.fixture(scope="module")
def weights(gaps):
    return ml.dropout_weights(gaps, "id", "week", "~ y + arm", y="y")


def test_absent_rows_and_missing_responses_are_the_same(gaps, weights):
    short = gaps.dropna().reset_index(drop=True)
    found = ml.dropout_weights(short, "id", "week", "~ y + arm")
    np.testing.assert_allclose(found.weights, weights.weights[gaps["y"].notna()], rtol=1e-12)
    assert np.isnan(weights.weights[gaps["y"].isna()]).all()


def test_the_order_of_rows_and_the_kind_of_frame_do_not_matter(gaps, weights):
    order = np.random.default_rng(9).permutation(len(gaps))
    shuffled = pl.from_pandas(gaps.iloc[order])
    found = ml.dropout_weights(shuffled, "id", "week", "~ y + arm", y="y")
    np.testing.assert_allclose(found.weights, weights.weights[order], rtol=1e-9)
    assert isinstance(found.frame, pl.DataFrame)
    assert isinstance(found.tidy(), pl.DataFrame)


def test_the_model_is_the_logistic_regression_of_the_next_visit(gaps, weights):
    later = gaps.assign(week=gaps["week"] - 1, stays=gaps["y"].notna().astype(float))[["id", "week", "stays"]]
    rows = gaps.dropna().merge(later, on=["id", "week"])
    X = np.column_stack([np.ones(len(rows)), rows["y"], rows["arm"]])
    p = 1.0 / (1.0 + np.exp(-X @ weights.stay.beta))
    np.testing.assert_allclose(X.T @ (rows["stays"] - p), 0.0, atol=1e-8)
    table = weights.tidy(conf_int=True)
    se = np.sqrt(np.diag(np.linalg.inv((X.T * (p * (1.0 - p))) @ X)))
    np.testing.assert_allclose(table["std_error"], se, rtol=1e-8)
    assert set(table["part"]) == {"denominator"}


def test_fits_take_the_weights_as_they_are(gaps, weights):
    one = ml.ols("y ~ week", gaps, weights=weights)
    other = ml.ols("y ~ week", gaps, weights=weights.weights)
    np.testing.assert_array_equal(one.fixef, other.fixef)
    assert len(weights) == len(gaps)


def test_weights_undo_dropout_at_random():
    # the response of week w decides who is there at w + 1, so means of those who are left are too low
    estimates = []
    for seed in range(30):
        full = trial(n_groups=300, seed=seed, effect=0.0)
        seen = drop_out(full, seed=100 + seed, on_y=-0.6)
        w = ml.dropout_weights(seen, "id", "week", "~ I(y - week)", numerator="~ factor(week)")
        estimates.append(
            [
                ml.ols("y ~ week", seen).fixef[1],
                ml.ols("y ~ week", seen, weights=w).fixef[1],
                ml.lmm("y ~ week + (1 | id)", seen).fixef[1],
            ]
        )
    mean, error = np.mean(estimates, axis=0), np.std(estimates, axis=0, ddof=1) / np.sqrt(30)
    bias = mean - 1.0
    assert bias[0] < -8.0 * error[0]
    assert abs(bias[1]) < 3.0 * error[1]
    assert (
        abs(bias[2]) < 3.0 * error[2] + 0.02
    )  # arms differ in slope, and dropout changes their mix a little


def test_what_is_printed(weights, gaps):
    text = " ".join(str(weights).split())
    assert "P(there at the next week) ~ y + arm" in text
    assert "(MAR)" in text
    assert "nan" not in text.lower()
    table = weights.frame
    assert table["followed"][0] == 200
    assert table["left"].sum() == 200 - table["followed"].iloc[-1]
    truncated = ml.dropout_weights(gaps, "id", "week", "~ y", y="y", truncate=(0.0, 0.95), numerator="~ arm")
    assert "percentiles 0 and 95" in str(truncated)
    assert "(numerator)" in str(truncated)


def test_gaps_within_a_series_are_counted():
    data = drop_out(trial())
    holes = data.drop(data.index[(data["id"] == data["id"].value_counts().index[0]) & (data["week"] == 1)])
    found = ml.dropout_weights(holes, "id", "week", "~ y")
    assert "come after a gap" in " ".join(str(found).split())
    late = data.drop(data.index[(data["id"] == 3) & (data["week"] == 0)])
    assert "not seen at the first time" in " ".join(
        str(ml.dropout_weights(late, "id", "week", "~ y")).split()
    )


def test_heavy_weights_are_warned_of():
    data = drop_out(trial(n_groups=400), intercept=2.0, on_y=-3.0)
    with pytest.warns(MultilevelWarning, match="a few rows decide"):
        found = ml.dropout_weights(data, "id", "week", "~ I(y - week)")
    assert "Positivity" in str(found)


def test_misuse(gaps):
    def make(data=gaps, formula="~ y", **options):
        return ml.dropout_weights(data, "id", "week", formula, **{"y": "y", **options})

    with pytest.raises(ModelError, match=r"no group of 'id' leaves.*y='\.\.\.'"):
        make(y=None)
    with pytest.raises(FormulaError, match="has no response"):
        make(formula="y + arm")
    with pytest.raises(FormulaError, match="random effects"):
        make(formula="~ y + (1 | id)")
    with pytest.raises(DataError, match="several rows at week 0"):
        make(pd.concat([gaps, gaps.iloc[:1]]))
    with pytest.raises(DataError, match=r"truncate=\(0\.01, 0\.99\)"):
        make(truncate=(1, 99))
    with pytest.raises(DataError, match="truncate="):
        make(truncate=0.99)
    with pytest.raises(DataError, match=r"missing something \(arm\) in 1 rows"):
        make(gaps.assign(arm=gaps["arm"].mask(gaps.index == 0)), formula="~ y + arm")
    with pytest.raises(DataError, match=r"'id'.*is missing in row 0"):
        make(gaps.assign(id=gaps["id"].astype(float).mask(gaps.index == 0)))
    with pytest.raises(ColumnNotFoundError, match="weak"):
        ml.dropout_weights(gaps, "id", "weak", "~ y")
    with pytest.raises(DataError, match="level='visit'"):
        make(level="visit")
    with pytest.raises(DataError, match="is 0 in every row"):
        make(gaps[gaps["week"] == 0])
    never = gaps.assign(y=gaps["y"].mask(gaps["week"] == 3))
    with pytest.raises(ModelError, match="after week 2 all leave"):
        make(never, formula="~ factor(week)")
