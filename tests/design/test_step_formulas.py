"""Formulas of the steps of a ladder."""

from __future__ import annotations

from multilevel.design.step_formulas import StepFormulas, step_formulas
from multilevel.formula.parse import parse_formula

COLUMNS = ("y", "x", "z", "g", "h", "t", "a b")


def parts(text: str, groups: str = "g") -> StepFormulas:
    return step_formulas(parse_formula(text), groups, COLUMNS)


def test_the_fixed_part_stays_as_it_was_written() -> None:
    found = parts("log(y) ~ x*z - x:z + offset(t)")
    assert found.with_bars(found.bar(["x", "z"])) == "log(y) ~ x*z - x:z + offset(t) + (1 + x + z | g)"
    assert found.with_fixed("1", found.bar()) == "log(y) ~ 1 + offset(t) + (1 | g)"
    assert found.without_groups() == "log(y) ~ 1 + offset(t)"


def test_names_that_need_backticks() -> None:
    found = parts("y ~ `a b` + scale(`a b`)", "a b:h")
    assert found.bar(found.main_effects) == "(1 + `a b` + scale(`a b`) | `a b`:h)"
    assert parse_formula(found.with_bars(found.bar())).bars[0].factor == ("a b", "h")


def test_what_there_is_in_a_formula() -> None:
    assert parts("y ~ x*z + I(t^2)").main_effects == ("x", "z", "I(t ** 2)")
    assert parts("y ~ x*z + I(t^2)").predictor_columns == ("x", "z", "t")
    assert not parts("y ~ 1").has_predictors
    assert not parts("y ~ 0 + x").has_intercept


def test_other_forms_of_time() -> None:
    found = parts("y ~ t*x + I(t^2) + z")
    assert found.fixed_with_time("t", ["factor(t)"]) == "factor(t) + x + z + t:x"
    assert parts("y ~ 0 + t").fixed_with_time("t", ["t"]) == "0 + t"
