"""What happens to the estimates without some rows, if covariance parameters are held where they are?

Then deletion is algebra. With H = C A^-1 C'W the matrix of the fit, dropping the rows I moves the solution
by A^-1 C_I'W_I (I - H_II)^-1 e_I, e the conditional residuals, exactly as in least squares. For one
observation this takes numbers only; for a level of the one grouping factor, whose rows depend on no others,
its part of X'V^-1X is taken out.

References:
    Demidenko, E. & Stukel, T. A. (2005). Influence analysis for linear mixed-effects models.
    Statistics in Medicine 24, 893-909.
    Haslett, J. & Dillane, D. (2004). Application of "delete = replace" to deletion diagnostics for variance
    component estimation in the linear mixed model. JRSS B 66, 131-143.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes, Mask
from multilevel.design.design import Design
from multilevel.estimation.lmm import WorkingModel
from multilevel.estimation.working import effective_weights
from multilevel.fitted.assemble import factor_root
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.influence import Influence, WholeFit, influence_of
from multilevel.inference.leverage import per_coefficient, residual_share
from multilevel.kernels.gaussian import ScaledColumns

# ---- one observation ----


def influence_of_rows(
    design: Design, record: LMMRecord, model: WorkingModel, whole: WholeFit, leverage: Array
) -> Influence:
    """Leave out one observation of each row: n deletions."""
    weights = np.ones(design.n_rows) if design.weights is None else design.weights
    left = weights / residual_share(leverage)
    e, p = design.y - record.fitted, design.X.shape[1]
    pull, prior = coefficient_pull(model, record), np.linalg.inv(whole.information)
    spread = ((pull @ whole.information) ** 2).sum(axis=1)  # g'(X'V^-1X)g
    df = design.n_obs - 1.0 - whole.lost_df
    sigma = np.sqrt(np.maximum(whole.pwrss - left * e * e, 0.0) / df)
    user_pull = pull @ whole.jacobian.T
    variance = ((prior @ whole.jacobian.T) ** 2).sum(axis=0) + left[:, None] * user_pull**2
    return Influence(
        dfbeta=(left * e)[:, None] * user_pull,
        std_error=sigma[:, None] * np.sqrt(variance),
        cooks_distance=per_coefficient((left * e) ** 2 * spread / whole.sigma**2, p),
        covratio=(sigma / whole.sigma) ** (2 * p) * (1.0 + left * spread),
        sigma=sigma,
    )


def coefficient_pull(model: WorkingModel, record: LMMRecord) -> Array:
    """How far a unit of weighted residual in each row pulls the working coefficients: (n, p) of A^-1 c."""
    blocks = model.kernel.inverse_blocks(record.optimum.theta, hold_fixed=False)
    factors = model.kernel.term_factors(record.optimum.theta)
    pull = scaled_values(model.fixed.columns) @ blocks.fixed
    for k, factor in enumerate(model.kernel.factors):
        loading = scaled_values(factor.columns) @ factor_root(model, factors, k)
        for j in range(loading.shape[1]):
            pull += loading[:, j, None] * blocks.against_fixed[k][factor.codes, j]
    return np.asarray(pull)


def scaled_values(columns: ScaledColumns) -> Array:
    """Columns (n, k) as the kernel sees them."""
    return (columns.values - columns.shift) * columns.scale


# ---- one level of the only grouping factor ----


@dataclass(frozen=True, slots=True)
class LevelParts:
    """What each of J independent levels adds to the generalised least squares of the whole."""

    information: Array  # (J, p, p) X_j'V_j^-1X_j
    score: Array  # (J, p) X_j'V_j^-1r_j, r the residuals from the fixed part
    square: Array  # (J,) r_j'V_j^-1r_j


def influence_of_levels(
    design: Design, record: LMMRecord, model: WorkingModel, whole: WholeFit, which: Mask
) -> Influence:
    """Leave out one at a time the marked levels of the only grouping factor: no other rows depend on them."""
    parts = level_parts(design, record, model)
    factor = model.kernel.factors[0]
    n_obs = np.bincount(factor.codes, design.freq_weights, factor.n_levels)[which]
    score = parts.score[which]
    left = whole.information @ whole.information.T - parts.information[which]
    shift = np.linalg.solve(left, score[:, :, None])[:, :, 0]
    pwrss = whole.pwrss - parts.square[which] - (score * shift).sum(axis=1)
    sigma = np.sqrt(np.maximum(pwrss, 0.0) / (design.n_obs - n_obs - whole.lost_df))
    return influence_of(whole, np.asarray(shift), np.asarray(np.linalg.cholesky(left)), sigma)


def level_parts(design: Design, record: LMMRecord, model: WorkingModel) -> LevelParts:
    """Sums over the rows of each level, its own random effects eliminated."""
    factor = model.kernel.factors[0]
    root = factor_root(model, model.kernel.term_factors(record.optimum.theta), 0)
    loading = scaled_values(factor.columns) @ root
    columns = np.column_stack([loading, scaled_values(model.fixed.columns), design.y - record.fitted_fixed])
    gram = gram_by_level(columns, effective_weights(design), factor.codes, factor.n_levels)
    q = loading.shape[1]
    own, cross, rest = gram[:, :q, :q] + np.eye(q), gram[:, :q, q:], gram[:, q:, q:]
    rest = rest - cross.transpose(0, 2, 1) @ np.linalg.solve(own, cross)
    return LevelParts(rest[:, :-1, :-1], rest[:, :-1, -1], rest[:, -1, -1])


def gram_by_level(columns: Array, weights: Array | None, codes: Codes, n_levels: int) -> Array:
    """Weighted cross-products (J, k, k) of columns (n, k) within each level."""
    k = columns.shape[1]
    gram = np.empty((n_levels, k, k))
    weighted = columns if weights is None else weights[:, None] * columns
    for i in range(k):
        for j in range(i + 1):
            gram[:, i, j] = gram[:, j, i] = np.bincount(codes, weighted[:, i] * columns[:, j], n_levels)
    return gram
