"""lme4's dialect, read."""

from __future__ import annotations

import pytest

from multilevel.errors import DataTypeError
from multilevel.formula.parse import parse_formula
from multilevel.formula.terms import Bar


def bars(right: str) -> list[tuple[str, str]]:
    """Effects and factor of each bar."""
    return [(bar.effects, ":".join(bar.factor)) for bar in parse_formula(f"y ~ {right}").bars]


def bar(right: str) -> Bar:
    (only,) = parse_formula(f"y ~ {right}").bars
    return only


@pytest.mark.parametrize(
    ("right", "expected"),
    [
        ("(1 | g)", [("1", "g")]),
        ("(1+x|g)", [("1 + x", "g")]),
        ("(x | g)", [("1 + x", "g")]),
        ("(0 + x | g)", [("0 + x", "g")]),
        ("(x - 1 | g)", [("0 + x", "g")]),
        ("(-1 + x | g)", [("0 + x", "g")]),
        ("(1 | a:b)", [("1", "a:b")]),
        ("(1 | a/b)", [("1", "a"), ("1", "a:b")]),
        ("(x | a/b/c)", [("1 + x", "a"), ("1 + x", "a:b"), ("1 + x", "a:b:c")]),
        ("(1 | a/(b/c))", [("1", "a"), ("1", "a:b"), ("1", "a:b:c")]),
        ("(1 | (a:b)/c)", [("1", "a:b"), ("1", "a:b:c")]),
        ("(1 | a/b:c)", [("1", "a"), ("1", "a:b:c")]),
        ("(1 | g) + (0 + x | g)", [("1", "g"), ("0 + x", "g")]),
        ("(1 | g) + (1 | h)", [("1", "g"), ("1", "h")]),
        ("x + ((1 | g) + z)", [("1", "g")]),
        ("(f | g)", [("1 + f", "g")]),
        ("(a * b | g)", [("1 + a * b", "g")]),
        ("(I(age - 11) | s)", [("1 + I(age - 11)", "s")]),
        ("(poly(x, 2) | g)", [("1 + poly(x, 2)", "g")]),
        ("(1 | factor(g))", [("1", "factor(g)")]),
        ("(1 | as.factor(g))", [("1", "factor(g)")]),
        ("(1 | my.group)", [("1", "my.group")]),
        ("(1 | `my group`)", [("1", "my group")]),
    ],
)
def test_bars(right: str, expected: list[tuple[str, str]]) -> None:
    assert bars(right) == expected


def test_double_bar_is_one_uncorrelated_term() -> None:
    assert (bar("(x || g)").effects, bar("(x || g)").structure) == ("1 + x", "diag")
    assert [each.structure for each in parse_formula("y ~ (x || a/b)").bars] == ["diag", "diag"]


@pytest.mark.parametrize(
    ("term", "structure", "hom"),
    [
        ("(1 + x | g)", "us", False),
        ("us(1 + x | g)", "us", False),
        ("diag(1 + x | g)", "diag", False),
        ("diag(1 + x | g, hom = TRUE)", "diag", True),
        ("cs(1 + x | g)", "cs", False),
        ("cs(1 + x | g, hom = TRUE)", "cs", True),
        ("cs(1 + x | g, hom=True)", "cs", True),
        ("ar1(0 + t | g)", "ar1", True),
        ("ar1(0 + t | g, hom = FALSE)", "ar1", False),
        ("diag(x || g)", "diag", False),
    ],
)
def test_structures(term: str, structure: str, hom: bool) -> None:
    assert (bar(term).structure, bar(term).hom) == (structure, hom)


def test_bars_keep_what_was_written() -> None:
    assert bar("x + ( 1+x |g)").text == "( 1+x |g)"


