"""The model without predictors keeps rows, groups, weights and offset."""

from __future__ import annotations

import numpy as np
import pandas as pd

import multilevel as ml
from multilevel.design.null import null_design


def test_what_stays_and_what_goes(pastes: pd.DataFrame) -> None:
    data = pastes.assign(x=np.arange(60.0) % 7, w=1.0)
    design = ml.lmm(
        "strength ~ x + (1 | batch / cask) + (0 + x | batch)", data, weights="w", offset=data["x"]
    ).design
    null = null_design(design)
    assert null.formula.text == "strength ~ 1 + (1 | batch) + (1 | batch:cask)"
    assert null.coef_names == ("Intercept",)
    assert [term.names for term in null.terms] == [("Intercept",), ("Intercept",)]
    assert [term.grouping for term in null.terms] == [0, 1]
    assert null.weights is design.weights
    assert null.offset is design.offset
    assert null.groupings is design.groupings


def test_a_model_without_predictors_is_its_own(dyestuff: pd.DataFrame) -> None:
    design = ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff).design
    assert null_design(design) is design
