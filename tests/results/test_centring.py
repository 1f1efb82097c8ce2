"""`ml.center`: columns by hand, levels that add up, missing values, counts, words, and misuse."""

from __future__ import annotations

import re
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import multilevel as ml
from multilevel.errors import ColumnNotFoundError, DataError, DataTypeError


def classes() -> pd.DataFrame:
    """Pupils in classes in schools; classes have the same labels in each school."""
    random = np.random.default_rng(1)
    n = 90
    school, class_ = random.integers(0, 5, n), random.integers(1, 4, n)
    x = school + 0.5 * class_ + random.normal(size=n)
    return pd.DataFrame({"x": x, "z": random.normal(size=n), "school": school, "class": class_})


def flat(result: object) -> str:
    return re.sub(r"\s+", " ", str(result))


def test_about_the_grand_mean() -> None:
    data = classes()
    result = ml.center(data, "x")
    assert_allclose(result.frame["x_centred"], data["x"] - data["x"].mean(), atol=1e-14)
    assert_allclose(result["share"], [1.0])
    assert_allclose(result["sd"], [data["x"].std()])


def test_about_group_means() -> None:
    data = classes()
    frame = ml.center(data, ["x", "z"], by="school").frame
    for name in ("x", "z"):
        means = data.groupby("school")[name].transform("mean")
        assert_allclose(frame[f"{name}_between"], means, atol=1e-14)
        assert_allclose(frame[f"{name}_within"], data[name] - means, atol=1e-14)
    assert list(frame.columns[:4]) == list(data.columns)


def test_levels_add_up_and_finer_ones_are_within_coarser_ones() -> None:
    data = classes()
    result = ml.center(data, "x", by=["school", "class"])
    frame = result.frame
    school = data.groupby("school")["x"].transform("mean")
    class_ = data.groupby(["school", "class"])["x"].transform("mean")
    assert_allclose(frame["x_between_school"], school, atol=1e-14)
    assert_allclose(frame["x_between_class"], class_ - school, atol=1e-14)
    assert_allclose(frame["x_within"], data["x"] - class_, atol=1e-14)
    assert_allclose(result["share"].sum(), 1.0)


def test_the_columns_are_those_of_the_functions_in_formulas() -> None:
    data = classes().assign(y=lambda d: d["x"] + np.random.default_rng(2).normal(size=len(d)))
    by_column = ml.ols("y ~ x_within + x_between", ml.center(data, "x", by="school").frame)
    by_function = ml.ols("y ~ within(x, school) + between(x, school)", data)
    assert_allclose(by_column.fixef, by_function.fixef, rtol=1e-10)


def test_slopes_and_intercept_are_what_the_words_say() -> None:
    data = classes().assign(y=lambda d: 2.0 * d["x"] + np.random.default_rng(2).normal(size=len(d)))
    frame = ml.center(data, "x").frame
    before, after = ml.ols("y ~ x", data), ml.ols("y ~ x_centred", frame)
    assert_allclose(after.fixef[1], before.fixef[1])
    assert_allclose(after.fixef[0], data["y"].mean())


def test_missing_values_and_groups_stay_missing() -> None:
    data = classes().astype({"school": object})
    data.loc[3, "x"], data.loc[4, "school"] = np.nan, None
    result = ml.center(data, ["x", "z"], by="school")
    frame, used = result.frame, data.drop(index=[3, 4])
    assert frame["x_within"].isna().to_numpy().nonzero()[0].tolist() == [3, 4]
    assert frame["z_within"].isna().to_numpy().nonzero()[0].tolist() == [4]
    assert_allclose(frame["x_between"].drop(index=[3, 4]), used.groupby("school")["x"].transform("mean"))
    assert "x: 2 of 90 rows have no value or no group" in flat(result)
    with pytest.raises(DataError, match="missing='raise'"):
        ml.center(data, "x", by="school", missing="raise")


def test_frequency_weights_are_rows_repeated() -> None:
    data = classes().assign(count=lambda d: np.random.default_rng(3).integers(0, 3, len(d)))
    counted = ml.center(data, "x", by=["school", "class"], freq_weights="count")
    repeated = ml.center(data.loc[data.index.repeat(data["count"])], "x", by=["school", "class"])
    for column in ("mean", "sd", "share"):
        assert_allclose(counted[column], repeated[column], rtol=1e-10, atol=1e-14)
    assert counted.frame.loc[data["count"] == 0, "x_within"].isna().all()
    once = counted.frame.loc[data.index.repeat(data["count"])]
    assert_allclose(once["x_between_class"], repeated.frame["x_between_class"], atol=1e-13)


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_the_frame_is_of_the_user_s_kind(kind: str) -> None:
    pupils = ml.datasets.hsb82(kind)
    result = ml.center(pupils, "ses", by="school")
    for frame in (result.frame, result.table):
        assert nw.from_native(frame).implementation.value == kind
    # the column of the data was made by R from means of all digits
    assert_allclose(
        nw.from_native(result.frame)["ses_within"].to_numpy(), ml.datasets.hsb82()["cses"], atol=1e-14
    )


def test_mappings_and_truth_values() -> None:
    result = ml.center({"x": [True, False, True], "g": [1, 1, 2]}, "x", by="g")
    assert_array_equal(result.frame["x_within"], [0.5, -0.5, 0.0])
    assert "1 of 2 groups by g has one row, and so nothing within" in flat(result)


def test_far_from_zero_digits_stay() -> None:
    data = classes()
    far = ml.center(data.assign(x=data["x"] + 1e8), "x", by=["school", "class"]).frame
    near = ml.center(data, "x", by=["school", "class"]).frame
    for column in ("x_within", "x_between_class"):
        assert_allclose(far[column], near[column], atol=1e-7)  # x + 1e8 itself is no finer than 1e-8


def test_words() -> None:
    page = flat(ml.center(ml.datasets.sleepstudy(), "Reaction", by="Subject"))
    assert "Slope of Reaction_within: compares rows of one Subject." in page
    assert "(none has: these means go from 215.2 to 375.7)" in page
    assert "<table>" in ml.center(classes(), "x")._repr_html_()


@pytest.mark.parametrize(
    ("x", "by", "error", "message"),
    [
        ("sx", "school", DataTypeError, "'sx' holds labels, which have no mean"),
        ("sess", None, ColumnNotFoundError, "Did you mean 'ses'"),
        (3, None, DataTypeError, "x is the name of a column, or a list of names; got 3"),
        ([], None, DataTypeError, "x is the name"),
        ("ses", "scool", ColumnNotFoundError, "Did you mean 'school'"),
        ("ses", 3, DataTypeError, "by= is None, the name of a column, or a list of names; got 3"),
        ("ses", [], DataTypeError, "by= is None"),
        ("ses", ["school", "school"], DataError, "by= names 'school' twice"),
        ("ses", "ses", DataError, "'ses' is to be centred and names groups, too"),
        ("ses", "sector", DataError, "would overwrite the column 'ses_within'"),
    ],
)
def test_errors_say_what_to_do(x: Any, by: Any, error: type, message: str) -> None:
    data = ml.datasets.hsb82()
    taken = data.assign(ses_within=0.0) if by == "sector" else data
    with pytest.raises(error, match=message):
        ml.center(taken, x, by)
