"""What are marginal means of a model with several parts: of its mean, of its zeros, of the response itself?

Means of one part are linear functions of its coefficients, as in any model. The expected response,
(1 - z) m with z the probability of an excess zero and m the mean of what is no such zero (of counts cut
off at zero, their mean above it), is a function of the coefficients of all parts. It is formed in every
cell of the reference grid and averaged there, on the scale of the response; its covariance is by the
delta method, random effects being zero.

Searle, S. R., Speed, F. M. & Milliken, G. A. (1980). Population marginal means in the linear model: an
alternative to least squares means. The American Statistician 34, 216-221.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.special import expit

from multilevel._typing import Array, Frame, Mask
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.estimation.glmm_rows import Component
from multilevel.families.moments import RowParameters, is_truncated, response_mean
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.coefficients import KnownDf
from multilevel.inference.emmeans import Means, averaged_means, checked_request
from multilevel.inference.estimability import FullColumns, estimable
from multilevel.inference.linear_functions import Basis, Functions
from multilevel.inference.reference_grid import Axis, Population, ReferenceGrid, code_cells, population
from multilevel.inference.specs import Names

STEP = 1e-5  # of a linear predictor, for derivatives of the expected response


@dataclass(frozen=True, slots=True)
class ResponseMeans:
    """Marginal means of the response, and what is known of them: functions are the means themselves."""

    means: Means
    basis: Basis


@dataclass(frozen=True, slots=True)
class PartCells:
    """One linear predictor in the K cells of a grid."""

    eta: Array  # (K,) NaN where the data do not tell it
    slope: Array  # (K, k) its derivatives in the coefficients of all parts and theta


def has_parts(design: GLMMDesign, record: GLMMRecord) -> bool:
    """Whether the expected response is more than the inverse link of one linear predictor."""
    return design.zi is not None or is_truncated(record.family.density)


def mean_words(record: GLMMRecord) -> str:
    """What the mean of the family is, where the response is more than it."""
    if is_truncated(record.family.density):
        return "the mean before zeros are cut off"
    return "the mean without excess zeros"


def design_of(design: GLMMDesign, component: Component) -> Design:
    """The design of one part, refused where it has none."""
    found = {"cond": design.main, "zi": design.zi, "disp": design.dispersion}.get(component)
    if found is None:
        words = {"zi": "zi=", "disp": "dispersion="}[component]
        raise ModelError(f"this fit was made without {words}, so it has no such part; leave component= out.")
    return found


def response_means(
    design: GLMMDesign,
    record: GLMMRecord,
    data: Frame,
    specs: Names,
    by: Names,
    at: Mapping[str, Any] | None,
    weights: str,
    *,
    method: str = "normal",
    df: float = np.inf,
) -> ResponseMeans:
    """Expected responses at the levels of `specs`, within those of `by`, over all others.

    Their uncertainty is that of the record's joint covariance, which `method` names, with `df`.
    """
    sources = {name: population(side, data) for name, side in sides_of(design, record).items()}
    source = joined(sources)
    axes, asked = checked_request(source, specs, by, at, weights)
    cells = {name: part_cells(record, name, each, axes) for name, each in sources.items()}
    if "disp" not in cells and record.dispersion is not None:
        cells["disp"] = constant_cells(record, len(cells["cond"].eta))
    value, slope = expected_response(record, cells)
    known = np.isfinite(value)
    filled = np.column_stack([np.where(known, value, 0.0), ~known, np.where(known[:, None], slope, 0.0)])
    sizes = tuple(axis.size for axis in axes)
    grid = ReferenceGrid(axes, filled.reshape(*sizes, -1), np.zeros(sizes))
    averaged = averaged_means(source, grid, asked, weights)
    rows = averaged.functions.L
    known = np.asarray(rows[:, 1] == 0.0)  # a cell that counts for nothing spoils nothing
    means = replace(averaged, functions=themselves(known))
    told = np.where(known[:, None], rows, 0.0)
    return ResponseMeans(means, basis_of(told[:, 0], told[:, 2:], record.joint_vcov, method, df))


def sides_of(design: GLMMDesign, record: GLMMRecord) -> dict[Component, Design]:
    """The parts that the expected response hangs on: a dispersion only where counts are cut off at zero."""
    sides: dict[Component, Design] = {"cond": design.main}
    if design.zi is not None:
        sides["zi"] = design.zi
    if design.dispersion is not None and is_truncated(record.family.density):
        sides["disp"] = design.dispersion
    return sides


def joined(sources: Mapping[Component, Population]) -> Population:
    """The variables and terms of all parts, as one population."""
    first, *others = sources.values()
    variables = dict(first.variables)
    for other in others:
        variables = {**other.variables, **variables}
    order = [name for each in sources.values() for name in each.variables]
    terms = tuple(term for each in sources.values() for term in each.terms)
    return replace(first, variables={name: variables[name] for name in dict.fromkeys(order)}, terms=terms)


# ---- cells ----


def part_cells(
    record: GLMMRecord, component: Component, source: Population, axes: tuple[Axis, ...]
) -> PartCells:
    """The linear predictor of one part in all cells."""
    X, offset = code_cells(source, axes, {})
    known = estimable(X, source.columns)
    first, estimate = place_of(record, component)
    kept = X[:, list(source.columns.kept)]
    slope = np.zeros((len(X), len(record.joint_vcov)))
    slope[:, first : first + len(estimate)] = kept
    return PartCells(np.where(known, kept @ estimate + offset, np.nan), slope)


def constant_cells(record: GLMMRecord, n: int) -> PartCells:
    """The log of a dispersion that is one number, estimated or held at what the user gave."""
    assert record.dispersion is not None
    slope = np.zeros((n, len(record.joint_vcov)))
    if record.part("disp") is not None:
        slope[:, place_of(record, "disp")[0]] = 1.0
    return PartCells(np.full(n, float(np.log(record.dispersion[0]))), slope)


def place_of(record: GLMMRecord, component: Component) -> tuple[int, Array]:
    """Where a part's coefficients begin among all parameters, and their estimates."""
    first = 0
    for part in record.parts:
        if part.component == component:
            return first, part.estimate
        first += len(part.names)
    raise ModelError(f"the model has no part '{component}'.")


