"""What the tests of design/ share: a small data set with every kind of column, and designs from text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from multilevel.design.build import build_design
from multilevel.design.design import Design
from multilevel.formula.parse import parse_formula


def design(formula: str, data: Any, **options: Any) -> Design:
    return build_design(parse_formula(formula), data, **options)


def mixed_data(n: int = 48) -> pd.DataFrame:
    """Numbers, labels, truth values, ordered labels, integers; 6 groups g with 4 values of h in each."""
    rng = np.random.default_rng(7)
    labels = np.array(["u", "v", "w"])
    return pd.DataFrame(
        {
            "y": rng.normal(10, 2, n),
            "x": rng.normal(size=n),
            "z": rng.gamma(2, 1, n),
            "g": np.repeat(list("abcdef"), n // 6),
            "h": np.tile([1, 2, 3, 4], n // 4),
            "flag": rng.random(n) > 0.5,
            "text": labels[rng.integers(0, 3, n)],
            "level": pd.Categorical(labels[rng.integers(0, 3, n)], ["w", "u", "v"], ordered=True),
            "own": pd.Categorical(labels[rng.integers(0, 3, n)], ["v", "unused", "w", "u"]),
            "count": rng.integers(0, 4, n),
            "dotted.name": rng.normal(size=n),
            "class": labels[rng.integers(0, 2, n)],
            "log": rng.gamma(2, 1, n),
        }
    )
