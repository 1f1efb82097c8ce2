"""The rows of a model in the order in which their residuals are whitened, and what these depend on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.residual.specification import Residual
from multilevel.covariance.residual.variance_functions import OfCovariate, factors_of
from multilevel.design.design import Grouping
from multilevel.design.residual_columns import ResidualColumns
from multilevel.design.times import Times
from multilevel.errors import DataError
from multilevel.estimation.gee.layout import ClusterLayout, Indices, lay_out
from multilevel.estimation.residual.correlation_of_layout import correlation_of_layout
from multilevel.estimation.residual.problem import ResidualModel
from multilevel.estimation.residual.scale_of_columns import scale_of_columns
from multilevel.estimation.residual.structure import RowCorrelation


@dataclass(frozen=True, slots=True)
class ResidualRows:
    """n rows; everything over rows is in the order of estimation."""

    residual: Residual
    layout: ClusterLayout | None  # None where rows are independent
    by: Grouping | None  # strata with parameters of their own
    columns: ResidualColumns
    correlation: RowCorrelation
    n_rows: int

    @property
    def depends_on_fitted(self) -> bool:
        """Whether the variance is a function of fitted values."""
        functions = factors_of(self.residual.var)
        return any(isinstance(each, OfCovariate) and each.x is None for each in functions)

    def in_order(self, values: Array) -> Array:
        """Numbers of the rows used (n, ...), in the order of estimation."""
        return values if self.layout is None else self.layout.in_order(values)

    def in_data_order(self, values: Array) -> Array:
        """The way back: (n, ...)."""
        if self.layout is None or self.layout.order is None:
            return values
        back = np.empty_like(values)
        back[self.layout.order] = values
        return back

    def model(self, fitted: Array | None, weights: Array | None) -> ResidualModel:
        """The family of covariances, given fitted values and precision weights (n,) in order."""
        scale = scale_of_columns(factors_of(self.residual.var), self.by, self.columns, fitted, self.n_rows)
        return ResidualModel(scale, self.correlation, None if weights is None else np.log(weights))


def residual_rows(
    residual: Residual,
    groups: Grouping | None,
    times: Times | None,
    columns: ResidualColumns,
    n_rows: int,
) -> ResidualRows:
    """Put rows in order: strata of `by` one after another, in each its groups, in each its times."""
    by = None if residual.by is None else columns.strata[residual.by]
    layout, strata = None, None
    if groups is not None:
        ordered = groups
        if by is not None:
            ordered, strata = by_strata(groups, by)
        layout = lay_out(groups.name, ordered.codes, ordered.levels, times)
    order = None if layout is None else layout.order
    return ResidualRows(
        residual=residual,
        layout=layout,
        by=None if by is None else reordered(by, order),
        columns=ResidualColumns(
            {name: reordered(each, order) for name, each in columns.strata.items()},
            {name: each if order is None else each[order] for name, each in columns.covariates.items()},
        ),
        correlation=correlation_of_layout(residual.corr, layout, strata),
        n_rows=n_rows,
    )


def reordered(grouping: Grouping, order: Indices | None) -> Grouping:
    """A factor over rows in another order."""
    return grouping if order is None else replace(grouping, codes=grouping.codes[order])


def by_strata(groups: Grouping, by: Grouping) -> tuple[Grouping, list[tuple[str, int]]]:
    """Groups renumbered stratum after stratum, and the first group of each stratum."""
    stratum = np.zeros(groups.n_levels, dtype=np.int32)
    stratum[groups.codes] = by.codes
    mixed = stratum[groups.codes] != by.codes
    if mixed.any():
        label = groups.levels[int(groups.codes[mixed][0])]
        raise DataError(
            f"by='{by.name}' differs within {groups.name} '{label}', and the residuals of a group have one "
            f"set of parameters; name a column that is constant in each group, or use var= for variances "
            "that differ within groups."
        )
    order = np.argsort(stratum, kind="stable")
    number = np.empty(groups.n_levels, dtype=np.int32)
    number[order] = np.arange(groups.n_levels, dtype=np.int32)
    firsts = np.searchsorted(stratum[order], np.arange(by.n_levels))
    strata = [(f"{by.name}[{level}]", int(k)) for level, k in zip(by.levels, firsts, strict=True)]
    return Grouping(groups.name, number[groups.codes], tuple(groups.levels[k] for k in order)), strata
