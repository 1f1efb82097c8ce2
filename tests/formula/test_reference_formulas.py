"""Every formula of the reference cases is read, whatever the model it belongs to."""

from __future__ import annotations

import pytest

from multilevel.formula.parse import parse_formula
from reference_cases import case_names, load_case

FORMULAS = sorted(
    {
        formula
        for name in case_names()
        if isinstance(formula := load_case(name)["spec"].get("formula"), str) and "~" in formula
    }
)


@pytest.mark.parametrize("text", FORMULAS)
def test_read(text: str) -> None:
    formula = parse_formula(text)
    assert formula.fixed[:1] in ("0", "1")
    assert bool(formula.bars) == ("|" in text)
