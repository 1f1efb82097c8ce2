"""The functions that formulas name and those that compute are the same."""

from __future__ import annotations

import pytest

from multilevel.design import functions as computing
from multilevel.formula.functions import CODING, CONTRASTS, FUNCTIONS, NUMPY, unknown_function


def test_every_function_named_computes() -> None:
    assert FUNCTIONS - {"Q"} == set(computing.FUNCTIONS) - {"np", "contr"}
    assert all(hasattr(computing.FUNCTIONS["np"], name) for name in NUMPY)
    assert all(hasattr(computing.FUNCTIONS["contr"], name) for name in CONTRASTS)


@pytest.mark.parametrize("name", [*sorted(CODING), "np.log", "contr.sum", "Treatment"])
def test_known(name: str) -> None:
    assert unknown_function(name) is None


@pytest.mark.parametrize("name", ["sum", "open", "__import__", "np.load", "contr.foo", "os.system", "lag"])
def test_unknown(name: str) -> None:
    assert unknown_function(name) is not None
