"""Did the search end well, and do the random effects stand on firm ground?

References:
    Bates, D., Kliegl, R., Vasishth, S. & Baayen, H. (2015). Parsimonious mixed models. arXiv:1506.04967.
    Nobre, J. S. & Singer, J. M. (2007). Residual analysis for linear mixed models. Biometrical Journal 49.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.estimation.lmm import WorkingModel
from multilevel.fitted.assemble import factor_root, user_roots
from multilevel.fitted.lmm import LMMRecord, MixedFit, TermCovariance
from multilevel.inference.finding import NOTE, Finding, by_p, note, ok, warn
from multilevel.inference.residual_checks import HEAVY, SKEWED, effects_shape

NEARLY_ONE = 0.95  # a correlation of random effects that hardly differs from one
ZERO_SD = 1e-4  # of sigma: a standard deviation that is zero
NO_VARIANCE = 1e-8  # share of a random effect's variance that the data resolve, below which there is nothing
MOST_NAMED = 3


def convergence(record: MixedFit) -> Finding:
    """Whether the optimum is certified."""
    optimum = record.optimum
    tell = ok if optimum.converged and optimum.certificate.holds else warn
    return tell("convergence", optimum.certificate.stationarity, message=optimum.message)


def singularity(record: MixedFit) -> list[Finding]:
    """Terms whose covariance lies on the boundary: a zero variance, effects that determine each other."""
    singular = [term for term in record.terms if term.singular]
    return [singular_term(term, record.sigma) for term in singular] or [ok("singular terms")]


def singular_term(term: TermCovariance, sigma: float) -> Finding:
    """Which columns have no variance, if any."""
    zero = [name for name, sd in zip(term.names, term.sd, strict=True) if sd <= ZERO_SD * sigma]
    tell = note if len(zero) == len(term.names) == 1 else warn
    return tell("singular terms", label=term.label, group=term.group, names=term.names, zero=tuple(zero))


def correlations(record: MixedFit) -> list[Finding]:
    """Random effects that are nearly perfectly correlated without being singular."""
    findings = [
        note(
            "correlation near one",
            float(term.correlation[i, j]),
            label=term.label,
            pair=(term.names[j], term.names[i]),
        )
        for term in record.terms
        if term.structure == "us" and not term.singular
        for i in range(len(term.names))
        for j in range(i)
        if abs(term.correlation[i, j]) > NEARLY_ONE
    ]
    tested = any(len(term.names) > 1 and term.structure == "us" for term in record.terms)
    return findings or ([ok("correlation near one")] if tested else [])


# ---- predicted random effects ----


@dataclass(frozen=True, slots=True)
class StandardizedModes:
    """Predicted random effects of one grouping factor over their own standard deviations."""

    group: str
    levels: tuple[str, ...]
    names: tuple[str, ...]  # (Q,)
    values: Array  # (J, Q); NaN where there is no variance
    distance: Array  # (J,) of all effects of a level together: chi-square with `rank` df under the model
    rank: Array  # (J,)


def standardized_modes(design: Design, record: LMMRecord, model: WorkingModel) -> list[StandardizedModes]:
    """Random effects as the fit predicts them, standardized by what they vary if the model holds.

    Their variance is the prior's less the error variance of the prediction, beta-hat's error included.
    """
    theta = record.optimum.theta
    blocks = model.kernel.inverse_blocks(theta, hold_fixed=False)
    modes = model.kernel.solution(theta).u
    roots = user_roots(model, model.kernel.term_factors(theta))
    found = []
    for k, grouping in enumerate(model.groupings):
        u = modes[k] / model.response.scale / record.sigma
        resolved = np.eye(u.shape[1]) - blocks.own[k]
        root = factor_root(model, roots, k)
        distance, rank = mahalanobis(u, resolved)
        variance = np.einsum("ai,jik,ak->ja", root, resolved, root)
        seen = variance > NO_VARIANCE * (root * root).sum(axis=1)
        values = np.where(seen, u @ root.T / np.sqrt(np.where(seen, variance, 1.0)), np.nan)
        names = tuple(name for term in design.terms if term.grouping == grouping for name in term.names)
        factor = design.groupings[grouping]
        found.append(StandardizedModes(factor.name, factor.levels, names, values, distance, rank))
    return found


def mahalanobis(u: Array, covariance: Array) -> tuple[Array, Array]:
    """u' C^+ u (J,) and the rank of each covariance C (J, Q, Q)."""
    values, vectors = np.linalg.eigh(covariance)
    seen = values > NO_VARIANCE
    along = np.einsum("jqr,jq->jr", vectors, u)
    return (np.where(seen, along**2 / np.where(seen, values, 1.0), 0.0)).sum(axis=1), seen.sum(axis=1)


def unusual_groups(modes: StandardizedModes) -> Finding:
    """Levels whose random effects are further out than so many normal ones would be."""
    J = len(modes.levels)
    p = np.minimum(1.0, J * np.where(modes.rank > 0, chdtrc(np.maximum(modes.rank, 1), modes.distance), 1.0))
    order = np.argsort(p, kind="stable")
    found = [modes.levels[k] for k in order if p[k] < NOTE]
    worst = int(order[0])
    return by_p(
        "unusual groups",
        float(np.sqrt(modes.distance[worst])),
        float(p[worst]),
        most="note",
        group=modes.group,
        levels=tuple(found[:MOST_NAMED]),
        count=len(found),
    )


def normal_effects(modes: StandardizedModes) -> Finding:
    """Whether the predicted random effects look normal; the least normal of the columns."""
    shapes = {
        name: effects_shape(column[~np.isnan(column)])
        for name, column in zip(modes.names, modes.values.T, strict=True)
    }
    tested = {name: shape for name, shape in shapes.items() if not np.isnan(shape.p_value)}
    if not tested:
        return ok("normal random effects", group=modes.group, few=True)
    name = min(tested, key=lambda each: tested[each].p_value)
    shape = tested[name]
    return by_p(
        "normal random effects",
        shape.statistic,
        min(1.0, shape.p_value * len(tested)),
        matters=abs(shape.skewness) > SKEWED or abs(shape.kurtosis) > HEAVY,
        most="note",
        group=modes.group,
        name=name,
        skewness=shape.skewness,
        kurtosis=shape.kurtosis,
        count=len(modes.levels),
    )
