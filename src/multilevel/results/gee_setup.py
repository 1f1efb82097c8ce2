"""From what a user asks of `ml.gee` to equations: family, working correlation, clusters in order."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np
import numpy.typing as npt

from multilevel._typing import Frame
from multilevel.covariance.working.independence import Independence
from multilevel.covariance.working.nested import NestedExchangeable
from multilevel.covariance.working.specification import Correlation
from multilevel.covariance.working.unstructured import Unstructured
from multilevel.design.design import Design, Grouping
from multilevel.design.times import Times, read_times
from multilevel.errors import DataError, FormulaError, ModelError, MultilevelWarning
from multilevel.estimation.gee.layout import ClusterLayout, lay_out
from multilevel.estimation.gee.problem import EstimatingProblem, Moments, estimating_problem
from multilevel.estimation.glm import prior_weights, proportions
from multilevel.families.by_name import as_family
from multilevel.families.family import Family
from multilevel.families.links import Link
from multilevel.fitted.dropout import DropoutModel
from multilevel.fitted.gee import GEERecord
from multilevel.formula.terms import Formula
from multilevel.inference.clustering import parts_of, read_clusters
from multilevel.inference.gee_kinds import FEW_CLUSTERS
from multilevel.report.correlation_advice import correlation_advice
from multilevel.results.dropout_weights import DropoutWeights


@dataclass(frozen=True, slots=True)
class Equations:
    """What was asked for beside formula and data."""

    layout: ClusterLayout
    family: Family
    corr: Correlation
    vcov: str | None
    scale: float | None
    moments: Moments
    dropout: DropoutModel | None = None  # where the weights were estimated by one


def refuse_bars(formula: Formula) -> None:
    """Random effects are another model of the same data."""
    if formula.bars:
        raise FormulaError(
            f"'{formula.text}' has random effects, {formula.bars[0].text}; estimating equations have "
            "clusters "
            'instead: groups="..." and corr="exchangeable". For random effects use ml.lmm.'
        )


def quasi_family(family: str | Family, link: str | Link | None) -> Family:
    """A family whose mean and variance make sense on their own."""
    distribution = as_family(family, link)
    if not distribution.quasi:
        raise ModelError(
            f"estimating equations need a mean and a variance alone, and the {distribution.name} family "
            "has more; use 'gaussian', 'binomial', 'poisson', 'gamma' or 'inverse_gaussian', whose scale "
            "is estimated."
        )
    if getattr(distribution, "size", 0.0) is None:
        raise ModelError(
            "estimating equations take the size of a negative binomial as given: "
            "family=ml.families.NegativeBinomial(size=2.0); or use family='poisson', whose scale is "
            "estimated."
        )
    if getattr(distribution, "power", 0.0) is None:
        raise ModelError(
            "estimating equations take the power of a Tweedie variance as given: "
            "family=ml.families.Tweedie(power=1.5)."
        )
    return distribution


def dropout_model(weights: object, corr: Correlation, counted: bool) -> DropoutModel | None:
    """The model that weights for dropout come from, and whether they go with the working correlation."""
    if not isinstance(weights, DropoutWeights):
        return None
    if counted:
        raise ModelError("weights for dropout and freq_weights do not go together; repeat the rows instead.")
    if weights.level == "observation" and not isinstance(corr, Independence):
        warnings.warn(
            f"corr='{corr.name}' multiplies rows of two times, which weights by row do not make "
            'representative. Use corr="independence", or ml.dropout_weights(level="cluster").',
            MultilevelWarning,
            stacklevel=3,
        )
    return weights.model


def checked_scale(scale: object) -> float | None:
    """A positive number, or nothing."""
    if scale is None:
        return None
    if isinstance(scale, bool) or not isinstance(scale, Real) or not 0.0 < float(scale) < np.inf:
        raise DataError(
            f"scale={scale!r} is no positive number; write scale=1, or leave it out to estimate it."
        )
    return float(scale)


def own_columns(
    groups: str | npt.ArrayLike, time: str | npt.ArrayLike | None, corr: Correlation, data: Frame
) -> tuple[str, ...]:
    """Columns beside the formula's that rows must not miss."""
    if isinstance(groups, list | tuple) and all(isinstance(each, str) for each in groups):
        raise ModelError(
            "groups= names one column, the independent units; for two levels of clusters name the outer "
            "one and say corr=ml.NestedExchangeable(inner=...)."
        )
    inner = corr.inner if isinstance(corr, NestedExchangeable) else None
    made_of = parts_of(groups, data) if isinstance(groups, str) else ()
    return (*made_of, *(name for name in (time, inner) if isinstance(name, str)))


