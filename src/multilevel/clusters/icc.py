"""How alike are two observations of one cluster? Intraclass correlations from a fitted model.

With random slopes the variance between clusters depends on the covariates; its mean over the rows used
stands for it, and `variance_at` gives the variance where the covariates have given values.

Johnson, P. C. D. (2014). Extension of Nakagawa & Schielzeth's R2_GLMM to random slopes models.
Methods in Ecology and Evolution 5, 944-946.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_numbers
from multilevel._typing import Array, Codes
from multilevel.design.design import Design
from multilevel.errors import DataError, DataTypeError
from multilevel.fitted.lmm import LMMRecord, MixedEstimates
from multilevel.inference.matrices import effect_variance

INTERCEPT = "Intercept"
Points = npt.NDArray[Any]  # (k,) numbers of any dtype


@dataclass(frozen=True, slots=True)
class IntraclassCorrelations:
    """One entry a grouping factor, G in all."""

    groups: tuple[str, ...]  # (G,)
    variance: Array  # (G,) mean variance that the factor's random effects contribute
    share: Array  # (G,) share of the variance that the fixed part leaves
    cumulative: (
        Array  # (G,) correlation of two observations of one level (and so of every level that holds it)
    )
    unadjusted: Array  # (G,) share of the whole variance, the fixed part's included
    residual_variance: float
    adjusted_total: float  # share of all random effects together
    unadjusted_total: float


def intraclass_correlations(design: Design, record: LMMRecord) -> IntraclassCorrelations:
    """Shares of the variance of a fitted model, by grouping factor."""
    variance = group_variances(design, record)
    left = variance.sum() + record.sigma**2
    whole = left + fixed_variance(design, record)
    return IntraclassCorrelations(
        groups=tuple(grouping.name for grouping in design.groupings),
        variance=variance,
        share=variance / left,
        cumulative=holds(design) @ variance / left,
        unadjusted=variance / whole,
        residual_variance=record.sigma**2,
        adjusted_total=float(variance.sum() / left),
        unadjusted_total=float(variance.sum() / whole),
    )


def group_variances(design: Design, record: MixedEstimates) -> Array:
    """Mean over the rows of z' Sigma z, summed over the terms of each grouping factor: (G,)."""
    variance = np.zeros(len(design.groupings))
    for term, fit in zip(design.terms, record.terms, strict=True):
        variance[term.grouping] += np.average(effect_variance(term.Z, fit), weights=design.freq_weights)
    return variance


def fixed_variance(design: Design, record: MixedEstimates) -> float:
    """Sample variance of X beta over the observations."""
    predictor = design.X @ record.beta
    weights = np.ones(design.n_rows) if design.freq_weights is None else design.freq_weights
    deviation = predictor - np.average(predictor, weights=weights)
    return float((weights * deviation**2).sum() / (weights.sum() - 1.0))


def holds(design: Design) -> Array:
    """(G, G): 1 in row g, column h where each level of factor g lies within one level of factor h."""
    groupings = design.groupings
    return np.array([[float(is_within(g.codes, h.codes)) for h in groupings] for g in groupings])


def is_within(inner: Codes, outer: Codes) -> bool:
    """Whether every level of `inner` (n,) meets one level of `outer` (n,) only."""
    home = np.empty(int(inner.max()) + 1, dtype=outer.dtype)
    home[inner] = outer
    return bool((home[inner] == outer).all())


def variance_at(record: LMMRecord, columns: Sequence[Array]) -> Array:
    """Variance (m,) that all random effects contribute, where each term's columns (m, q) are given."""
    between = [effect_variance(Z, term) for Z, term in zip(columns, record.terms, strict=True)]
    return np.asarray(sum(between))


def columns_at(record: LMMRecord, values: Mapping[str, Points]) -> list[Array]:
    """The columns of each term (m, q), from values (m,) of all but the intercept's: those of `values_at`."""
    n_points = len(next(iter(values.values())))
    columns = {**values, INTERCEPT: np.ones(n_points)}
    return [np.column_stack([columns[name] for name in term.names]) for term in record.terms]


def values_at(record: LMMRecord, at: Mapping[str, npt.ArrayLike]) -> dict[str, Points]:
    """The values (k,) of each random slope's column, a single number standing for all k; or what is wrong."""
    if not isinstance(at, Mapping):
        raise DataTypeError(f'icc(at=) maps columns to values, as in {{"x": [0, 5]}}; got {at!r}.')
    refuse_other_names(record, at)
    given = {name: np.asarray(values) for name, values in at.items()}
    for name, values in given.items():
        checked_numbers(f"icc(at=): the values of '{name}'", values)
    lengths = {name: values.size for name, values in given.items() if values.ndim}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"'{name}' has {length}" for name, length in lengths.items())
        raise DataError(f"icc(at=) needs as many values of each column: {listed}.")
    n_points = next(iter(lengths.values()), 1)
    return {name: np.broadcast_to(values.ravel(), n_points) for name, values in given.items()}


def refuse_other_names(record: LMMRecord, at: Mapping[str, npt.ArrayLike]) -> None:
    """The correlation depends on the columns of the random slopes: these and no others are to be given."""
    slopes = [name for term in record.terms for name in term.names if name != INTERCEPT]
    if not slopes:
        raise DataError("this fit has no random slopes, so its icc depends on no covariate; leave at= out.")
    wanted = ", ".join(f"'{name}'" for name in dict.fromkeys(slopes))
    wrong = [f"does not know '{name}'" for name in at if name not in slopes]
    wrong += [f"lacks values of '{name}'" for name in slopes if name not in at]
    if wrong:
        raise DataError(f"icc(at=) {wrong[0]}; the columns of the random slopes are {wanted}.")
