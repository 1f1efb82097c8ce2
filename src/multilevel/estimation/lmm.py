"""Where is the optimum of a linear mixed model's criterion in the covariance parameters?"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.errors import MemoryNeedError, ModelError
from multilevel.estimation.optimum import Certificate, Optimum
from multilevel.estimation.working import (
    WorkingFixed,
    WorkingResponse,
    WorkingTerm,
    effective_weights,
    nearly_collinear,
    orthonormal_fixed,
    scaled_fixed,
    working_response,
    working_term,
)
from multilevel.kernels.gaussian import (
    FactorColumns,
    GaussianKernel,
    ScaledColumns,
    SearchOutcome,
    StructureCode,
    TailTooLarge,
    TermLayout,
)

TOLERANCE = 1e-10  # decrease of the criterion that the last step may promise; its own is far smaller
LARGE_TAIL = 500  # columns of the dense remainder from which an evaluation costs so much that
LARGE_TOLERANCE = 1e-7  # a step with this promise is the last: the criterion's own rounding is about 5e-9
MAX_EVALUATIONS = 2000
OTHER_SIZES = (0.3, 1.5, 4.0)  # standard deviations to begin from where a term has few levels
OTHER_ANGLES = (0.5, 2.0)  # a strong correlation and a negative one (of ar1; of cs a strong and a weak one)
MEMORY_SHARE = 0.4  # of the machine's memory, for the dense remainder: its inverse needs as much again
PERFECT_FIT = 1e-11  # residual over total sum of squares: what rounding leaves of cross-products


@dataclass(frozen=True, slots=True)
class WorkingModel:
    """A design in working coordinates, with its compiled kernel."""

    kernel: GaussianKernel
    fixed: WorkingFixed
    response: WorkingResponse
    terms: tuple[WorkingTerm, ...]  # in the design's order
    layouts: tuple[TermLayout, ...]  # the same terms as the kernel has them
    groupings: tuple[int, ...]  # design grouping of each kernel factor
    log_weights: float  # sum of freq * log(weight)


def working_model(design: Design) -> WorkingModel:
    """Scale a design's columns and form its cross-products."""
    weights = effective_weights(design)
    fixed = scaled_fixed(design.X, weights)
    y = design.y if design.offset is None else design.y - design.offset
    response = working_response(y, weights, fixed.centring.one is not None)
    terms = tuple(working_term(term, weights) for term in design.terms)
    groupings = factor_order(design)
    layouts = term_layouts(design, groupings)
    factors = [factor_columns(design, terms, grouping) for grouping in groupings]
    scaled_y = ScaledColumns(y[:, None], np.array([response.shift]), np.array([response.scale]))

    def kernel(columns: ScaledColumns) -> GaussianKernel:
        return GaussianKernel(columns, scaled_y, weights, design.n_obs, factors, layouts, memory_limit())

    try:
        compiled = kernel(fixed.columns)
        if nearly_collinear(compiled.fixed_crossproduct()[:-1, :-1]):
            fixed = orthonormal_fixed(design.X, fixed, weights)
            compiled = kernel(fixed.columns)
    except TailTooLarge as error:
        message = (
            f"{error}, more than this machine's memory allows; drop a crossed factor or use fewer levels."
        )
        raise MemoryNeedError(message) from error
    return WorkingModel(compiled, fixed, response, terms, layouts, groupings, log_weights(design))


def minimise(model: WorkingModel, *, reml: bool, begin: Sequence[Array] | None = None) -> Optimum:
    """Search for the optimum, from a moment estimate unless told where to begin."""
    kernel = model.kernel
    tolerance = LARGE_TOLERANCE if kernel.tail_size >= LARGE_TAIL else TOLERANCE

    def search(theta: Array) -> SearchOutcome:
        return kernel.search(theta, reml=reml, tolerance=tolerance, max_evaluations=MAX_EVALUATIONS)

    outcomes = [search(theta) for theta in (starts(model) if begin is None else begin)]
    outcome = min(outcomes, key=lambda found: found.criterion)
    refuse_perfect_fit(kernel, outcome)
    certificate = Certificate(outcome.stationarity, outcome.null_eigenvalue, outcome.converged)
    return Optimum(
        theta=outcome.theta,
        criterion=outcome.criterion,
        evaluations=outcome.evaluations,
        iterations=outcome.iterations,
        converged=outcome.converged,
        message=search_message(outcome),
        certificate=certificate,
        rank=outcome.rank,
    )


