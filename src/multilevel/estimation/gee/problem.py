"""What is a set of generalized estimating equations made of?

Rows in the order of clusters, the mean and variance of a family, a working correlation, and how moments are
taken. Columns of X are moved to about their means where the model allows, as in least squares, so that sums
of products keep their digits; coefficients here are those of the moved columns until the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.working.autoregressive import AR1
from multilevel.covariance.working.exchangeable import Exchangeable
from multilevel.covariance.working.independence import Independence
from multilevel.covariance.working.nested import NestedExchangeable
from multilevel.covariance.working.specification import Correlation, PatternedCorrelation
from multilevel.errors import ModelError
from multilevel.estimation.centring import Centring, centre
from multilevel.estimation.gee.exchangeable import exchangeable_pairs
from multilevel.estimation.gee.independent import Independent
from multilevel.estimation.gee.layout import ClusterLayout
from multilevel.estimation.gee.markov import markov_pairs
from multilevel.estimation.gee.nested import nested_pairs
from multilevel.estimation.gee.patterned import patterned_pairs
from multilevel.estimation.gee.structure import Structure
from multilevel.families.family import Family
from multilevel.kernels.gee import MeanLink, MeanVariance, WorkingRows, working_rows

Moments = Literal["geepack", "gee"]
COMPILED_VARIANCES = {
    "gaussian": MeanVariance.one,
    "binomial": MeanVariance.binomial,
    "poisson": MeanVariance.mean,
    "gamma": MeanVariance.square,
}


@dataclass(frozen=True, slots=True)
class EstimatingProblem:
    """The equations, n rows in the order of the layout."""

    layout: ClusterLayout
    X: Array  # (n, p) Fortran order, columns about their means where the constant is in their span
    centring: Centring
    y: Array  # (n,) the response, a proportion where there are trials
    offset: Array | None  # (n,)
    weights: Array | None  # (n,) prior weights, times trials
    family: Family
    structure: Structure
    scale: float | None  # given beforehand; None if estimated
    moments: Moments
    names: tuple[str, ...]  # (p,) of the coefficients, for messages
    response_name: str

    @property
    def n_coefficients(self) -> int:
        """Number of coefficients p."""
        return int(self.X.shape[1])

    @property
    def row_weights(self) -> Array:
        """Weights (n,), ones where there are none."""
        return np.ones(len(self.y)) if self.weights is None else self.weights

    @property
    def shortfall(self) -> float:
        """What is taken off numbers of rows and pairs: nothing, or the number of coefficients."""
        return float(self.n_coefficients) if self.moments == "gee" else 0.0


@dataclass(frozen=True, slots=True)
class Rows:
    """Means and residuals of all rows at some coefficients."""

    eta: Array  # (n,)
    mu: Array  # (n,)
    slope: Array  # (n,) d mu / d eta
    variance: Array  # (n,) V(mu)
    variance_slope: Array  # (n,) V'(mu)

    def pearson(self, y: Array) -> Array:
        """(y - mu) / sqrt(V): (n,)."""
        return np.asarray((y - self.mu) / np.sqrt(self.variance))


def estimating_problem(
    layout: ClusterLayout,
    X: Array,
    y: Array,
    *,
    family: Family,
    corr: Correlation,
    offset: Array | None = None,
    weights: Array | None = None,
    scale: float | None = None,
    moments: Moments = "geepack",
    names: tuple[str, ...],
    response_name: str,
) -> EstimatingProblem:
    """Put arrays over the rows used into the order of the layout, and bind the structure to them."""
    refuse_too_few(layout, X.shape[1])
    given = None if weights is None else layout.in_order(weights)
    centring = centre(X, weights if layout.repeats is None else None)
    row_weights = np.ones(layout.n_rows) if given is None else given
    return EstimatingProblem(
        layout=layout,
        X=np.asfortranarray(centring.columns(layout.in_order(X))),
        centring=centring,
        y=np.ascontiguousarray(layout.in_order(y)),
        offset=None if offset is None else np.ascontiguousarray(layout.in_order(offset)),
        weights=None if given is None else np.ascontiguousarray(given),
        family=family,
        structure=bind_structure(corr, layout, row_weights),
        scale=scale,
        moments=moments,
        names=names,
        response_name=response_name,
    )


def refuse_too_few(layout: ClusterLayout, p: int) -> None:
    """Clusters are the independent units: there must be more of them than nothing."""
    if p == 0:
        raise ModelError(
            "the formula has no terms, not even an intercept, so there is nothing to estimate; "
            "write y ~ 1 for the mean, or add a predictor."
        )
    if layout.n_clusters < 2:
        raise ModelError(
            f"'{layout.name}' puts all rows in one cluster, and nothing then says how clusters vary; "
            "name the column of the independent units."
        )
    if layout.n_rows <= p:
        raise ModelError(
            f"{layout.n_rows} rows and {p} coefficients leave no variation to estimate from; "
            "use fewer terms or more rows."
        )


def bind_structure(corr: Correlation, layout: ClusterLayout, weights: Array) -> Structure:
    """The working correlation for these rows."""
    match corr:
        case Independence():
            return Independent(layout.start, weights)
        case Exchangeable():
            return exchangeable_pairs(layout.start, weights)
        case AR1():
            return markov_pairs(layout.start, layout.time, weights)
        case NestedExchangeable(inner=name) if layout.inner is not None:
            return nested_pairs(
                layout.start, layout.inner, weights, (f"alpha[{name}]", f"alpha[{layout.name}]")
            )
        case PatternedCorrelation():
            return patterned_pairs(corr, layout, weights)
    raise ModelError(f"corr={corr!r} is no working correlation of estimating equations.")


def rows_at(problem: EstimatingProblem, beta: Array) -> Rows:
    """All rows at coefficients beta (p,) of the moved columns, by the family's own functions."""
    eta = problem.X @ beta
    if problem.offset is not None:
        eta = eta + problem.offset
    link, family = problem.family.link, problem.family
    mu = link.inverse(eta)
    return Rows(eta, mu, link.slope(eta), family.variance(mu), variance_slope(family, mu))


def variance_slope(family: Family, mu: Array) -> Array:
    """V'(mu), exact for V of the second degree; else by central differences of V."""
    step = np.maximum(np.abs(mu), 1e-8) * 1e-5
    return np.asarray((family.variance(mu + step) - family.variance(mu - step)) / (2.0 * step))


def working_rows_at(problem: EstimatingProblem, beta: Array) -> WorkingRows:
    """Slopes and Pearson residuals: in the core where it knows link and variance."""
    family = problem.family
    known = COMPILED_VARIANCES.get(family.name)
    if known is not None and family.link.name in MeanLink.__members__:
        link = MeanLink[family.link.name]
        return working_rows(problem.X, beta, problem.offset, problem.y, problem.weights, link, known)
    eta = problem.X @ beta
    if problem.offset is not None:
        eta = eta + problem.offset
    if not family.link.holds(eta):
        return WorkingRows(eta, eta, possible=False)
    mu = family.link.inverse(eta)
    with np.errstate(invalid="ignore", divide="ignore"):
        over = 1.0 / np.sqrt(family.variance(mu))
        slope = family.link.slope(eta) * over
    if problem.weights is not None:
        slope = slope * np.sqrt(problem.weights)
    return WorkingRows(slope, (problem.y - mu) * over, possible=bool(np.isfinite(slope).all()))
