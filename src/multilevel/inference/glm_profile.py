"""Which values of a coefficient do the data speak against? The likelihood of a generalized linear model.

With a coefficient held at v and all else fitted again, the signed root of the likelihood ratio,

    zeta(v) = sign(v - b) sqrt(2 l(b) - 2 l(v)),

or of the difference of the deviances over the scale where that is estimated, grows with v; limits are where
it reaches a quantile: normal, or Student's t on the residual degrees of freedom.

Venzon, D. J. & Moolgavkar, S. H. (1988). A method for computing profile-likelihood-based confidence
intervals. Applied Statistics 37, 87-94.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq

from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.estimation.glm import solve_glm
from multilevel.fitted.glm import GLMRecord, solution_deviance
from multilevel.inference.wald import critical_value

SOLVED = 1e-7  # of a standard error, at a limit
MOST_DOUBLINGS = 8  # of the distance of Wald's limit, in search of one that is farther


@dataclass(frozen=True, slots=True)
class ProfiledGLM:
    """A fit whose coefficients are profiled."""

    model: GLMMDesign
    record: GLMRecord
    std_error: Array  # (p,) steps to begin with


def profile_limits(profiled: ProfiledGLM, which: int, level: float) -> tuple[float, float]:
    """Limits of one coefficient; NaN on a side where the likelihood does not fall off far enough."""
    record = profiled.record
    df = np.full(1, record.df_residual) if record.free_scale else None
    quantile = float(np.ravel(critical_value(level, df))[0])
    low, high = (limit(profiled, which, side * quantile) for side in (-1.0, 1.0))
    return low, high


def limit(profiled: ProfiledGLM, which: int, target: float) -> float:
    """Where zeta is `target`: the root is bracketed from Wald's limit outwards, then solved."""
    estimate, unit = float(profiled.record.beta[which]), float(profiled.std_error[which])

    def missing(distance: float) -> float:
        return zeta(profiled, which, estimate + np.sign(target) * distance) - abs(target)

    inner, outer = 0.0, abs(target) * unit
    for _ in range(MOST_DOUBLINGS):
        try:
            if missing(outer) >= 0.0:
                root = brentq(missing, inner, outer, xtol=SOLVED * unit, rtol=1e-12)
                return float(estimate + np.sign(target) * root)
        except ModelError:  # no fit so far away
            return np.nan
        inner, outer = outer, 2.0 * outer
    return np.nan


def zeta(profiled: ProfiledGLM, which: int, value: float) -> float:
    """The root of the likelihood ratio, without its sign, where a coefficient is held at a value."""
    record = profiled.record
    if value == record.beta[which]:
        return 0.0
    model = held(profiled.model, which, value)
    solution = solve_glm(model, record.family)
    if record.free_scale:
        lost = (solution_deviance(model, record.family, solution) - record.deviance) / record.scale
    else:
        lost = 2.0 * (record.loglik - solution.loglik)
    return float(np.sqrt(max(lost, 0.0)))


def held(model: GLMMDesign, which: int, value: float) -> GLMMDesign:
    """The model without one column, whose part is known: an offset."""
    main = model.main
    others = [j for j in range(main.X.shape[1]) if j != which]
    known = value * main.X[:, which]
    return replace(
        model,
        main=replace(
            main,
            X=np.asfortranarray(main.X[:, others]),
            coef_names=tuple(main.coef_names[j] for j in others),
            offset=known if main.offset is None else main.offset + known,
        ),
    )
