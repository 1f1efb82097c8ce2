"""The known part of the linear predictor: `offset(...)` terms and `offset=`, added up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.design.columns import refuse_not_finite
from multilevel.design.expressions import Columns, Memory, evaluate, plain_name
from multilevel.design.factor import Factor
from multilevel.errors import DataTypeError


def total_offset(
    expressions: Sequence[str],
    columns: Columns,
    memory: Memory,
    *,
    given: Array | None,
    n: int,
    rows: Mask | None,
) -> Array | None:
    """Sum (n,) of the offsets in the formula and the one given beside it; None when there is none."""
    parts = [] if given is None else [given]
    parts += [_evaluate(expression, columns, memory, rows) for expression in expressions]
    if not parts:
        return None
    total: Array = np.zeros(n) + sum(parts)
    return total


def _evaluate(expression: str, columns: Columns, memory: Memory, rows: Mask | None) -> Array:
    value = evaluate(expression, columns, memory)
    if isinstance(value, Factor):
        raise DataTypeError(f"offset({plain_name(expression)}) holds labels, not numbers.")
    numbers = np.asarray(value, dtype=np.float64)
    refuse_not_finite(f"offset({plain_name(expression)})", numbers, rows)
    return numbers
