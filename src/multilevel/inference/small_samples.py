"""What a fitted mixed model says of its coefficients by Satterthwaite, or by Kenward and Roger."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.structure import Structure
from multilevel.design.design import Design
from multilevel.errors import MemoryNeedError, ModelError
from multilevel.estimation.lmm import WorkingModel, memory_limit
from multilevel.estimation.residual_free import ResidualFreeModel, solve_full_rank
from multilevel.estimation.working import effective_weights
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.between_factors import FEW
from multilevel.inference.directions import Chart, open_chart, split_theta, structures_of, whole_chart
from multilevel.inference.information import FixedBasis, Projections, observed_information
from multilevel.inference.kenward_roger import KenwardRoger, kenward_roger
from multilevel.inference.projections import spherical_projections
from multilevel.inference.row_projections import RowProjections
from multilevel.inference.satterthwaite import Satterthwaite, satterthwaite
from multilevel.kernels.threads import one_blas_thread

FLOOR = 1e-8  # information of a group, in residual variances, at which a variance of zero is held
DIFFERENCED_FLOOR = 1e-5  # the same where differences are taken, which need digits
MOST_OPERATIONS = 2e13  # that Kenward and Roger's sums may take: some ten minutes
MANY_CROSSED = 5000  # columns of the dense remainder, from which an evaluation takes a second or more

FittedModel = WorkingModel | ResidualFreeModel
MakeChart = Callable[[Structure, Array, float], Chart]


def satterthwaite_inference(design: Design, model: FittedModel, record: LMMRecord) -> Satterthwaite:
    """Degrees of freedom from the Hessian of the criterion that the fit minimised."""
    with one_blas_thread(design.n_rows):
        basis = fixed_basis(design, model, record)
        _, projections = projections_of(design, model, record, open_chart)
        information = observed_information(projections.products(), projections.n_scale)
    return satterthwaite(record.beta, basis, information)


def kenward_roger_inference(design: Design, model: FittedModel, record: LMMRecord) -> KenwardRoger:
    """The adjusted covariance and degrees of freedom of a REML fit."""
    refuse_maximum_likelihood(record)
    refuse_too_large(design, model)
    with one_blas_thread(design.n_rows):
        basis = fixed_basis(design, model, record)
        charts, projections = projections_of(design, model, record, whole_chart)
        return kenward_roger(record.beta, basis, projections, charts)


def projections_of(
    design: Design, model: FittedModel, record: LMMRecord, make_chart: MakeChart
) -> tuple[tuple[Chart, ...], Projections]:
    """The directions of the covariances and the model at its optimum."""
    structures = structures_of(design)
    floors = [floor(design, model, term.grouping) for term in design.terms]
    parts = split_theta(structures, record.optimum.theta)
    charts = tuple(make_chart(*each) for each in zip(structures, parts, floors, strict=True))
    if isinstance(model, ResidualFreeModel):
        at = solve_full_rank(model, record.optimum.theta, reml=record.reml)
        return charts, RowProjections(model, at, charts, record.reml)
    df = design.n_obs - (design.X.shape[1] if record.reml else 0)
    return charts, spherical_projections(model, charts, df=df, reml=record.reml)


def floor(design: Design, model: FittedModel, grouping: int) -> float:
    """The relative variance that a variance of zero is raised to: as little as arithmetic allows."""
    if isinstance(model, ResidualFreeModel):
        return 0.0
    weights = effective_weights(design)
    total = design.n_rows if weights is None else float(weights.sum())
    information = total / design.groupings[grouping].n_levels
    exact = len(model.groupings) == 1 or model.kernel.n_random <= FEW
    return (FLOOR if exact else DIFFERENCED_FLOOR) / information


def fixed_basis(design: Design, model: FittedModel, record: LMMRecord) -> FixedBasis:
    """The basis of the fixed effects in which their model-based covariance is the identity."""
    back = model.fixed.back(np.eye(design.X.shape[1]))
    if isinstance(model, ResidualFreeModel):
        at = solve_full_rank(model, record.optimum.theta, reml=record.reml)
        root, sigma = np.linalg.cholesky(at.information), 1.0 / model.response.scale
    else:
        root, sigma = model.kernel.solution(record.optimum.theta).fixed_factor, record.sigma
    return FixedBasis(model.fixed.centring, np.asarray(sigma * np.linalg.solve(root, back.T).T))


def refuse_maximum_likelihood(record: LMMRecord) -> None:
    """Kenward and Roger corrected REML."""
    if not record.reml:
        raise ModelError(
            'df="kenward-roger" is made for REML estimates of the variances, and this fit is by maximum '
            'likelihood; use fit.update(reml=True), or df="satterthwaite".'
        )


def refuse_too_large(design: Design, model: FittedModel) -> None:
    """Say what Kenward and Roger's sums would need before they are begun, if it is too much."""
    if isinstance(model, ResidualFreeModel):
        return  # which has asked for the memory of its blocks already
    p, m = design.X.shape[1], model.kernel.n_parameters + 1
    n_random = model.kernel.n_random
    memory = 8.0 * (6.0 * n_random * p + m * p * p)
    tail = float(model.kernel.tail_size)
    operations = 2.0 * m * tail**3 + m * p * tail**2 + m * n_random * p * p
    if memory > memory_limit() or operations > MOST_OPERATIONS:
        raise MemoryNeedError(
            f'df="kenward-roger" would need about {memory / 1e9:.1f} GB and {operations:.0e} operations for '
            f"{n_random} random effects and {p} coefficients. With so many levels its answers are those of "
            'df="satterthwaite"; use that.'
        )


def default_method(model: FittedModel) -> str:
    """Satterthwaite's method, unless it would cost several fits of a model with many crossed levels."""
    many = isinstance(model, WorkingModel) and model.kernel.tail_size > MANY_CROSSED
    return "z" if many else "satterthwaite"
