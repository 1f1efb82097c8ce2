import pytest

from multilevel.errors import FormulaError
from multilevel.formula.update import signed_terms, update_formula


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("y ~ a + (1 | g)", ". ~ . + x", "y ~ a + (1 | g) + x"),
        ("y ~ a + b + (1 | g)", ". ~ . - b", "y ~ a + (1 | g)"),
        ("y ~ a + (1 | g)", ". ~ . - (1|g) + (1 + a | g)", "y ~ a + (1 + a | g)"),
        ("y ~ a + (1 | g)", "log(y) ~ .", "log(y) ~ a + (1 | g)"),
        ("y ~ a + (1 | g)", "~ . + b", "y ~ a + (1 | g) + b"),
        ("y ~ a", ". ~ . - 1", "y ~ a - 1"),
        ("y ~ 1 + a", ". ~ . - 1", "y ~ a - 1"),
        ("y ~ a - 1", ". ~ . + b", "y ~ a - 1 + b"),
        ("y ~ a", ". ~ . - a", "y ~ 1"),
        ("y ~ I(a - 1) + `b - c`", ". ~ . - I(a-1)", "y ~ `b - c`"),
        ("y ~ a", ". ~ x.1 + z", "y ~ x.1 + z"),
        ("y ~ a + (1 | g)", "log(.) ~ .", "log(y) ~ a + (1 | g)"),
        ("a / b ~ c", "I(. * 2) ~ .", "I((a / b) * 2) ~ c"),
        ("y ~ a + (1 | g)", ". ~ .*d", "y ~ a*d + (1 | g)"),
        ("y ~ a + b + (1 | g)", ". ~ . * d", "y ~ (a + b) * d + (1 | g)"),
        ("y ~ 0 + a + offset(z) + (1 | g)", ". ~ .:d", "y ~ a:d + 0 + offset(z) + (1 | g)"),
        ("y ~ a - 1", ". ~ .*d", "y ~ a*d - 1"),
        ("y ~ 1 + (1 | g)", ". ~ .*d", "y ~ 1*d + 1 + (1 | g)"),
        ("y ~ a + b + (1 | g)", ". ~ . + .:d", "y ~ a + b + (1 | g) + (a + b):d"),
        ("y ~ a + b", ". ~ .^2", "y ~ (a + b)^2"),
        ("y ~ a:b", ". ~ . - b:a", "y ~ 1"),
        ("y ~ x + (x | g)", ". ~ . - (1 + x|g) + (1 | g)", "y ~ x + (1 | g)"),
        ("y ~ (a + b || h:g)", ". ~ . - diag(1 + b + a | g:h)", "y ~ 1"),
    ],
)
def test_a_dot_stands_for_what_was_there(old, new, expected):
    assert update_formula(old, new) == expected


def test_what_cannot_be_taken_away_is_refused():
    with pytest.raises(FormulaError, match=r"takes away \(1 \| h\).*; it has \(1 \| g\)"):
        update_formula("y ~ a + (1 | g)", ". ~ . - (1 | h)")


def test_a_change_without_tilde_is_refused():
    with pytest.raises(FormulaError, match="no '~'"):
        update_formula("y ~ a", "+ b")


def test_signs_inside_brackets_and_quotes_do_not_split():
    assert signed_terms("C(a, 'x - y') - b") == [("+", "C(a, 'x - y')"), ("-", "b")]


def test_a_term_that_is_not_there_cannot_be_taken_away() -> None:
    with pytest.raises(FormulaError, match=r"takes away foo, which the .* does not have; it has a, b"):
        update_formula("y ~ a + b + (1 | g)", ". ~ . - foo")
    with pytest.raises(FormulaError, match="takes away log"):
        update_formula("y ~ x + (1 | g)", ". ~ . - log(x)")
    assert update_formula("y ~ a * b", ". ~ . - a:b") == "y ~ a * b - a:b"
    assert update_formula("y ~ a * b", ". ~ . - b") == "y ~ a * b - b"
    assert update_formula("y ~ a + (1 | g)", ". ~ . - 1") == "y ~ a + (1 | g) - 1"
