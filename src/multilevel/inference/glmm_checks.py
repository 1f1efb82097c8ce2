"""What would an expert see in a fitted generalized mixed model?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.estimation.glmm import WorkingGLMM
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.covariance_checks import convergence, correlations, singularity
from multilevel.inference.design_checks import collinearity, dropped_columns, dropped_rows, scaling
from multilevel.inference.finding import Finding, by_p, note, ok, warn
from multilevel.inference.glmm_dispersion import row_dispersion, simulations_needed
from multilevel.inference.glmm_influence import glmm_influence
from multilevel.inference.laplace_error import LaplaceError, is_poor, laplace_errors
from multilevel.inference.lmm_checks import influential
from multilevel.inference.scaled_residuals import (
    ModelCheck,
    dispersion,
    drawn_distances,
    outliers,
    scaled_residuals,
    simulated_uniformity,
    zeros,
)
from multilevel.simulation.clusters import linked_rows

FEW_GROUPS = 10
MATTERS = 1.2  # ratio of spreads from which a departure is told
MOST_ROWS = 100_000  # rows to look at for all groups of a factor together
FAR = 0.03  # distance from the uniform distribution that matters
WITHOUT_DISPERSION = {  # what to do about overdispersion, by density
    "poisson": 'Use family="negative_binomial", or a random effect for each row.',
    "binomial": 'Use family="beta_binomial", or a random effect for each row.',
}


@dataclass(frozen=True, slots=True)
class Simulated:
    """Responses simulated from a fit, beside the ones observed; n rows, S simulations."""

    y: Array  # (n,)
    draws: Array  # (n, S)
    residuals: Array  # (n,) scaled: uniform where the model holds
    distances: Array  # (R,) from uniformity, of R simulated responses among themselves


def simulated_rows(y: Array, draws: Array, rng: np.random.Generator) -> Simulated:
    """Responses and simulated ones with the scaled residuals between them."""
    residuals = scaled_residuals(y, draws, rng)
    return Simulated(y, draws, residuals, drawn_distances(draws[:, : simulations_needed(len(y))], rng))


def glmm_findings(
    design: GLMMDesign, record: GLMMRecord, model: WorkingGLMM, simulated: Simulated | None
) -> list[Finding]:
    """All looks at a generalized mixed model; without simulated responses those that need none."""
    main = design.main
    return [
        convergence(record),
        *singularity(record),
        *correlations(record),
        *numbers_of_groups(design),
        dropped_rows(main),
        dropped_columns(main),
        *scaling(main),
        collinearity(main),
        *approximation(laplace_errors(design, record, model)),
        *([] if simulated is None else overdispersion(design, record, model, simulated.draws)),
        *([] if simulated is None else response_findings(record, simulated)),
        *influential_groups(design, record, model),
    ]


def numbers_of_groups(design: GLMMDesign) -> list[Finding]:
    """Whether each grouping factor has enough levels for its variance."""
    return [
        (note if grouping.n_levels < FEW_GROUPS else ok)(
            "number of groups", float(grouping.n_levels), group=grouping.name, count=grouping.n_levels
        )
        for grouping in design.main.groupings
    ]


def overdispersion(design: GLMMDesign, record: GLMMRecord, model: WorkingGLMM, draws: Array) -> list[Finding]:
    """Pearson's sum of squares, given the random effects, against those of data simulated from the fit."""
    density = record.family.density
    if density not in WITHOUT_DISPERSION or record.eta_zi is not None or is_binary(design, record):
        return []
    found = row_dispersion(design, record, model, draws)
    if found is None:
        return []
    return [
        by_p(
            "overdispersion",
            found.ratio,
            found.p_value,
            matters=not 1.0 / MATTERS < found.ratio < MATTERS,
            family=record.family.name,
            cure=WITHOUT_DISPERSION[density],
        )
    ]


def approximation(errors: Sequence[LaplaceError]) -> list[Finding]:
    """Whether quadrature over the random effects of each grouping factor would find other estimates."""
    return [
        (warn if is_poor(error) else ok)(
            "Laplace approximation", error.change, error=error, n_factors=len(errors)
        )
        for error in errors
    ]


def influential_groups(design: GLMMDesign, record: GLMMRecord, model: WorkingGLMM) -> list[Finding]:
    """Groups that move a coefficient of the mean, by one step; not with nagq=0, nor where that takes long."""
    clusters = linked_rows(model.factors)
    sizes = np.bincount(clusters)
    p = len(record.coef_names)
    findings: list[Finding] = []
    for factor in model.factors if record.nodes else ():
        home = np.zeros(factor.n_levels, dtype=np.intp)
        home[factor.codes] = clusters
        if factor.n_levels > 1 and sizes[home].sum() <= MOST_ROWS:
            found = glmm_influence(design, record, model, factor, refit=False, progress=False).found
            means = replace(found, dfbeta=found.dfbeta[:, :p], std_error=found.std_error[:, :p])
            findings.append(
                influential("influential groups", means, record.coef_names, factor.levels, factor.name)
            )
    return findings


def is_binary(design: GLMMDesign, record: GLMMRecord) -> bool:
    """Single trials have no variance of their own to compare."""
    return record.family.density == "binomial" and design.trials is None


def response_findings(record: GLMMRecord, simulated: Simulated) -> list[Finding]:
    """Where responses stand among simulated ones."""
    y, draws = simulated.y, simulated.draws
    uniform = simulated_uniformity(simulated.residuals, simulated.distances)
    findings = [by_p("uniform residuals", uniform.observed, uniform.p_value, matters=uniform.observed > FAR)]
    if record.family.response != "ordered":
        spread = dispersion(y, draws, draws.mean(axis=1))
        large = not 1.0 / MATTERS < spread.observed < MATTERS
        findings.append(by_p("spread of responses", spread.observed, spread.p_value, matters=large))
        findings.append(told("responses out of reach", outliers(y, draws)))
    if record.family.density in COUNTS and (y == 0.0).any():
        findings.append(told("number of zeros", zeros(y, draws)))
    return findings


COUNTS = (
    "poisson",
    "nbinom2",
    "nbinom1",
    "tweedie",
    "truncated_poisson",
    "truncated_nbinom2",
    "truncated_nbinom1",
)


def told(check: str, found: ModelCheck) -> Finding:
    """A comparison of counts."""
    return by_p(check, found.observed, found.p_value, observed=found.observed, expected=found.expected)
