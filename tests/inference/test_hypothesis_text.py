"""Hypotheses as text: what is read, and what is said of what cannot be."""

import numpy as np
import pytest

from multilevel.errors import DataError, ModelError
from multilevel.inference.hypothesis_text import Coefficients, describe, parse

NAMES = (
    "Intercept",
    "Days",
    "x",
    "x2",
    "period[T.2]",
    "Days:A[T.b]",
    "I(Days ** 2)",
    "poly(x, 2)[1]",
    "g[T.a=b, c]",
    "`a b`",
)
KNOWN = Coefficients(NAMES, dropped=("z", "x:z"))


def read(text):
    """Each statement as 'weights = value', in words."""
    return [f"{describe(value.weights, NAMES)} = {0.0 - value.constant:g}" for _, value in parse(text, KNOWN)]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("Days = 0", ["Days = 0"]),
        ("Days", ["Days = 0"]),
        ("Days == 10, period[T.2]", ["Days = 10", "period[T.2] = 0"]),
        ("Days = 10\nx2 = 1; x = 2,", ["Days = 10", "x2 = 1", "x = 2"]),
        ("(Intercept) + 9*Days = 300", ["Intercept + 9 * Days = 300"]),
        ("x - x2 = 2 * Days + 3", ["-2 * Days + x - x2 = 3"]),
        ("x = x2 = Days", ["x - x2 = 0", "-Days + x2 = 0"]),
        ("(x + x2) / 2 = Days", ["-Days + 0.5 * x + 0.5 * x2 = 0"]),
        ("-(x - 1) * 2 = +1e-1", ["-2 * x = -1.9"]),
        ("2 * 3 * x - x2 * 4 = 0", ["6 * x - 4 * x2 = 0"]),
        ("I(Days**2) = poly(x,2)[1]", ["I(Days ** 2) - poly(x, 2)[1] = 0"]),
        ("A[T.b]:Days = 0", ["Days:A[T.b] = 0"]),
        ("g[T.a=b, c] = `a b`, x2", ["g[T.a=b, c] - `a b` = 0", "x2 = 0"]),
    ],
)
def test_what_is_read(text, meaning):
    assert read(text) == meaning


def test_labels_are_the_statements_in_plain_spacing():
    assert [label for label, _ in parse(" x=  1,Days ,x = x2=Days", KNOWN)] == [
        "x = 1",
        "Days = 0",
        "x = x2",
        "x2 = Days",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Dayz = 0", "no coefficient 'Dayz'; did you mean 'Days'"),
        ("period = 0", "no coefficient 'period'; did you mean 'period\\[T.2\\]'"),
        ("Days:A[T.c]", "no coefficient 'Days:A\\[T.c\\]'; did you mean 'Days:A\\[T.b\\]'"),
        ("x2x = 0", "no coefficient 'x2x'"),
        ("q = 0", "no coefficient 'q'; the coefficients are Intercept, .* and 2 more"),
        ("", "no hypothesis to test"),
        (" , ", "no hypothesis to test"),
        ("x x2", "cannot be read at 'x2'"),
        ("2x = 0", "cannot be read at 'x'"),
        ("(x + ", "ends too early"),
        ("(x, x2)", "cannot be read at ','"),
        ("x = = 2", "cannot be read at '='"),
        ("x * x2 = 0", "multiplies coefficients"),
        ("1 / x = 0", "divides by a coefficient"),
        ("x / 0 = 1", "divides by a coefficient or by zero"),
    ],
)
def test_what_cannot_be_read(text, message):
    with pytest.raises(DataError, match=message):
        parse(text, KNOWN)


@pytest.mark.parametrize("text", ["z = 0", "Days - z", "z:x = 1"])
def test_dropped_columns_cannot_be_tested(text):
    with pytest.raises(ModelError, match="was dropped from the model"):
        parse(text, KNOWN)


def test_rows_are_described_by_their_coefficients():
    assert describe(np.array([-1.0, 0.25, 0, 0, 0, 0, 0, 0, 0, 3.0]), NAMES) == (
        "-Intercept + 0.25 * Days + 3 * `a b`"
    )
