"""How do all estimates of a generalized mixed model change without each row, or each group?

Measures are those of a linear mixed model (`inference/influence.py`), with the exact Hessian of the marginal
likelihood for the information: dfbeta and dfbetas of the coefficients of the mean, and of an excess of
zeros; Cook's distance and covratio over those of the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Grouping
from multilevel.design.glmm import GLMMDesign
from multilevel.estimation.glmm import WorkingGLMM
from multilevel.estimation.glmm_deletions import (
    WithoutRows,
    group_deletions,
    impossible,
    refitted,
    single_deletions,
)
from multilevel.estimation.glmm_one_step import one_step
from multilevel.estimation.glmm_rows import Part
from multilevel.fitted.glmm import ROOT_OF_PHI, GLMMRecord
from multilevel.fitted.joint_covariance import working_covariance
from multilevel.inference.glmm_parameters import roots_at
from multilevel.inference.glmm_sandwich import refuse_joint_fits
from multilevel.inference.influence import Influence
from multilevel.inference.leverage import per_coefficient
from multilevel.simulation.clusters import linked_rows

BOUNDLESS = 1e3  # standard error in working units of a coefficient that runs off to infinity
NO_MAXIMUM = "the likelihood of the other rows has no finite maximum"


@dataclass(frozen=True, slots=True)
class GLMMInfluence:
    """What G deletions do to a generalized mixed model."""

    names: tuple[str, ...]  # (K,) coefficients, those of an excess of zeros as "zi~x"
    found: Influence  # without sigma where the family has none
    others: dict[str, Array]  # (G,) standard deviations of random effects, dispersion, without the rows
    notes: dict[int, str]  # deletions without an answer, with the reason


def glmm_influence(
    design: GLMMDesign,
    record: GLMMRecord,
    model: WorkingGLMM,
    groups: Grouping | None,
    *,
    refit: bool,
    progress: bool | None = None,
) -> GLMMInfluence:
    """Leave out one group at a time, or one observation of each row."""
    refuse_joint_fits(record, "influence()")
    psi, counts = record.optimum.theta, design.main.freq_weights
    codes, n_groups = (None, 0) if groups is None else (groups.codes, groups.n_levels)
    every = (
        single_deletions(counts, design.main.n_rows) if codes is None else group_deletions(codes, n_groups)
    )
    notes = impossible(design, model, codes, n_groups)
    tried = [k for k in range(len(every)) if k not in notes]
    deletions = [every[k] for k in tried]
    if refit:
        found = refitted(model, psi, deletions, progress)
    else:

        def inverse(hessian: Array) -> Array:
            return 0.5 * working_covariance(hessian, model.n_theta)

        found = one_step(model, psi, deletions, linked_rows(model.factors), inverse, progress)
    moved = [moved_estimates(model, each) for each in found]
    notes |= {k: each.note for k, each in zip(tried, moved, strict=True) if each.note is not None}
    values = spread_out(moved, tried, len(every), model)
    return measured(record, model, values, notes)


@dataclass(frozen=True, slots=True)
class Moved:
    """Working parameters without some rows, and their covariance; NaN where there are none."""

    psi: Array  # (k,), or of several deletions (G, k)
    covariance: Array  # (k, k), or (G, k, k)
    note: str | None


def moved_estimates(model: WorkingGLMM, without: WithoutRows) -> Moved:
    """NaN, with the reason, where the rows that stay have no finite estimates."""
    k = model.kernel.n_parameters
    nothing = np.full(k, np.nan), np.full((k, k), np.nan)
    if len(without.psi) != k:
        return Moved(*nothing, without.note)
    covariance = working_covariance(without.hessian, model.n_theta)
    coefficients = np.diag(covariance)[model.n_theta :]
    shown = [place for part in shown_parts(model) for place in range(part.places.start, part.places.stop)]
    if not (np.abs(coefficients[shown]) < BOUNDLESS**2).all():
        return Moved(*nothing, NO_MAXIMUM)
    return Moved(without.psi, covariance, without.note)


def spread_out(moved: Sequence[Moved], tried: Sequence[int], count: int, model: WorkingGLMM) -> Moved:
    """All deletions (G, k) and (G, k, k), NaN where none was possible."""
    k = model.kernel.n_parameters
    psi, covariance = np.full((count, k), np.nan), np.full((count, k, k), np.nan)
    for at, each in zip(tried, moved, strict=True):
        psi[at], covariance[at] = each.psi, each.covariance
    return Moved(psi, covariance, None)


# ---- measures ----


def shown_parts(model: WorkingGLMM) -> list[Part]:
    """The parts whose coefficients are followed: the mean, and an excess of zeros."""
    return [part for part in model.rows.parts if part.component in ("cond", "zi")]


def measured(record: GLMMRecord, model: WorkingGLMM, moved: Moved, notes: dict[int, str]) -> GLMMInfluence:
    """Changes of the coefficients, distances over those of the mean, and what else moves."""
    parts, psi = shown_parts(model), record.optimum.theta
    back = np.vstack([model.rows.back[part.places] for part in parts])
    gamma = slice(model.n_theta, None)
    variance = np.einsum("kg,zgh,kh->zk", back, moved.covariance[:, gamma, gamma], back)
    mean = np.arange(len(parts[0].names)) + model.n_theta
    whole = working_covariance(model.kernel.hessian(psi), model.n_theta)[np.ix_(mean, mean)]
    shift = psi - moved.psi
    others = standard_deviations(record, model, moved.psi)
    phi = dispersions(record, model, moved.psi)
    has_sigma = phi is not None and record.family.density in ROOT_OF_PHI
    if phi is not None and not has_sigma:
        others["dispersion"] = phi
    return GLMMInfluence(
        names=tuple(
            name if part.component == "cond" else f"zi~{name}" for part in parts for name in part.names
        ),
        found=Influence(
            dfbeta=shift[:, gamma] @ back.T,
            std_error=np.sqrt(np.maximum(variance, 0.0)),
            cooks_distance=cooks_distance(shift[:, mean], whole),
            covratio=covratio(moved.covariance[:, mean[:, None], mean], whole),
            sigma=np.sqrt(phi) if phi is not None and has_sigma else np.zeros(0),
        ),
        others=others,
        notes=notes,
    )


def cooks_distance(shift: Array, covariance: Array) -> Array:
    """d'V^-1 d / p of each shift (G, p), V the covariance (p, p) of the whole."""
    p = shift.shape[1]
    return per_coefficient(np.einsum("gp,gp->g", shift, np.linalg.solve(covariance, shift.T).T), p)


