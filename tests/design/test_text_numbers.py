"""Numbers that came as text: refused where a coefficient for each would be no answer."""

from __future__ import annotations

import warnings

import pandas as pd
import pytest

from design_data import design, mixed_data
from multilevel.design.text_numbers import read_as_numbers
from multilevel.errors import DataError, MultilevelWarning


@pytest.mark.parametrize("formula", ["y ~ x", "y ~ z + x:z", "y ~ z + (x | g)"])
def test_numbers_as_text_are_refused(formula: str) -> None:
    data = mixed_data()
    data["x"] = data["x"].astype(str)
    with pytest.raises(
        DataError, match="'x' is text with 48 levels in 48 rows that read as numbers; convert"
    ):
        design(formula, data)


def test_a_label_that_is_no_number_is_shown() -> None:
    data = mixed_data()
    data["x"] = data["x"].round(1).astype(str)
    data.loc[3, "x"] = "n/a (lost)"
    with pytest.raises(DataError, match=r"but for 'n/a \(lost\)'; convert it to numbers"):
        design("y ~ x", data)


def test_a_label_for_each_row_is_refused() -> None:
    data = mixed_data().assign(name=[f"row {i}" for i in range(48)])
    with pytest.raises(DataError, match="'name' is text with 48 levels in 48 rows, too many"):
        design("y ~ name", data)


def test_factors_of_numbers_are_left_alone() -> None:
    data = mixed_data().assign(number=[f"{i % 16}" for i in range(48)])
    data["few"] = data["h"].astype(str)
    assert len(design("y ~ few", data).coef_names) == 4
    assert len(design("y ~ factor(number)", data).coef_names) == 16
    assert len(design("y ~ number", data, contrasts={"number": "sum"}).coef_names) == 16
    assert len(design("y ~ 1 + (1 | number)", data).coef_names) == 1


def test_what_reads_as_a_number() -> None:
    assert read_as_numbers(["1", " -2.5", ".5", "1e-3", "3,7"])
    assert not read_as_numbers(["1", "two"])
    assert not read_as_numbers([1.0, 2.0])


def test_an_ordered_structure_over_numbers_in_the_order_of_text_is_pointed_out() -> None:
    data = mixed_data().assign(week=[f"{8 + i % 4}" for i in range(48)])  # "10" sorts before "8"
    with pytest.warns(MultilevelWarning, match=r"ar1\(0 \+ week \| g\) stand in .* \(10, 11, 8, 9\), not of"):
        design("y ~ 1 + ar1(0 + week | g)", data)


@pytest.mark.parametrize("order", ["8 9 10 11", "11 10 9 8"])
def test_levels_in_order_need_no_warning(order: str) -> None:
    weeks = [f"{8 + i % 4}" for i in range(48)]
    data = mixed_data().assign(
        week=pd.Categorical(weeks, order.split()), number=[float(week) for week in weeks]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        design("y ~ 1 + ar1(0 + week | g)", data)
        design("y ~ 1 + ar1(0 + factor(number) | g)", data)
        design("y ~ 1 + ar1(0 + text | g) + (0 + week | h)", data)
