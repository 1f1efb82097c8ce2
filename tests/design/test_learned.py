"""What a formula learns counts each row as often as its frequency weight says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from multilevel.design.build import build_design
from multilevel.formula.parse import parse_formula

SMALL = pd.DataFrame({"y": [1.0, 3.0, 2.0, 5.0, 4.0], "x": [0.0, 1.0, 4.0, 9.0, 2.5], "n": [3, 1, 2, 4, 1]})
REPEATED = SMALL.loc[SMALL.index.repeat(SMALL["n"])]
TERMS = [
    "scale(x)",
    "scale(x, center=False)",
    "center(x)",
    "poly(x, 3)",
    *(f"I(x - {name}(x))" for name in ("mean", "median", "sd", "var", "min", "max")),
]


@pytest.mark.parametrize("term", TERMS)
def test_counts_are_repetition(term: str) -> None:
    formula = parse_formula(f"y ~ {term}")
    counted = build_design(formula, SMALL, freq_weights="n")
    repeated = build_design(formula, REPEATED)
    assert counted.coef_names == repeated.coef_names
    rows = np.repeat(np.arange(len(SMALL)), SMALL["n"])
    np.testing.assert_allclose(counted.X[rows], repeated.X, rtol=0, atol=1e-13)  # rounding of sums


def test_the_median_of_an_even_number_of_rows_lies_between_two_values() -> None:
    data = pd.DataFrame({"y": [1.0, 2.0, 3.0], "x": [1.0, 2.0, 10.0], "n": [2, 1, 1]})
    X = build_design(parse_formula("y ~ I(x - median(x))"), data, freq_weights="n").X
    np.testing.assert_array_equal(X[:, 1], [-0.5, 0.5, 8.5])
