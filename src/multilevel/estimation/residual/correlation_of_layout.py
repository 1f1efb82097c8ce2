"""From a correlation structure and where rows stand to what whitens them."""

from __future__ import annotations

import numpy as np

from multilevel.covariance.residual.chart import MatrixChart
from multilevel.covariance.residual.free import FreeCorrelation
from multilevel.covariance.residual.linear import LinearCorrelation
from multilevel.covariance.residual.stationary import StationaryCorrelation
from multilevel.covariance.working.arma import ARMA
from multilevel.covariance.working.autoregressive import AR1
from multilevel.covariance.working.exchangeable import Exchangeable
from multilevel.covariance.working.independence import Independence
from multilevel.covariance.working.specification import Correlation, Indices, PatternedCorrelation
from multilevel.covariance.working.toeplitz import Toeplitz
from multilevel.covariance.working.unstructured import Unstructured
from multilevel.covariance.working.user_defined import UserCorrelation
from multilevel.errors import ModelError
from multilevel.estimation.gee.layout import ClusterLayout
from multilevel.estimation.residual.exchangeable import ExchangeableRows
from multilevel.estimation.residual.independent import IndependentRows
from multilevel.estimation.residual.markov import markov_rows
from multilevel.estimation.residual.patterned import PatternedRows, patterned_rows
from multilevel.estimation.residual.stratified import stratified_rows
from multilevel.estimation.residual.structure import RowCorrelation

MOST_VISITS = 3000  # whose correlation matrix is still formed


def correlation_of_layout(
    corr: Correlation, layout: ClusterLayout | None, strata: list[tuple[str, int]] | None = None
) -> RowCorrelation:
    """What whitens the rows of a layout; `strata` are labels and the first cluster of each, in order."""
    if layout is None or isinstance(corr, Independence):
        return IndependentRows()
    if strata is None:
        return correlation_of_clusters(corr, layout, 0, layout.n_clusters)
    ends = [*(first for _, first in strata[1:]), layout.n_clusters]
    spans = [(first, end) for (_, first), end in zip(strata, ends, strict=True)]
    return stratified_rows(
        [label for label, _ in strata],
        [slice(int(layout.start[first]), int(layout.start[end])) for first, end in spans],
        [correlation_of_clusters(corr, layout, first, end) for first, end in spans],
    )


def correlation_of_clusters(corr: Correlation, layout: ClusterLayout, first: int, end: int) -> RowCorrelation:
    """The clusters from `first` to before `end`, with parameters of their own."""
    start = layout.start[first : end + 1] - layout.start[first]
    rows = slice(int(layout.start[first]), int(layout.start[end]))
    if int(np.diff(start).max()) < 2:
        raise ModelError(
            f"every group of '{layout.name}' has one row, so that no correlation within groups can be "
            "estimated; check groups=, or leave the correlation out."
        )
    match corr:
        case Exchangeable():
            refuse_lone(corr, layout, end - first)
            return ExchangeableRows(start)
        case AR1():
            return markov_rows(start, layout.time[rows])
        case ARMA() | PatternedCorrelation():
            return visits_of_clusters(corr, layout, start, rows)
    raise ModelError(f"corr={corr!r} is no correlation of residuals.")


def visits_of_clusters(
    corr: ARMA | PatternedCorrelation, layout: ClusterLayout, start: Indices, rows: slice
) -> PatternedRows:
    """Correlations between those visits that occur."""
    present, visit = np.unique(layout.visit[rows], return_inverse=True)
    visit = visit.ravel().astype(np.int64)
    if len(present) > MOST_VISITS:
        raise ModelError(
            f"corr='{corr.name}' has a correlation matrix of all visits, and there are {len(present)}; "
            "'exchangeable' and 'ar1' need none."
        )
    place = np.zeros(len(present), dtype=np.int64)
    place[visit] = layout.place[rows]
    labels = tuple(layout.visits[k] for k in present)
    chart = matrix_chart(corr, labels, place, layout)
    patterned = patterned_rows(chart, start, visit, len(present))
    if isinstance(corr, Unstructured):
        refuse_too_many(labels, layout, len(start) - 1)
        refuse_unseen_pairs(patterned, labels)
    return patterned


def matrix_chart(
    corr: ARMA | PatternedCorrelation, labels: tuple[str, ...], place: Indices, layout: ClusterLayout
) -> MatrixChart:
    """The parameters of a correlation matrix of T visits."""
    T = len(labels)
    match corr:
        case ARMA():
            refuse_uncountable(corr, layout)
            return StationaryCorrelation(corr.parameter_names(), place - place.min(), (corr.p, corr.q))
        case Toeplitz():
            return StationaryCorrelation(corr.parameter_names(labels), np.arange(T, dtype=np.int64))
        case Unstructured():
            return FreeCorrelation(corr.parameter_names(labels), T)
        case UserCorrelation() if corr.by_pair:
            raise ModelError(
                "the design of a residual correlation is of visits, of shape (visits, visits, parameters), "
                "not a row for each pair of rows."
            )
    names = corr.parameter_names(labels) if corr.n_parameters(T) else ()
    return LinearCorrelation(names, T, corr.pairs(np.arange(T, dtype=np.int64), place, T))


def refuse_lone(corr: Correlation, layout: ClusterLayout, n_clusters: int) -> None:
    """In one group a common correlation cannot be told from the mean."""
    if n_clusters < 2:
        raise ModelError(
            f"corr='{corr.name}' needs several groups, and '{layout.name}' has one (in a stratum of by=, if "
            "there are any); a single series can have corr='ar1'."
        )


def refuse_too_many(labels: tuple[str, ...], layout: ClusterLayout, n_clusters: int) -> None:
    """The covariance of T visits has full rank only if there are more groups than T."""
    if n_clusters <= len(labels):
        raise ModelError(
            f"corr='unstructured' has a correlation for each pair of {len(labels)} visits, and "
            f"'{layout.name}' has {n_clusters} groups, too few for that; use a structure with fewer "
            "parameters, such as 'toeplitz', 'ar1' or 'exchangeable'."
        )


def refuse_uncountable(corr: Correlation, layout: ClusterLayout) -> None:
    """Steps of a series are whole numbers."""
    if not (layout.time == np.round(layout.time)).all():
        raise ModelError(
            f"corr='{corr.name}' counts steps between whole-numbered times, and '{layout.time_name}' has "
            "others; number the times, or use corr='ar1', which takes times of any kind."
        )


def refuse_unseen_pairs(rows: PatternedRows, labels: tuple[str, ...]) -> None:
    """A correlation is estimated from groups seen at both visits."""
    unseen = np.argwhere(np.triu(rows.pair_counts() == 0.0, 1))
    if len(unseen):
        s, t = unseen[0]
        more = f" (and {len(unseen) - 1} more pairs)" if len(unseen) > 1 else ""
        raise ModelError(
            f"no group was seen at both visits {labels[s]} and {labels[t]}{more}, so that their correlation "
            "cannot be estimated; use a structure with fewer parameters, such as 'toeplitz' or 'ar1'."
        )
