"""Where R's formulas, Python and formulaic read the same text differently: one test a trap."""

from __future__ import annotations

import numpy as np
import pytest

from design_data import design, mixed_data
from multilevel.errors import FormulaError
from multilevel.formula.parse import parse_formula


def column(term: str) -> np.ndarray:
    return design(f"y ~ 0 + {term}", mixed_data()).X[:, 0]


def test_caret_is_a_power_and_not_exclusive_or() -> None:
    data = mixed_data()
    np.testing.assert_array_equal(column("I(h^2)"), data["h"] ** 2)
    np.testing.assert_array_equal(design("I(y^2) ~ 1", data).y, data["y"] ** 2)


def test_caret_on_terms_crosses_them() -> None:
    names = design("y ~ (x + z)^2", mixed_data()).coef_names
    assert names == ("Intercept", "x", "z", "x:z")


def test_a_ratio_on_the_left_is_not_two_responses() -> None:
    assert parse_formula("y / n ~ x").response.kind == "ratio"
    assert parse_formula("cbind(a, b) ~ x").response.kind == "cbind"
    assert parse_formula("I(y / n) ~ x").response.kind == "single"
    with pytest.raises(FormulaError, match=r"write I\(y / z\)"):
        design("y / z ~ x", mixed_data())


def test_cs_is_a_structure_only_when_it_holds_a_bar() -> None:
    formula = parse_formula("y ~ cs(x, df=4) + cs(1 + x | g)")
    assert formula.fixed == "1 + cs(x, df=4)"
    assert [bar.structure for bar in formula.bars] == ["cs"]
    assert design("y ~ cs(x, df=4)", mixed_data()).coef_names[1] == "cs(x, df=4)[1]"


@pytest.mark.parametrize("structure", ["diag", "ar1", "us"])
def test_other_structures_mean_nothing_without_a_bar(structure: str) -> None:
    assert parse_formula(f"y ~ {structure}(1 + x | g)").bars[0].structure == structure
    with pytest.raises(FormulaError, match="needs a bar"):
        parse_formula(f"y ~ {structure}(x)")


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("sqrt(z)", lambda data: np.sqrt(data["z"])),
        ("log(z)", lambda data: np.log(data["z"])),
        ("exp(x)", lambda data: np.exp(data["x"])),
        ("scale(x)", lambda data: (data["x"] - data["x"].mean()) / data["x"].std()),
    ],
)
def test_functions_that_formulaic_lacks_or_that_columns_hide(term: str, expected: object) -> None:
    data = mixed_data()  # it has a column called "log"
    np.testing.assert_allclose(column(term), expected(data), rtol=1e-12)  # type: ignore[operator]


def test_factor_offset_and_splines_work() -> None:
    made = design("y ~ factor(h) + ns(x, 3) + offset(z)", mixed_data())
    assert made.coef_names[1:4] == ("factor(h)[T.2]", "factor(h)[T.3]", "factor(h)[T.4]")
    assert made.X.shape[1] == 7
    np.testing.assert_array_equal(made.offset, mixed_data()["z"])


def test_within_and_between_remember_the_fit() -> None:
    data = mixed_data()
    made = design("y ~ 0 + within(x, g) + between(x, g)", data)
    one_row = made.encoder.encode(data.iloc[[9]])
    np.testing.assert_array_equal(one_row.X, made.X[[9]])


def test_and_or_not_bind_as_in_r() -> None:
    data = mixed_data()
    expected = ((data["x"] > 0) & (data["z"] < 1)) | ~(data["h"] == 3)
    np.testing.assert_array_equal(column("ifelse(x > 0 & z < 1 | !h == 3, 1, 0)"), expected)


def test_a_minus_before_a_power_comes_last() -> None:
    np.testing.assert_array_equal(column("I(-x^2)"), -(mixed_data()["x"] ** 2))


def test_truth_values_are_factors_as_terms_and_numbers_in_computations() -> None:
    made = design("y ~ flag + I(flag * x)", mixed_data())
    assert made.coef_names == ("Intercept", "flag[T.True]", "I(flag * x)")


def test_whole_numbers_in_factors_are_written_without_a_point() -> None:
    assert design("y ~ C(h)", mixed_data()).coef_names[1] == "C(h)[T.2]"


def test_means_in_formulas_are_those_of_the_fit() -> None:
    data = mixed_data()
    encoder = design("y ~ 0 + I(x - mean(x))", data).encoder
    np.testing.assert_allclose(encoder.encode({"x": [1.0]}).X, [[1 - data["x"].mean()]])
    with pytest.raises(FormulaError, match="would change with new data; write 'mean'"):
        parse_formula("y ~ I(x - np.mean(x))")


def test_the_intercept_follows_the_last_word() -> None:
    assert parse_formula("y ~ x - 1 + 1").fixed == "1 + x"
    assert parse_formula("y ~ 1 + x - 1").fixed == "0 + x"


def test_formulas_call_only_functions_for_formulas() -> None:
    with pytest.raises(FormulaError, match="no function"):
        parse_formula("y ~ open('file')")
    with pytest.raises(FormulaError, match="missing before"):
        parse_formula("y ~ __import__('os').system('ls')")


@pytest.mark.parametrize(
    ("term", "names"),  # of R's model.matrix(), up to the spelling of a factor's columns
    [
        ("x %in% text", ["x:text[u]", "x:text[v]", "x:text[w]"]),
        ("x + x %in% text", ["x", "x:text[T.v]", "x:text[T.w]"]),
        ("flag + x %in% flag", ["flag[T.True]", "x:flag[False]", "x:flag[True]"]),
        ("(x + z) %in% flag", ["x:flag[False]", "x:flag[True]", "z:flag[False]", "z:flag[True]"]),
        ("x %in% z", ["x:z"]),
    ],
)
def test_nesting_brings_no_main_effect(term: str, names: list[str]) -> None:
    assert list(design(f"y ~ {term}", mixed_data()).coef_names) == ["Intercept", *names]


def test_nested_factors_span_their_cells() -> None:
    data = mixed_data()
    for formula in ("y ~ flag %in% text", "y ~ text + flag %in% text"):
        made = design(formula, data)
        cells = data.groupby(["text", "flag"])["y"].transform("mean")
        fitted = made.X @ np.linalg.lstsq(made.X, made.y, rcond=None)[0]
        assert made.X.shape[1] == 6
        np.testing.assert_allclose(fitted, cells, rtol=1e-10)


def test_nesting_and_membership_share_a_sign() -> None:
    assert parse_formula("y ~ (x %in% text | g)").bars[0].effects == "1 + x:text"
    inside = mixed_data()["text"].isin(["u", "v"])
    np.testing.assert_array_equal(column('ifelse(text %in% c("u", "v") | x > 9, 1, 0)'), inside)