def covratio(without: Array, whole: Array) -> Array:
    """Ratios (G,) of determinants: how much less is known of the coefficients without the rows."""
    known = np.isfinite(without).all(axis=(1, 2))
    ratio = np.full(len(without), np.nan)
    ratio[known] = np.exp(np.linalg.slogdet(without[known])[1] - np.linalg.slogdet(whole)[1])
    return ratio


def standard_deviations(record: GLMMRecord, model: WorkingGLMM, psi: Array) -> dict[str, Array]:
    """Standard deviations (G,) of all random effects, by name, at G values of psi (G, k)."""
    by_side = iter(record.terms), iter(record.zi_terms)
    values = [roots_at(model, one) for one in psi]
    found = {}
    for index, placed in enumerate(model.terms):
        term = next(by_side[placed.side])
        for column, name in enumerate(term.names):
            label = "(Intercept)" if name == "Intercept" else name
            rows = np.array([roots[index][column] for roots in values])
            key = f"{'zi~' if placed.side else ''}sd__{label}|{term.group}"
            found[key] = np.sqrt((rows * rows).sum(axis=1))
    return found


def dispersions(record: GLMMRecord, model: WorkingGLMM, psi: Array) -> Array | None:
    """phi (G,) where it is one number."""
    part = model.rows.part("disp")
    if part is None or record.dispersion is None or len(part.names) != 1:
        return None
    place = part.first
    log_phi = psi[:, model.n_theta :] @ model.rows.back[place] + model.rows.constant[place]
    return np.asarray(np.exp(log_phi))
