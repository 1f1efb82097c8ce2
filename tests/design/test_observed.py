"""Responses that are not plain numbers: successes in trials, ordered categories."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from multilevel.design.build import build_design
from multilevel.design.glmm import build_glmm_design
from multilevel.errors import DataError, DataTypeError
from multilevel.formula.parse import parse_formula

DATA = pd.DataFrame(
    {
        "s": [1, 2, 0, 3, 1, 4],
        "n": [2, 2, 3, 4, 1, 4],
        "x": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
        "g": list("aabbcc"),
        "h": list("aabbcc"),
        "yes": [True, False, True, True, False, True],
        "two": pd.Categorical(["no", "yes", "no", "no", "yes", "yes"]),
        "grade": pd.Categorical(["b", "a", "d", "b", "a", "d"], ["a", "b", "c", "d"], ordered=True),
        "number": [3, 1, 2, 3, 1, 10],
    }
)


def observed(left: str, kind: Any) -> Any:
    return build_design(parse_formula(f"{left} ~ two + (1 | h)"), DATA, response=kind)


def test_successes_out_of_trials() -> None:
    design = observed("s / n", "trials")
    np.testing.assert_array_equal(design.y, DATA["s"])
    np.testing.assert_array_equal(design.trials, DATA["n"])


def test_successes_beside_failures() -> None:
    design = observed("cbind(s, n - s)", "trials")
    np.testing.assert_array_equal(design.trials, DATA["n"])


@pytest.mark.parametrize("left", ["yes", "two"])
def test_single_trials(left: str) -> None:
    design = build_design(parse_formula(f"{left} ~ x + (1 | g)"), DATA, response="trials")
    assert design.trials is None
    assert set(design.y) == {0.0, 1.0}
    np.testing.assert_array_equal(design.encoder.encode_response(DATA), design.y)


def test_trials_that_are_all_one_are_none() -> None:
    data = DATA.assign(one=1)
    design = build_design(parse_formula("yes / one ~ x + (1 | g)"), data, response="trials")
    assert design.trials is None


def test_ordered_categories_lose_those_that_do_not_occur() -> None:
    design = observed("grade", "ordered")
    assert design.categories == ("a", "b", "d")
    np.testing.assert_array_equal(design.y, [1, 0, 2, 1, 0, 2])
    np.testing.assert_array_equal(design.encoder.encode_response(DATA), design.y)


def test_numbers_have_an_order_of_their_own() -> None:
    design = observed("number", "ordered")
    assert design.categories == ("1", "2", "3", "10")
    np.testing.assert_array_equal(design.y, [2, 0, 1, 2, 0, 3])


def test_categories_of_new_data_are_those_of_the_fit() -> None:
    design = observed("grade", "ordered")
    new = pd.DataFrame({"grade": pd.Categorical(["d", "c"], ["a", "b", "c", "d"], ordered=True)})
    np.testing.assert_array_equal(design.encoder.encode_response(new), [2.0, np.nan])


@pytest.mark.parametrize(
    ("left", "kind", "error", "said"),
    [
        ("n / s", "trials", DataError, "more successes than trials in rows 0, 2"),
        ("s / x", "trials", DataError, "more successes"),
        ("x / g", "trials", DataTypeError, "labels, not counts"),
        ("I(x / 2) / n", "trials", DataError, "no count"),
        ("cbind(s - 2, n)", "trials", DataError, "no count"),
        ("g", "trials", DataTypeError, "3 labels"),
        ("g", "ordered", DataTypeError, "without an order"),
    ],
)
def test_misuse(left: str, kind: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        observed(left, kind)


def test_no_trials_at_all() -> None:
    data = DATA.assign(n=[2, 2, 3, 4, 0, 4], s=[1, 2, 0, 3, 0, 4])
    with pytest.raises(DataError, match="no trials in row 4"):
        build_design(parse_formula("s / n ~ x + (1 | g)"), data, response="trials")


class TestSides:
    def test_share_the_rows_that_are_complete_for_all(self) -> None:
        data = DATA.assign(z=[np.nan, 1, 2, 3, 4, 5.0], d=[0, 1, 2, 3, 4, np.nan])
        design = build_glmm_design(
            parse_formula("s ~ x + (1 | g)"), data, zi="~ z + (1 | g)", dispersion="~ d"
        )
        assert design.zi is not None
        assert design.dispersion is not None
        for side in (design.main, design.zi, design.dispersion):
            np.testing.assert_array_equal(side.rows, [False, True, True, True, True, False])
            np.testing.assert_array_equal(side.y, data["s"][1:5])

    def test_code_new_data_alike(self) -> None:
        design = build_glmm_design(parse_formula("s ~ x + (1 | g)"), DATA, zi="~ scale(x)")
        assert design.zi is not None
        new = design.zi.encoder.encode(DATA.iloc[[5]], ())
        np.testing.assert_allclose(new.X, design.zi.X[[5]])

    def test_thresholds_take_the_place_of_the_intercept(self) -> None:
        for right in ("two", "0 + two", "two - 1"):
            design = build_glmm_design(parse_formula(f"grade ~ {right} + (1 | g)"), DATA, "ordered")
            assert design.main.coef_names == ("two[T.yes]",)
            new = design.main.encoder.encode(DATA, ())
            np.testing.assert_allclose(new.X, design.main.X)

    def test_weights_may_be_the_trials_of_shares(self) -> None:
        data = DATA.assign(rate=DATA["s"] / DATA["n"])
        design = build_glmm_design(parse_formula("rate ~ x + (1 | g)"), data, "trials", weights="n")
        assert design.main.weights is None
        np.testing.assert_array_equal(design.main.y, DATA["s"])
        np.testing.assert_array_equal(design.trials, DATA["n"])


def test_a_polars_enum_has_an_order() -> None:
    enum = pl.Series("grade", ["b", "a", "d", "b"], dtype=pl.Enum(["d", "c", "b", "a"]))
    data = pl.DataFrame({"grade": enum, "x": [1, 2, 4, 3]})
    design = build_glmm_design(parse_formula("grade ~ x"), data, "ordered")
    assert design.main.categories == ("d", "b", "a")
    np.testing.assert_array_equal(design.main.y, [1.0, 2.0, 0.0, 1.0])


def test_labels_without_an_order_are_told_how_to_get_one() -> None:
    data = pl.DataFrame({"g": ["low", "high", "mid", "mid"], "x": [1, 2, 4, 3]})
    with pytest.raises(DataTypeError, match=r"\(in polars an Enum\), or write ordered\(g, levels=\[...\]\)"):
        build_glmm_design(parse_formula("g ~ x"), data, "ordered")
    formula = parse_formula("ordered(g, levels=['low', 'mid', 'high']) ~ x")
    assert build_glmm_design(formula, data, "ordered").main.categories == ("low", "mid", "high")
