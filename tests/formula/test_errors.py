"""Malformed formulas: the place is shown, and the way out."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel.errors import FormulaError
from multilevel.formula.parse import parse_formula

MALFORMED = [  # formula, the text the caret stands under, part of the advice
    ("y + x", "y + x", "has no '~'"),
    ("~ x", "~ x", "nothing left of '~'"),
    ("y ~ ", "", "nothing right of '~'"),
    ("", "", "is empty"),
    ("y ~ x ~ z", "~ z", "one '~'"),
    ("y ~ (x ~ z)", "~ z", "one '~'"),
    ("y ~ x +", "", "ends after '+'"),
    ("y ~ x + (1|g", "(1|g", "never closed"),
    ("y ~ x)", ")", "closes nothing"),
    ("y ~ (1 | )", ")", "no grouping factor; write '(1 | group)'"),
    ("y ~ (x || )", ")", "write '(1 || group)'"),
    ("y ~ ( | g)", "| g)", "write '(1 | group)'"),
    ("y ~ ()", ")", "empty"),
    ("y ~ x | g", "| g", "in parentheses"),
    ("y ~ x * (1 | g)", "| g", "only be added"),
    ("y ~ x:(1 | g)", "| g", "only be added"),
    ("y ~ x - (1 | g)", "(1 | g)", "taken away"),
    ("y ~ log(1 | g)", "log(1", "inside log"),
    ("y ~ I(x | z)", "I(x", "inside I"),
    ("y ~ toep(1 | g)", "toep", "there are us, diag, cs, ar1"),
    ("y ~ us(x)", "us(x)", "needs a bar"),
    ("y ~ cs(1 || g)", "|| g", "one bar inside cs"),
    ("y ~ cs(1 | g, het = TRUE)", "TRUE", "'hom = TRUE'"),
    ("y ~ cs(1 | g, hom = 2)", "2", "TRUE or FALSE"),
    ("y ~ us(1 | g, hom = TRUE)", "TRUE", "no options"),
    ("y ~ (1 | a + b)", "a + b", "'(1 | a) + (1 | b)'"),
    ("y ~ (1 | a * b)", "a * b", "(1 | a:b)"),
    ("y ~ (1 | a %in% b)", "a %in% b", "(1 | b:a)"),
    ("y ~ a %in% c('u', 'v')", "c('u'", "inside I"),
    ("y ~ x %in% (a - b)", "a - b", "b within a"),
    ("y ~ x + [1 | g]", "[1", "round parentheses"),
    ("y ~ c(1 | g)", "c(1", "round parentheses"),
    ("y ~ [x]", "[x]", "'a + b'"),
    ("y ~ x < 0 + (1 | g)", "x < 0", "'I(x < 2) + (1 | group)'"),
    ("y ~ z + x == 1 + (1 | g)", "z + x", "inside I"),
    ("y ~ !x + (1 | g)", "!x", "inside I"),
    ("y ~ (1 | 2)", "2)", "no grouping factor"),
    ("y ~ (1 | a/b:(c/d))", "b:(c/d)", "no grouping factor"),
    ("y ~ (0 | g)", "0 | g", "Nothing varies"),
    ("y ~ (x | g | h)", "| h", "one bar only"),
    ("y ~ (1 | g) + (1 | g)", "(1 | g)", "appears twice"),
    ("y ~ (1 | a:b) + (1 | b:a)", "(1 | b:a)", "appears twice"),
    ("y ~ (1 + offset(z) | g)", "offset", "fixed part"),
    ("y ~ x:offset(z)", "offset", "term of its own"),
    ("y ~ offset(a, b)", "offset", "one expression"),
    ("y ~ x > 2", "x > 2", "inside I"),
    ("y ~ 2 * x", "2 * x", "inside I"),
    ("y ~ x + 3", "3", "A number is no term"),
    ("y ~ x^2.5", "2.5", "whole number"),
    ("y ~ x^k", "k", "whole number"),
    ("y ~ .", ".", "name the predictors"),
    ("y ~ x z", "z", "missing before 'z'"),
    ("y ~ x 2", "2", "missing before '2'"),
    ("y ~ d$x", "$x", "named directly"),
    ("y ~ x[1]", "[1]", "do not index"),
    ("y ~ splines::ns(x)", "::ns", "without its package"),
    ("y ~ x = z", "= z", "'=='"),
    ("y ~ * x", "* x", "missing between '~' and '*'"),
    ("y ~ f(x)", "f(x)", "no function 'f'"),
    ("y ~ lgo(x)", "lgo", "did you mean 'log'"),
    ("y ~ np.mean(x)", "np.mean", "write 'mean'"),
    ("y ~ np.fft(x)", "np.fft", "no function 'np.fft'"),
    ("y ~ is.na(x)", "is.na", "no function 'is.na'"),
    ("y ~ log(x", "(x", "never closed"),
    ("y ~ log(x z)", "z)", "missing before 'z'"),
    ("y ~ 'a", "'a", "never closed"),
    ("y ~ `a", "`a", "never closed"),
    ("y ~ x ? z", "? z", "no meaning"),
    ("y ~ y + (1 | g)", "y + (1", "'y' stands on the right too"),
    ("y ~ x * y", "y", "stands on the right too"),
    ("y ~ x + (y | g)", "y | g", "stands on the right too"),
    ("y ~ cs(y | g)", "y | g", "stands on the right too"),
    ("log(y) ~ x:log(y)", "log(y)", "'log(y)' stands on the right too"),
    ("cbind(a, b) ~ b", "b", "stands on the right too"),
    ("(1 | g) ~ x", "1 | g", "right of '~'"),
    ("cbind(a) ~ x", "cbind", "successes"),
]


@pytest.mark.parametrize(("text", "place", "advice"), MALFORMED)
def test_place_and_advice(text: str, place: str, advice: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    problem, shown, caret = str(caught.value).rsplit("\n", 2)
    assert advice in problem
    assert shown == f"  {text}"
    assert text[caret.index("^") - 2 :].startswith(place)


@pytest.mark.parametrize(
    "text", ["y ~ x - y", "y ~ lag + log(y)", "log(y) ~ y", "y / n ~ n", "y ~ x + offset(y)"]
)
def test_the_response_may_stand_inside_something_else(text: str) -> None:
    assert parse_formula(text).response.text == text.partition(" ~")[0]


def test_caret_stands_in_the_right_line() -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula("y ~ x +\n  d$z")
    assert str(caught.value).endswith("\n    d$z\n     ^")


def test_formula_errors_are_value_errors() -> None:
    with pytest.raises(ValueError, match="~"):
        parse_formula("y")


@given(st.text("yxg~+-*/:|()^ 01,.`'=!<>&%I$[]", max_size=25))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(FormulaError):  # and no other error
        parse_formula(text)
