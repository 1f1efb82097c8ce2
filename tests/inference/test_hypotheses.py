"""Hypotheses in the forms that users have them."""

import numpy as np
import pytest

from multilevel.errors import DataError, DataTypeError
from multilevel.inference.hypotheses import read_hypotheses, refuse_contradiction
from multilevel.inference.hypothesis_text import Coefficients

KNOWN = Coefficients(("Intercept", "x", "g[T.b]"), dropped=("z",))


def read(asked, rhs=None):
    return read_hypotheses(asked, rhs, KNOWN)


def test_all_forms_say_the_same():
    forms = [
        read("x = g[T.b] + 2"),
        read(["x = g[T.b] + 2"]),
        read({"gap": "x - g[T.b] = 2"}),
        read({"gap": [0, 1, -1]}, 2),
        read({"gap": {"x": 1, "g[T.b]": -1}}, [2.0]),
        read([0, 1, -1], 2),
        read(np.array([[0.0, 1.0, -1.0]]), [2]),
    ]
    for found in forms:
        np.testing.assert_array_equal(found.L, [[0.0, 1.0, -1.0]])
        np.testing.assert_array_equal(found.rhs, [2.0])
    assert [found.labels[0] for found in forms] == [
        "x = g[T.b] + 2",
        "x = g[T.b] + 2",
        "gap",
        "gap",
        "gap",
        "x - g[T.b]",
        "x - g[T.b]",
    ]


def test_one_value_serves_all_rows():
    np.testing.assert_array_equal(read(np.eye(3), 1.5).rhs, [1.5, 1.5, 1.5])


@pytest.mark.parametrize(
    ("asked", "rhs", "message"),
    [
        ([0, 1], None, "one number for each of the 3 coefficients, Intercept, x, g\\[T.b\\] \\(z dropped\\)"),
        (np.zeros((0, 3)), None, "one number for each of the 3"),
        ([], None, "one number for each of the 3"),
        ({}, None, "no hypotheses"),
        ([0, 0, 0], None, "says nothing"),
        ("1 = 2", None, "says nothing"),
        ([0, np.nan, 1], None, "missing or infinite"),
        ({"two": "x = 0, g[T.b] = 0"}, None, "holds 2 hypotheses"),
        ({"two": np.eye(3)}, None, "has 3 rows"),
        ({"s": {"w": 1}}, None, "no coefficient 'w'"),
        (np.eye(3), [1, 2], "one finite number for each of the 3 hypotheses"),
        ([0, 1, 0], [np.inf], "one finite number"),
    ],
)
def test_numbers_that_do_not_fit(asked, rhs, message):
    with pytest.raises(DataError, match=message):
        read(asked, rhs)


@pytest.mark.parametrize(
    ("asked", "rhs"),
    [("x = 1", 2), (["x"], 2), ({"a": "x"}, 1), ([0, "x", 1], None), ({"s": {"x": "1"}}, None)],
)
def test_text_where_numbers_belong(asked, rhs):
    with pytest.raises(DataTypeError):
        read(asked, rhs)


def test_contradictions_are_no_joint_hypothesis():
    refuse_contradiction(read("x = 1, 2 * x = 2, g[T.b] = 5"))
    with pytest.raises(DataError, match="contradict each other"):
        refuse_contradiction(read("x = 1, 2 * x = 3"))
