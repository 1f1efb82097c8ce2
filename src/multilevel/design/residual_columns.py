"""Columns that a residual structure asks for, beside those of the formula: strata and covariates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Frame
from multilevel.design.design import Design, Grouping
from multilevel.errors import DataError, DataTypeError
from multilevel.frames.column import Numeric
from multilevel.frames.labels import group_codes
from multilevel.frames.table import read_table


@dataclass(frozen=True, slots=True)
class ResidualColumns:
    """By name, over the rows used."""

    strata: Mapping[str, Grouping]
    covariates: Mapping[str, Array]  # (n,)


def read_residual_columns(
    strata: Iterable[str], covariates: Iterable[str], data: Frame, design: Design
) -> ResidualColumns:
    """Labels and numbers of the rows used; nothing may be missing there."""
    return ResidualColumns(
        {name: read_strata(name, data, design) for name in strata},
        {name: read_covariate(name, data, design) for name in covariates},
    )


def read_strata(name: str, data: Frame, design: Design) -> Grouping:
    """Strata of the rows used, those that occur, in the column's own order of levels."""
    labels = group_codes(read_table(data).column(name))
    codes = labels.codes[design.rows]
    refuse_missing(name, int((codes < 0).sum()))
    present, renumbered = np.unique(codes, return_inverse=True)
    levels = tuple(str(labels.levels[k]) for k in present)
    return Grouping(name, renumbered.ravel().astype(np.int32), levels)


def read_covariate(name: str, data: Frame, design: Design) -> Array:
    """Numbers (n,) of the rows used."""
    column = read_table(data).column(name)
    if not isinstance(column, Numeric):
        raise DataTypeError(
            f"'{name}' holds labels, and a variance that depends on a covariate needs numbers; for a "
            f'variance in each of its levels write ml.VarIdent("{name}").'
        )
    values = column.values[design.rows]
    refuse_missing(name, int(np.isnan(values).sum()))
    return values


def refuse_missing(name: str, count: int) -> None:
    """It is too late to drop rows."""
    if count:
        raise DataError(f"'{name}' is missing in {count} of the rows used; fill it, or drop these rows.")
