"""The covariance matrix of the visits that a residual structure says, for each stratum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.gee.layout import ClusterLayout
from multilevel.estimation.gls import GLSSolution
from multilevel.estimation.residual.patterned import PatternedRows
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.estimation.residual.stratified import StratifiedRows
from multilevel.estimation.residual.structure import RowCorrelation


@dataclass(frozen=True, slots=True)
class VisitCovariance:
    """One stratum, or all groups together."""

    stratum: str
    visits: tuple[str, ...]  # (T,) those that occur there
    covariance: Array  # (T, T)


def visit_covariances(rows: ResidualRows, solution: GLSSolution) -> tuple[VisitCovariance, ...]:
    """From the residual parameters; the variance must depend on visit and stratum alone."""
    layout, model = rows.layout, solution.problem.model
    assert layout is not None
    eta = solution.point.phi[model.n_scale :]
    sigma = float(np.sqrt(solution.point.rss / solution.problem.df))
    log_g = model.scale.log_scale(solution.point.phi[: model.n_scale])
    if not isinstance(model.correlation, StratifiedRows):
        return (one_stratum("Residual", rows, layout, slice(None), model.correlation, eta, sigma, log_g),)
    correlation = model.correlation
    parts = zip(
        correlation.chart.strata,
        correlation.slices,
        correlation.parts,
        correlation.chart.split(eta),
        strict=True,
    )
    return tuple(
        one_stratum(name, rows, layout, own, part, of_part, sigma, log_g)
        for name, own, part, of_part in parts
    )


def one_stratum(
    name: str,
    rows: ResidualRows,
    layout: ClusterLayout,
    own: slice,
    correlation: RowCorrelation,
    eta: Array,
    sigma: float,
    log_g: Array,
) -> VisitCovariance:
    """The rows `own` share one set of parameters."""
    present, first = np.unique(layout.visit[own], return_index=True)
    if isinstance(correlation, PatternedRows):
        R = correlation.chart.matrix(eta)
    else:
        natural = correlation.chart.natural(eta)
        R = rows.residual.corr.matrix(natural, layout.time[own][first])
    sd = sigma * np.exp(log_g[own][first])
    labels = tuple(layout.visits[k] for k in present)
    return VisitCovariance(name, labels, np.asarray(np.outer(sd, sd) * R))