def starts(model: WorkingModel) -> list[Array]:
    """Where searches begin: moments, and several correlations where there may be several valleys."""
    theta = model.kernel.start()
    angles = correlation_angles(model.layouts)
    found = [theta]
    for angle in OTHER_ANGLES if angles else ():
        other = theta.copy()
        other[angles] = angle
        found.append(other)
    if any(few_levels(model, layout) for layout in model.layouts):
        found += [spherical_start(model.layouts, size) for size in OTHER_SIZES]
    return found


def few_levels(model: WorkingModel, layout: TermLayout) -> bool:
    """Whether a covariance has hardly more levels than columns: several optima are common then."""
    return layout.width > 1 and model.kernel.factors[layout.factor].n_levels < 3 * layout.width


def spherical_start(layouts: tuple[TermLayout, ...], size: float) -> Array:
    """Theta of independent effects of one size (and a correlation of zero)."""
    parts = []
    for layout in layouts:
        theta = np.full(layout.n_parameters, size)
        if layout.structure is StructureCode.us:
            rows, columns = np.triu_indices(layout.width)
            theta = np.where(rows == columns, size, 0.0)
        elif layout.structure in (StructureCode.cs, StructureCode.ar1):
            theta[-1] = np.pi / 2.0 if layout.structure is StructureCode.ar1 else 1.2
        parts.append(theta)
    return np.concatenate(parts)


def correlation_angles(layouts: tuple[TermLayout, ...]) -> list[int]:
    """Places in theta of the angles that cs and ar1 terms have for their correlation."""
    ends = accumulate(layout.n_parameters for layout in layouts)
    structured = (StructureCode.cs, StructureCode.ar1)
    return [end - 1 for end, layout in zip(ends, layouts, strict=True) if layout.structure in structured]


def factor_order(design: Design) -> tuple[int, ...]:
    """Groupings that terms use, most levels first, as the kernel eliminates them."""
    used = {term.grouping for term in design.terms}
    return tuple(sorted(used, key=lambda k: (-design.groupings[k].n_levels, k)))


def factor_columns(design: Design, working: tuple[WorkingTerm, ...], grouping: int) -> FactorColumns:
    """A grouping factor with the columns of all its terms side by side."""
    mine = [(t, w) for t, w in zip(design.terms, working, strict=True) if t.grouping == grouping]
    Z = mine[0][0].Z if len(mine) == 1 else np.hstack([term.Z for term, _ in mine])
    shift = np.concatenate([w.shift for _, w in mine])
    scale = np.concatenate([w.scale for _, w in mine])
    factor = design.groupings[grouping]
    return FactorColumns(factor.codes, factor.n_levels, ScaledColumns(np.asfortranarray(Z), shift, scale))


def term_layouts(design: Design, groupings: tuple[int, ...]) -> tuple[TermLayout, ...]:
    """Where each term's columns stand within its factor."""
    taken = dict.fromkeys(groupings, 0)
    layouts = []
    for term in design.terms:
        # one column has no correlation: every structure is the diagonal one
        structure = "diag" if term.n_columns == 1 else term.structure
        first = taken[term.grouping]
        factor = groupings.index(term.grouping)
        layouts.append(TermLayout(factor, first, term.n_columns, StructureCode[structure], term.hom))
        taken[term.grouping] = first + term.n_columns
    return tuple(layouts)


def memory_limit() -> float:
    """Bytes the dense remainder may take."""
    return MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def log_weights(design: Design) -> float:
    """What precision weights add to the log-likelihood: sum of log w, each row as often as it counts."""
    if design.weights is None:
        return 0.0
    logs = np.log(design.weights)
    return float(logs.sum() if design.freq_weights is None else design.freq_weights @ logs)


def refuse_perfect_fit(kernel: GaussianKernel, outcome: SearchOutcome) -> None:
    """Nothing can be estimated about a residual that is not there."""
    total = kernel.fixed_crossproduct()[-1, -1]
    if not np.isfinite(outcome.criterion) or outcome.pwrss < PERFECT_FIT * total:
        raise ModelError(
            "the model fits the response exactly: no residual variance is left to estimate. "
            "Check whether a predictor copies the response, or use fewer terms."
        )


def search_message(outcome: SearchOutcome) -> str:
    """How the search ended, in a sentence."""
    if outcome.converged:
        return f"converged after {outcome.evaluations} evaluations; first-order conditions hold"
    if outcome.evaluations >= MAX_EVALUATIONS:
        return f"stopped after {outcome.evaluations} evaluations without meeting the first-order conditions"
    return (
        f"found no better point after {outcome.evaluations} evaluations, yet the first-order conditions "
        f"do not hold (a further step would promise {outcome.stationarity:.1e})"
    )
