"""Where is the maximum of a generalized mixed model's likelihood, its random effects integrated out?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Grouping, RandomTerm
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.estimation.fixed_newton import FixedFit
from multilevel.estimation.glmm_prior import WeakPrior, penalty, prior_penalty
from multilevel.estimation.glmm_rows import WorkingRows, working_rows
from multilevel.estimation.glmm_start import fit_without_random_effects
from multilevel.estimation.lmm import memory_limit, spherical_start
from multilevel.estimation.optimum import Certificate, Optimum
from multilevel.estimation.separation import refuse_separation
from multilevel.estimation.term_factors import term_factors
from multilevel.estimation.working import WorkingTerm, effective_weights, working_term
from multilevel.families.family import Family
from multilevel.kernels.gaussian import ScaledColumns, StructureCode, TermLayout
from multilevel.kernels.marginal import MarginalKernel, MarginalOutcome, PriorPenalty, RandomColumns

TOLERANCE = 1e-11  # decrease of the criterion that the last step may promise: 3e-6 of a standard error
MAX_EVALUATIONS = 1000
OTHER_SIZES = (0.3, 1.5)  # standard deviations to begin from where a term has few levels
SMALL = 0.2
SLACK = 1e-6  # of the criterion, by which an optimum may miss that of a smaller model
NODES_INSTEAD = 11
SMALLER = (1.0, 0.3, 0.1, 0.01)  # shares of the first covariances, until the likelihood is finite


@dataclass(frozen=True, slots=True)
class PlacedTerm:
    """A random-effects term: which side of the model it belongs to, and where the kernel has it."""

    side: int  # 0 for the mean, 1 for the excess of zeros
    index: int  # among that side's terms
    term: RandomTerm
    working: WorkingTerm
    layout: TermLayout


@dataclass(frozen=True, slots=True)
class WorkingGLMM:
    """A design in working coordinates, with its compiled kernel."""

    rows: WorkingRows
    kernel: MarginalKernel
    terms: tuple[PlacedTerm, ...]  # of the mean, then of zeros
    factors: tuple[Grouping, ...]  # as the kernel has them
    fixed: FixedFit  # the fit without random effects
    prior: PriorPenalty | None
    joint: tuple[int, ...]  # coefficients that are found with the modes of the random effects (nagq=0)

    @property
    def layouts(self) -> tuple[TermLayout, ...]:
        """Where the kernel has each term."""
        return self.kernel.terms

    @property
    def n_theta(self) -> int:
        """Number of covariance parameters, which come before the coefficients."""
        return self.kernel.n_theta

    @property
    def moderate(self) -> Array:
        """Coefficients (G,) before the fit without random effects, none of which is far from zero."""
        return self.fixed.start

    def theta_scale(self, term: int) -> float:
        """What a term's root is divided by on its way to the user's units: only the mean's eta is scaled."""
        return 1.0 if self.terms[term].side else self.rows.units.eta_scale

    def factors_of(self, psi: Array) -> list[Array]:
        """T of each term, in working coordinates."""
        return term_factors(self.layouts, psi[: self.n_theta])


def working_glmm(
    design: GLMMDesign, family: Family, *, nodes: int = 1, prior: WeakPrior | None = None
) -> WorkingGLMM:
    """Scale a design's columns, fit it without random effects, and set the kernel up.

    With no node at all the coefficients of the mean are found with the modes of the random effects.
    """
    rows = working_rows(design, family, rotate=prior is None)
    fixed = fit_without_random_effects(rows, family)
    if prior is None:
        refuse_separation(design, family, rows, fixed)
    terms, factors = placed_terms(design)
    refuse_several_factors(nodes, factors)
    joint = () if nodes else joint_coefficients(rows, terms)
    restraint = prior_penalty(prior, rows)
    kernel = compiled(rows, terms, factors, max(nodes, 1), restraint, joint)
    return WorkingGLMM(rows, kernel, terms, factors, fixed, restraint, joint)


def compiled(
    rows: WorkingRows,
    terms: Sequence[PlacedTerm],
    factors: Sequence[Grouping],
    nodes: int,
    prior: PriorPenalty | None,
    joint: Sequence[int],
) -> MarginalKernel:
    """The compiled criterion."""
    return MarginalKernel(
        rows.density,
        rows.y,
        rows.trials,
        rows.power,
        rows.predictors,
        [random_columns(k, factor, terms, rows) for k, factor in enumerate(factors)],
        [placed.layout for placed in terms],
        len(rows.constant),
        nodes=nodes,
        prior=prior,
        joint=joint,
        memory_limit=memory_limit(),
    )


