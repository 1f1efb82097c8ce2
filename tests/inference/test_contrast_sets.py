"""Sets of contrasts as textbooks print them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from multilevel.errors import DataError
from multilevel.inference.contrast_sets import Levels, custom_set, named_set, products

ABC = Levels(("a", "b", "c"), None)


def rows(method: str, levels: Levels = ABC, ref: object = None) -> dict[str, list[float]]:
    made = named_set(method, levels, ref)
    return dict(zip(made.names, made.matrix.tolist(), strict=True))


def test_differences() -> None:
    assert rows("pairwise") == {"a - b": [1, -1, 0], "a - c": [1, 0, -1], "b - c": [0, 1, -1]}
    assert rows("revpairwise") == {"b - a": [-1, 1, 0], "c - a": [-1, 0, 1], "c - b": [0, -1, 1]}
    assert rows("consecutive") == {"b - a": [-1, 1, 0], "c - b": [0, -1, 1]}
    assert rows("treatment_vs_control", ref="b") == {"a - b": [1, -1, 0], "c - b": [0, -1, 1]}


def test_effects_are_deviations_from_the_mean() -> None:
    made = named_set("effects", ABC)
    np.testing.assert_allclose(made.matrix @ [1.0, 2.0, 6.0], [-2.0, -1.0, 3.0])


def test_polynomials_are_those_of_fisher_and_yates() -> None:
    five = Levels(tuple("vwxyz"), None)
    assert rows("polynomial", five) == {
        "linear": [-2, -1, 0, 1, 2],
        "quadratic": [2, -1, -2, -1, 2],
        "cubic": [-1, 2, 0, -2, 1],
        "quartic": [1, -4, 6, -4, 1],
    }


def test_polynomials_follow_the_values_of_the_levels() -> None:
    doses = Levels(("0", "10", "40"), (Fraction(0), Fraction(10), Fraction(40)))
    made = named_set("polynomial", doses)
    values = np.array([0.0, 10.0, 40.0])
    np.testing.assert_allclose(made.matrix @ np.ones(3), 0.0)
    assert made.matrix[0].tolist() == [-5, -2, 7]  # the values less their mean
    assert made.matrix[1] @ values == 0.0
    assert (made.matrix[1] @ values**2) > 0.0


def test_polynomials_of_irregular_values_have_length_one() -> None:
    values = (Fraction("0.12345"), Fraction("1.98765"), Fraction("7.31313"), Fraction("9.00001"))
    made = named_set("polynomial", Levels(tuple(map(str, values)), values))
    length = np.linalg.norm(made.matrix, axis=1)
    np.testing.assert_allclose(made.matrix @ made.matrix.T / np.outer(length, length), np.eye(3), atol=1e-12)
    np.testing.assert_allclose(length[1:], 1.0)


def test_the_users_own() -> None:
    made = custom_set({"a - others": {"a": 1, "b": -0.5, "c": -0.5}, "c": [0, 0, 1]}, ABC)
    assert made.names == ("a - others", "c")
    assert made.matrix.tolist() == [[1, -0.5, -0.5], [0, 0, 1]]
    assert custom_set([[1, -1, 0], [0, 1, -1]], ABC).names == ("contrast 1", "contrast 2")


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"x": {"d": 1}}, "'d' is none of the levels compared; they are 'a', 'b', 'c'"),
        ({"x": [1, -1]}, "'x' needs one coefficient for each of the 3 means"),
        ([[1, -1]], "'contrast 1' needs one coefficient"),
        ({"x": {"a": 0}}, "'x' has no coefficient other than zero"),
        ({}, "no contrast is given"),
        ({"x": ["one", 2, 3]}, "'x' is not made of numbers"),
        ({"x": [np.nan, 1, -1]}, "missing or infinite"),
    ],
)
def test_misuse(given: object, problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        custom_set(given, ABC)


def test_products_vary_the_first_factor_fastest() -> None:
    difference = np.array([[1.0, -1.0]])
    assert products([difference, np.array([[1.0, 0.0, -1.0]])]).tolist() == [[1, -1, 0, 0, -1, 1]]
