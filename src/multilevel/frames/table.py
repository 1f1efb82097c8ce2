"""`Table`: a read-only view of the user's data, one column at a time, whatever frame they came in."""

from __future__ import annotations

from dataclasses import dataclass

from multilevel._typing import Array, Codes, Mask

FrameKind = str  # "pandas", "polars", "pyarrow", ...: the kind of frame tables go back in


@dataclass(frozen=True, slots=True)
class Categorical:
    """A column of labels: strings, booleans or a categorical dtype."""

    codes: Codes  # (n,) index into levels, -1 where missing
    levels: tuple[object, ...]  # the dtype's own order, else sorted
    ordered: bool


@dataclass(frozen=True, slots=True)
class Numeric:
    """A column of numbers; missing values are NaN."""

    values: Array  # (n,) float64
    integer: bool  # whether the column held integers
    missing: Mask | None  # (n,) True where missing; None when nothing is