def joint_coefficients(rows: WorkingRows, terms: Sequence[PlacedTerm]) -> tuple[int, ...]:
    """Those of the mean, thresholds with them, which nagq=0 finds with the modes of the random effects."""
    if all(placed.side for placed in terms):
        raise ModelError(
            "nagq=0 finds the coefficients of the mean together with its random effects, and the mean has "
            "none here; use nagq=1."
        )
    parts = [part for part in rows.parts if part.component in ("cond", "threshold")]
    return tuple(place for part in parts for place in range(part.places.start, part.places.stop))


def with_given_coefficients(model: WorkingGLMM) -> WorkingGLMM:
    """The same model, its modes those of the random effects alone at whatever coefficients are given."""
    if not model.joint:
        return model
    kernel = compiled(model.rows, model.terms, model.factors, 1, model.prior, ())
    return replace(model, kernel=kernel, joint=())


def minimise_glmm(model: WorkingGLMM, *, begin: Sequence[Array] | None = None) -> Optimum:
    """Search for the optimum, from the fit without random effects unless told where to begin."""
    found = [search_from(model, start) for start in (starts(model) if begin is None else begin)]
    smaller = [search_from(model, start) for start in starts_without_zeros_effects(model)]
    if not any(outcome.converged for outcome in [*found, *smaller]):
        found.append(search_from(model, last_resort(model)))
    # Where the log-density is not concave the approximation has holes, in which no search ends well, and
    # optima beside them, which a model without those effects may beat.
    least = min((outcome.settled for outcome in smaller), default=np.inf)
    outcome = min(
        [*found, *smaller],
        key=lambda each: (not (each.converged and each.criterion <= least + SLACK), each.criterion),
    )
    if not np.isfinite(outcome.criterion):
        raise ModelError(
            "no finite likelihood was found from the starting values: the data and the model do not go "
            "together. Check the scale of the predictors and offsets, and whether the link fits the response"
            f"{way_out(model)}."
        )
    return Optimum(
        theta=outcome.psi,
        criterion=outcome.criterion,
        evaluations=outcome.evaluations,
        iterations=outcome.iterations,
        converged=outcome.converged,
        message=search_message(model, outcome),
        certificate=Certificate(outcome.stationarity, outcome.null_slope, outcome.converged),
        rank=outcome.rank,
    )


def starts(model: WorkingGLMM) -> list[Array]:
    """Where searches begin: from moments, and from elsewhere where there may be several optima.

    A covariance of hardly any levels may have several sizes; an excess of zeros may be none at all, or
    explain what the mean explains as well.
    """
    found = [model.kernel.start(model.fixed.gamma)]
    if model.rows.part("zi") is not None:
        found.append(model.kernel.start(model.moderate))
    if any(has_few_levels(model, layout) for layout in model.layouts):
        sizes = [spherical_start(model.layouts, size) for size in OTHER_SIZES]
        found += [np.concatenate([theta, found[0][model.n_theta :]]) for theta in sizes]
    return found


def starts_without_zeros_effects(model: WorkingGLMM) -> list[Array]:
    """Where searches begin that first let the excess of zeros have no random effects, if it has any."""
    ends = np.cumsum([layout.n_parameters for layout in model.layouts])
    of_zeros = [
        slice(end - placed.layout.n_parameters, end)
        for placed, end in zip(model.terms, ends.tolist(), strict=True)
        if placed.side
    ]
    if not of_zeros or len(of_zeros) == len(model.terms):
        return []
    found = [model.kernel.start(gamma) for gamma in (model.fixed.gamma, model.moderate)]
    for start in found:
        for theta in of_zeros:
            start[theta] = 0.0
    return found


def last_resort(model: WorkingGLMM) -> Array:
    """Where to begin when no search has ended well: small covariances, and coefficients near zero."""
    return np.concatenate([spherical_start(model.layouts, SMALL), model.moderate])


def search_from(model: WorkingGLMM, start: Array) -> MarginalOutcome:
    """Search from a start, its covariances drawn to zero as far as makes the criterion defined there."""
    for share in SMALLER:
        begin = np.concatenate([share * start[: model.n_theta], start[model.n_theta :]])
        outcome = model.kernel.search(begin, tolerance=TOLERANCE, max_evaluations=MAX_EVALUATIONS)
        if np.isfinite(outcome.criterion):
            break
    return outcome


def has_few_levels(model: WorkingGLMM, layout: TermLayout) -> bool:
    """Whether a covariance has hardly more levels than columns: several optima are common then."""
    return layout.width > 1 and model.factors[layout.factor].n_levels < 3 * layout.width