def expected_response(record: GLMMRecord, cells: Mapping[Component, PartCells]) -> tuple[Array, Array]:
    """Expected responses (K,) and their derivatives (K, k) in all parameters."""
    eta, log_phi = cells["cond"].eta, cells["disp"].eta if "disp" in cells else None

    def above(at: Array, dispersion: Array | None) -> Array:
        phi = None if dispersion is None else np.exp(dispersion)
        return response_mean(record.family.density, RowParameters(record.family.link.inverse(at), phi))

    mean = above(eta, log_phi)
    by_eta = (above(eta + STEP, log_phi) - above(eta - STEP, log_phi)) / (2.0 * STEP)
    slope = by_eta[:, None] * cells["cond"].slope
    if log_phi is not None and is_truncated(record.family.density):
        by_phi = (above(eta, log_phi + STEP) - above(eta, log_phi - STEP)) / (2.0 * STEP)
        slope = slope + by_phi[:, None] * cells["disp"].slope
    if "zi" not in cells:
        return mean, slope
    zeros = expit(cells["zi"].eta)
    by_zeros = -mean * zeros * (1.0 - zeros)
    return (1.0 - zeros) * mean, (1.0 - zeros)[:, None] * slope + by_zeros[:, None] * cells["zi"].slope


# ---- the means as if they were coefficients ----


def themselves(known: Mask) -> Functions:
    """Each mean as a function of the means; NaN where it is not known."""
    L = np.eye(len(known))
    L[~known] = np.nan
    return Functions(L, np.zeros(len(known)))


def basis_of(means: Array, slope: Array, covariance: Array, method: str, df: float) -> Basis:
    """Means (S,) with the covariance that their derivatives (S, k) give them."""
    S = len(means)
    values, vectors = np.linalg.eigh(covariance)
    root = slope @ (vectors * np.sqrt(np.maximum(values, 0.0)))
    columns = FullColumns(tuple(range(S)), None, np.zeros(S), np.ones(S), np.zeros((S, 0)))
    return Basis(columns, KnownDf(method, means, root, df))
