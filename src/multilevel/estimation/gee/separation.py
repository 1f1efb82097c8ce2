"""Do the predictors tell some responses apart perfectly, so that no finite coefficients solve the equations?

As for likelihoods (`estimation/separation.py`): along a direction d of the coefficients all successes may
have x'd >= 0 and all failures x'd <= 0, so that residuals shrink without end. A linear program finds the
direction; it is asked only where means come close to an end of their range.
"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.errors import SeparationError
from multilevel.estimation.gee.problem import EstimatingProblem
from multilevel.estimation.separation import (
    CLOSE,
    UNBOUNDED_LINKS,
    Wishes,
    distinct,
    infinite,
    separated_what,
    separating_direction,
    told_apart,
    with_few_columns,
)

SHARE = 1e-6  # of the largest movement along a direction: below it a column has no part in it


def close_to_an_end(problem: EstimatingProblem, pearson: Array) -> bool:
    """Whether some row is fitted as if its response were certain: with next to no Pearson residual."""
    if not can_separate(problem):
        return False
    near = ~(pearson * pearson > CLOSE)  # or not a number
    if not near.any():
        return False
    up, down = ends(problem)
    return bool(((up | down) & near).any())


def can_separate(problem: EstimatingProblem) -> bool:
    """Whether means of the family have an end that no finite linear predictor reaches."""
    family = problem.family
    if family.response == "trials":
        return family.link.name in UNBOUNDED_LINKS
    return family.density in ("poisson", "nbinom2") and family.link.name == "log"


def ends(problem: EstimatingProblem) -> tuple[Mask, Mask]:
    """Rows (n,) that want a larger predictor without end, and a smaller one."""
    y = problem.y
    return (y == 1.0) if problem.family.response == "trials" else np.zeros(len(y), dtype=np.bool_), y == 0.0


def refuse_separation(problem: EstimatingProblem) -> None:
    """Raise where a direction of the coefficients leads to infinity, and name the columns."""
    if not can_separate(problem):
        return
    up, down = ends(problem)
    if not (up | down).any():
        return
    X = problem.X / np.maximum(np.abs(problem.X).max(axis=0), 1e-300)
    wishes = Wishes(distinct(np.vstack([X[up], -X[down]])), distinct(X[~(up | down)]))
    direction = separating_direction(wishes)
    if direction is None:
        return
    moved = np.abs(with_few_columns(wishes, direction))
    names = [name for name, size in zip(problem.names, moved, strict=True) if size > SHARE * moved.max()]
    told = tuple(name for name in names if name != "Intercept") or tuple(names)
    raise SeparationError(
        f"{told_apart(told, separated_what(problem.family), problem.response_name)}, so the estimating "
        f"equations have no solution: {infinite(told)}. Merge levels or leave the predictor out, or keep the "
        'estimates finite by a weak prior: ml.glmm(..., prior="weak"), or ml.glm where rows are independent.'
    )
