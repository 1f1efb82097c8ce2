"""Which residual structures hold which others as special cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.inference.residual_nesting import residual_lies_within

RNG = np.random.default_rng(1)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=120),
        "id": np.repeat(np.arange(30), 4),
        "even": np.tile([0, 1, 2, 3], 30),
        "odd": np.tile([0, 1, 2, 6], 30),
        "sex": np.repeat(RNG.choice(["f", "m"], size=30), 4),
        "dose": RNG.uniform(1.0, 3.0, size=120),
    }
)


def rows(residual, time="even", groups="id"):
    if residual is None:
        return None
    return ml.gls("y ~ 1", DATA, residual=residual, groups=groups, time=time).rows


R = ml.Residual
WITHIN = [
    (None, "ar1", True),
    (None, ml.VarFixed("dose"), False),
    ("exchangeable", "toeplitz", True),
    ("exchangeable", "ar1", False),
    ("ar1", "toeplitz", True),
    ("ar1", "unstructured", True),
    ("ar1", ml.ARMA(1, 1), True),
    (ml.ARMA(0, 1), ml.ARMA(1, 0), False),
    (ml.ARMA(0, 1), "unstructured", True),
    ("toeplitz", "unstructured", True),
    ("unstructured", "toeplitz", False),
    (ml.VarIdent("sex"), R("ar1", "sex"), True),
    (R("ar1", "sex"), "ar1", False),
    (ml.VarIdent("sex"), ml.VarIdent("sex") * ml.VarPower("dose"), True),
    ("ar1", R("ar1", by="sex"), True),
    (R("ar1", by="sex"), "ar1", False),
    (ml.VarIdent("sex"), R("ar1", by="sex"), True),
    (ml.VarFixed("dose"), R("ar1", ml.VarFixed("dose")), True),
    ("ar1", R("ar1", ml.VarFixed("dose")), False),
]


@pytest.mark.parametrize(("small", "large", "inside"), WITHIN)
def test_pairs(small, large, inside):
    assert residual_lies_within(rows(small), rows(large)) is inside


def test_visits_that_are_not_evenly_spaced():
    assert not residual_lies_within(rows("ar1", "odd"), rows("toeplitz", "odd"))
    assert residual_lies_within(rows("ar1", "odd"), rows("unstructured", "odd"))


def test_equal_variances_are_within_nothing_else_only_if_equal():
    assert residual_lies_within(rows(R()), None)
    assert not residual_lies_within(rows("ar1"), None)


def test_other_groups_are_another_model():
    other = DATA.assign(pair=DATA.id * 2 + DATA.even // 2)
    fine = ml.gls("y ~ 1", other, residual="exchangeable", groups="pair").rows
    assert not residual_lies_within(fine, rows("exchangeable"))
