"""Patterns as users meet them: absent rows or missing responses, arms, tables, words, a picture, misuse."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from longitudinal import drop_out, trial
from multilevel.errors import DataError, DataTypeError


@pytest.fixture(scope="module")
def gaps():
    return drop_out(trial(), keep_rows=True)


def test_absent_rows_and_missing_responses_are_the_same(gaps):
    one = ml.missing_patterns(gaps, "id", "week", y="y")
    other = ml.missing_patterns(gaps.dropna(), "id", "week")
    pd.testing.assert_frame_equal(one.frame, other.frame)
    pd.testing.assert_frame_equal(one.curve, other.curve)
    assert one.monotone
    assert one["n"].sum() == 200
    text = " ".join(str(one).split())
    assert "this is dropout" in text
    assert "not missing completely at random" in text
    assert "ml.delta_sensitivity" in text


def test_arms(gaps):
    found = ml.missing_patterns(gaps, "id", "week", y="y", by="arm")
    curve = found.curve
    assert list(curve["arm"].unique()) == ["0", "1"]
    share = gaps[gaps["week"] == 3].groupby("arm")["y"].apply(lambda y: y.notna().mean())
    np.testing.assert_allclose(curve[curve["week"] == 3]["share_observed"], share)
    assert "Still followed at the last time" in str(found)


def test_gaps_that_are_not_dropout():
    data = trial()
    data["y"] = data["y"].mask(np.random.default_rng(12).random(len(data)) < 0.2)
    found = ml.missing_patterns(data, "id", "week", y="y")
    assert not found.monotone
    assert "not monotone" in str(found)
    assert "no clear sign" in " ".join(str(found).split())


def test_complete_data_need_no_caution():
    text = str(ml.missing_patterns(trial(), "id", "week", y="y"))
    assert "All 200 groups of id are complete." in text
    assert "MCAR" not in text


def test_a_table_of_columns():
    data = pl.DataFrame({"a": [1.0, 2.0, None, 4.0], "b": ["x", None, None, "y"], "c": [1, 1, 1, 1]})
    found = ml.missing_patterns(data)
    assert isinstance(found.tidy(), pl.DataFrame)
    assert list(found["pattern"]) == ["XXX", "X.X", "..X"]
    assert found.monotone  # in the order c, a, b
    assert "in the order c, a, b" in " ".join(str(found).split())
    two = ml.missing_patterns(data, y=["a", "b"], by="c")
    assert list(two.curve["column"]) == ["a", "b"]
    crossed = ml.missing_patterns({"a": [1.0, None], "b": [None, 1.0]})
    assert not crossed.monotone
    assert "No order of the columns" in str(crossed)


def test_labels_as_times_keep_their_order(gaps):
    names = pd.Categorical.from_codes(gaps["week"], ["start", "early", "late", "end"])
    found = ml.missing_patterns(gaps.assign(week=names), "id", "week", y="y")
    assert list(found.curve["week"]) == ["start", "early", "late", "end"]
    np.testing.assert_array_equal(found["n"], ml.missing_patterns(gaps, "id", "week", y="y")["n"])


def test_the_picture(gaps):
    found = ml.missing_patterns(gaps, "id", "week", y="y", by="arm")
    tiles, curves = found.plot()
    assert len(tiles.patches) == 4 * len(found["n"])
    assert [text.get_text() for text in curves.get_legend().get_texts()] == ["0", "1"]
    plt.close("all")


def test_misuse(gaps):
    with pytest.raises(DataError, match="both groups= and time="):
        ml.missing_patterns(gaps, "id")
    with pytest.raises(DataError, match=r"by='y' differs within id 0|'y'.*missing in some rows"):
        ml.missing_patterns(gaps, "id", "week", by="y")
    with pytest.raises(DataError, match="by='week' differs within id 0"):
        ml.missing_patterns(gaps, "id", "week", by="week")
    with pytest.raises(DataTypeError, match="y= takes names"):
        ml.missing_patterns(gaps, "id", "week", y=[3])
    with pytest.raises(DataError, match="no rows"):
        ml.missing_patterns({"a": []})


def test_columns_of_a_table_are_no_times():
    data = pd.DataFrame({"a": [1.0, None, 3.0, 4.0], "b": [1.0, 2.0, None, 4.0], "arm": list("xxyy")})
    page = str(ml.missing_patterns(data, by="arm"))
    assert "Observed in each column" in page
    assert "at each time" not in page
    assert "at the last time" not in page


def test_three_arms_stand_one_below_another():
    data = pd.DataFrame({"id": np.repeat(np.arange(6), 2), "week": np.tile([0, 1], 6)})
    data["arm"] = data["id"].map(dict(enumerate("abcabc")))
    page = str(ml.missing_patterns(data.drop([1, 5]), "id", "week", by="arm"))
    assert all(f"Observed at each time, arm {arm}" in page for arm in "abc")
    assert max(map(len, page.splitlines())) < 100
