"""How is the variance of an observation shared between and within clusters, along a covariate?

With random slopes the variance between clusters, z' Sigma z, is a quadratic function of their covariates, and
so the share that lies between clusters depends on where one looks.

Goldstein, H., Browne, W. and Rasbash, J. (2002). Partitioning variation in multilevel models. Understanding
Statistics 1, 223-231.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Frame
from multilevel.design.design import Design
from multilevel.design.one_variable import Moved, move_column, move_variable, random_variables
from multilevel.errors import DataError, DataTypeError
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.matrices import effect_variance

INTERCEPT = "Intercept"


@dataclass(frozen=True, slots=True)
class VariancePartition:
    """Variances of an observation at m values of one variable, by grouping factor, G in all."""

    variable: str
    values: npt.NDArray[Any]  # (m,)
    groups: tuple[str, ...]  # (G,)
    between: Array  # (G, m) what each grouping factor's random effects contribute
    residual: float

    @property
    def whole(self) -> Array:
        """Variance (m,) of an observation about the fixed part."""
        return np.asarray(self.between.sum(axis=0) + self.residual)


def variance_partition(design: Design, record: LMMRecord, over: str, moved: Moved) -> VariancePartition:
    """Variances as the variable `over` of the random slopes moves."""
    between = np.zeros((len(design.groupings), len(moved.values)))
    for term, columns in zip(record.terms, moved.columns, strict=True):
        between[term.grouping] += effect_variance(columns, term)
    names = tuple(grouping.name for grouping in design.groupings)
    return VariancePartition(over, moved.values, names, between, record.sigma**2)


def moved_columns(design: Design, data: Frame, over: str, points: int) -> Moved:
    """The random-effect columns as `over` moves: a variable of the data, or one of the columns themselves."""
    if not isinstance(over, str):
        raise DataTypeError(f'icc(over=) takes the name of one variable, as in over="x"; got {over!r}.')
    variables = random_variables(design, data)
    columns = [name for term in design.terms for name in term.names if name != INTERCEPT]
    if over in variables:
        return move_variable(design, variables, over, points)
    if over in columns:
        return move_column(design, over, points)
    if not columns:
        raise DataError("this fit has no random slopes, so its icc depends on no variable; leave over= out.")
    known = ", ".join(f"'{name}'" for name in dict.fromkeys([*variables, *columns]))
    raise DataError(f"icc(over={over!r}) is no variable of the random slopes, which are {known}.")