def cluster_layout(
    design: Design,
    data: Frame,
    groups: str | npt.ArrayLike,
    time: str | npt.ArrayLike | None,
    corr: Correlation,
) -> ClusterLayout:
    """Rows by cluster and time."""
    clusters = clusters_of(groups, data, design)
    nested = isinstance(corr, NestedExchangeable)
    ordered = corr.ordered and not isinstance(corr, Unstructured)
    times: Times | None = (
        None if time is None or nested else read_times(time, data, design, order_matters=ordered)
    )
    inner = read_clusters(corr.inner, data, design).codes if isinstance(corr, NestedExchangeable) else None
    return lay_out(clusters.name, clusters.codes, clusters.levels, times, inner, design.freq_weights)


def clusters_of(groups: str | npt.ArrayLike, data: Frame, design: Design) -> Grouping:
    """The independent units of the rows used."""
    if isinstance(groups, str):
        return read_clusters(groups, data, design)
    labels = np.asarray(groups)
    if labels.shape != (design.dropped.n_total,):
        raise DataError(
            f"groups= needs the name of a column or one label for each of the {design.dropped.n_total} rows "
            f"of the data, got an array of shape {labels.shape}."
        )
    return read_clusters("groups", {"groups": labels}, design)


def problem_of(design: Design, wanted: Equations, columns: Sequence[int] | None = None) -> EstimatingProblem:
    """The equations for a design, or for some of its columns."""
    weights = prior_weights(design)
    if wanted.moments == "gee" and weights is not None:
        raise ModelError("moments='gee' knows no weights and no trials; use moments='geepack'.")
    chosen = list(range(design.X.shape[1]) if columns is None else columns)
    return estimating_problem(
        wanted.layout,
        design.X if columns is None else np.asfortranarray(design.X[:, chosen]),
        proportions(design),
        family=wanted.family,
        corr=wanted.corr,
        offset=design.offset,
        weights=weights,
        scale=wanted.scale,
        moments=wanted.moments,
        names=tuple(design.coef_names[j] for j in chosen),
        response_name=design.response_name,
    )


def warn_of(wanted: Equations, problem: EstimatingProblem, record: GEERecord, kind: str | None) -> None:
    """Say once, when the fit is made, what its summary repeats."""
    layout = wanted.layout
    if kind == "sandwich" and layout.n_clusters < FEW_CLUSTERS:
        warnings.warn(
            f"'{layout.name}' has {layout.n_clusters} clusters; below {FEW_CLUSTERS} the sandwich tends to "
            "be too "
            'small. Leave out vcov=, or say vcov="fay-graubard".',
            MultilevelWarning,
            stacklevel=3,
        )
    if wanted.corr.ordered and layout.time_name is None and len(set(layout.sizes.tolist())) > 1:
        warnings.warn(
            f"corr='{wanted.corr.name}' depends on when rows were measured, clusters of "
            f"'{layout.name}' differ in size, and there is no time=: rows are taken as the first visits of "
            "their cluster, in the order of the data, one step apart. Name the column of visits as time=.",
            MultilevelWarning,
            stacklevel=3,
        )
    if record.margin <= 0.0:
        warnings.warn(
            "the estimated working correlation is not positive definite (moments need not fit together). The "
            f"estimates solve the equations, but {correlation_advice(problem, record, wanted.corr)}.",
            MultilevelWarning,
            stacklevel=3,
        )