@pytest.mark.parametrize(
    ("right", "fixed"),
    [
        ("x", "1 + x"),
        ("1 + x", "1 + x"),
        ("0 + x", "0 + x"),
        ("x - 1", "0 + x"),
        ("-1 + x", "0 + x"),
        ("x + 0", "0 + x"),
        ("x - 1 + 1", "1 + x"),
        ("x - 0", "1 + x"),
        ("(0 + x)", "0 + x"),
        ("1", "1"),
        ("0", "0"),
        ("(1 | g)", "1"),
        ("a * b - a:b", "1 + a * b - a : b"),
        ("a - (b + c)", "1 + a - (b + c)"),
        ("a + (b + c)", "1 + a + b + c"),
        ("(a + b)^2", "1 + (a + b)**2"),
        ("(a + b)**2", "1 + (a + b)**2"),
        ("b %in% a", "1 + b:a"),
        ("1 * x + z:1", "1 + x + z"),
        ("(x + z) %in% (a + b:a)", "1 + ((x + z)):a:b"),
        ("a/b", "1 + a / b"),
        ("log(x) + sqrt(z)", "1 + log(x) + sqrt(z)"),
        ("poly(x, 2, raw = TRUE)", "1 + poly(x, 2, raw=True)"),
        ("`my var` + log(`my var`)", "1 + `my var` + log(Q('my var'))"),
        ("log(µ)", "1 + log(Q('µ'))"),
        ("factor(class)", "1 + factor(Q('class'))"),
        (
            "bs(x, knots = c(1, 2.5), Boundary.knots = c(0, 9))",
            "1 + bs(x, knots=[1, 2.5], Boundary_knots=[0, 9])",
        ),
        ("bs(x, knots=[1, 2])", "1 + bs(x, knots=[1, 2])"),
        ("x # a comment", "1 + x"),
        ("x +\n z", "1 + x + z"),
    ],
)
def test_fixed_part(right: str, fixed: str) -> None:
    assert parse_formula(f"y ~ {right}").fixed == fixed


@pytest.mark.parametrize(
    ("r", "python"),
    [
        ("x^2", "x ** 2"),
        ("-x^2", "-x ** 2"),
        ("(-x)^2", "(-x) ** 2"),
        ("2^x^y", "2 ** x ** y"),
        ("(2^x)^y", "(2 ** x) ** y"),
        ("x^-1", "x ** (-1)"),
        ("a*(b + c)/(d - e) - (f - g)", "a * (b + c) / (d - e) - (f - g)"),
        ("a/(b*c)", "a / (b * c)"),
        ("a %% 2 == 0", "a % 2 == 0"),
        ("a %/% b * c", "a // b * c"),
        ("x > 1 & y < 2", "(x > 1) & (y < 2)"),
        ("x > 1 | flag", "(x > 1) | flag"),
        ("x > 1 | !(y < 2)", "(x > 1) | ~(y < 2)"),
        ('g == "a"', "g == 'a'"),
        ('g %in% c("a", "b")', "np.isin(g, ['a', 'b'])"),
        ("1e-3 * x + 2L", "1e-3 * x + 2"),
        ("a:b", "interaction(a, b)"),
    ],
)
def test_computations_become_python(r: str, python: str) -> None:
    assert parse_formula(f"y ~ I({r})").fixed == f"1 + I({python})"


@pytest.mark.parametrize(
    ("left", "kind", "expressions"),
    [
        ("y", "single", ("y",)),
        ("(y)", "single", ("y",)),
        ("log(y)", "single", ("log(y)",)),
        ("y^2 + 1", "single", ("y ** 2 + 1",)),
        ("I(a / b)", "single", ("I(a / b)",)),
        ("a / b", "ratio", ("a", "b")),
        ("cbind(a, b - a)", "cbind", ("a", "b - a")),
    ],
)
def test_response(left: str, kind: str, expressions: tuple[str, ...]) -> None:
    response = parse_formula(f"{left} ~ x").response
    assert (response.kind, response.expressions) == (kind, expressions)


def test_offsets_are_set_apart() -> None:
    formula = parse_formula("y ~ x + offset(log(n)) + offset(z)")
    assert (formula.fixed, formula.offsets) == ("1 + x", ("log(n)", "z"))


def test_formula_keeps_its_text_and_is_read_once() -> None:
    assert parse_formula(" y ~ x ").text == "y ~ x"
    assert parse_formula("y ~ x") is parse_formula("y ~ x")


def test_formula_is_text() -> None:
    with pytest.raises(DataTypeError, match="write it as text"):
        parse_formula(3)  # type: ignore[arg-type]