def log_likelihood(model: WorkingGLMM, optimum: Optimum) -> float:
    """In the user's units, and without the prior."""
    return log_likelihood_at(model, optimum.theta, optimum.criterion)


def log_likelihood_at(model: WorkingGLMM, psi: Array, criterion: float) -> float:
    """The log-likelihood that belongs to a criterion at psi."""
    rows = model.rows
    restraint = (
        0.0 if model.prior is None else penalty(model.prior, psi[model.n_theta :], model.factors_of(psi))
    )
    return -0.5 * (criterion - restraint) + rows.units.log_density(rows.power, len(rows.y))


def search_message(model: WorkingGLMM, outcome: MarginalOutcome) -> str:
    """How the search ended, in a sentence."""
    if outcome.converged and model.joint:
        return (
            f"converged after {outcome.evaluations} evaluations; first-order conditions hold, at the "
            "coefficients that are most likely together with the random effects (nagq=0)"
        )
    if outcome.converged:
        return f"converged after {outcome.evaluations} evaluations; first-order conditions hold"
    if outcome.evaluations >= MAX_EVALUATIONS:
        return f"stopped after {outcome.evaluations} evaluations without meeting the first-order conditions"
    return (
        f"found no better point after {outcome.evaluations} evaluations, yet the first-order conditions "
        f"do not hold (a further step would promise {outcome.stationarity:.1e}){way_out(model)}"
    )


def way_out(model: WorkingGLMM) -> str:
    """What to try where Laplace's approximation is known to break down."""
    if model.kernel.nodes > 1 or not any(placed.side for placed in model.terms):
        return ""
    remedy = (
        f"nagq={NODES_INSTEAD} integrates more exactly"
        if len(model.factors) == 1
        else "leave them out of zi=, or keep one grouping factor and use nagq="
    )
    return f". Laplace's approximation often has no maximum where zeros have random effects: {remedy}"


# ---- random effects as the kernel has them ----


def placed_terms(
    design: GLMMDesign,
) -> tuple[tuple[PlacedTerm, ...], tuple[Grouping, ...]]:
    """All terms, and the grouping factors that they share, most levels first."""
    weights = effective_weights(design.main)
    found: list[Grouping] = []
    for side in design.sides:
        for term in side.terms:
            grouping = side.groupings[term.grouping]
            if not any(same_levels(grouping, other) for other in found):
                found.append(grouping)
    factors = tuple(sorted(found, key=lambda each: -each.n_levels))
    taken = [0] * len(factors)
    placed = []
    for number, side in enumerate(design.sides):
        for index, term in enumerate(side.terms):
            grouping = side.groupings[term.grouping]
            factor = next(k for k, other in enumerate(factors) if same_levels(grouping, other))
            structure = "diag" if term.n_columns == 1 else term.structure
            layout = TermLayout(factor, taken[factor], term.n_columns, StructureCode[structure], term.hom)
            taken[factor] += term.n_columns
            placed.append(PlacedTerm(number, index, term, working_term(term, weights), layout))
    return tuple(placed), factors


def same_levels(one: Grouping, other: Grouping) -> bool:
    """Whether two grouping factors put every row into the same level."""
    return one is other or (one.levels == other.levels and np.array_equal(one.codes, other.codes))


def random_columns(
    factor: int, grouping: Grouping, terms: Sequence[PlacedTerm], rows: WorkingRows
) -> RandomColumns:
    """A grouping factor with the columns of all its terms side by side."""
    mine = [placed for placed in terms if placed.layout.factor == factor]
    last = len(rows.predictors) - 1
    Z = mine[0].term.Z if len(mine) == 1 else np.hstack([placed.term.Z for placed in mine])
    columns = ScaledColumns(
        np.asfortranarray(Z),
        np.concatenate([placed.working.shift for placed in mine]),
        np.concatenate([placed.working.scale for placed in mine]),
    )
    predictors = tuple(last if placed.side else 0 for placed in mine for _ in range(placed.term.n_columns))
    return RandomColumns(grouping.codes, grouping.n_levels, columns, predictors)


def refuse_several_factors(nodes: int, factors: Sequence[Grouping]) -> None:
    """Quadrature integrates over the random effects of one grouping factor."""
    if nodes > 1 and len(factors) > 1:
        names = ", ".join(grouping.name for grouping in factors)
        raise ModelError(
            f"nagq={nodes} needs one grouping factor, and the model has {len(factors)} ({names}); "
            "use nagq=1, the Laplace approximation, which serves any random effects."
        )
