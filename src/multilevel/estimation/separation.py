"""Do the predictors tell some responses apart perfectly, so that coefficients would be infinite?

Along a direction d of the coefficients every row's likelihood may fail to fall: where all successes have
x'd >= 0 and all failures x'd <= 0, or where all positive counts have x'd = 0 and zeros x'd <= 0. If some row
gains strictly, the likelihood has no maximum, whatever the random effects, which only add to x'd. Such a
direction is a linear program's (Konis 2007); it is only asked for where fitted values come close to an end.

Konis, K. (2007). Linear programming algorithms for detecting separated data in binary logistic regression
models. DPhil thesis, University of Oxford.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from multilevel._typing import Array, Mask
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import SeparationError
from multilevel.estimation.fixed_newton import FixedFit, scaled_block
from multilevel.estimation.glmm_rows import WorkingRows
from multilevel.families.family import Family

CLOSE = 1e-5  # a fitted probability (or mean count) so near its end asks for a look
GAIN = 1e-3  # of x'd in some row, for d of unit size, to be a separation
VIOLATION = 1e-6  # what rounding may leave of x'd <= 0
UNBOUNDED_LINKS = ("logit", "probit", "cloglog", "cauchit")
MOST_NAMED = 4
MOST_TRIED = 30  # columns that an explanation tries to do without


@dataclass(frozen=True, slots=True)
class Wishes:
    """What rows ask of a direction d for their likelihood not to fall."""

    rising: Array  # (a, G) rows r with r'd >= 0
    level: Array  # (b, G) rows with r'd = 0


def refuse_separation(design: GLMMDesign, family: Family, rows: WorkingRows, fixed: FixedFit) -> None:
    """Raise where a direction of the mean's coefficients leads to infinity, and name the columns."""
    if not close_to_an_end(family, rows, fixed):
        return
    wishes = wishes_of_rows(family, rows)
    direction = None if wishes is None else separating_direction(wishes)
    if wishes is None or direction is None:
        return
    direction = with_few_columns(wishes, direction)
    part = rows.parts[0]
    moved = np.abs((rows.back @ direction)[part.places]) * np.abs(design.main.X).max(axis=0, initial=0.0)
    names = [
        name for name, size in zip(part.names, moved, strict=True) if size > 1e-6 * max(moved.max(), 1e-300)
    ]
    told = tuple(name for name in names if name != "Intercept") or tuple(names)
    raise SeparationError(
        f"{told_apart(told, separated_what(family), design.main.response_name)}, so the likelihood has no "
        f"maximum: {infinite(told)}. Merge levels or leave the predictor out, or keep the estimates finite "
        'by a weak prior, prior="weak".'
    )


def told_apart(names: Sequence[str], what: str, response: str) -> str:
    """Which columns separate what."""
    shown = ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")
    return f"{shown} separate{'s' if len(names) == 1 else ''} {what} of '{response}' perfectly"


def infinite(names: Sequence[str]) -> str:
    """What that means for their coefficients."""
    return f"{'its coefficient' if len(names) == 1 else 'their coefficients'} would be infinite"


def separated_what(family: Family) -> str:
    """Which responses a perfect predictor tells apart."""
    if family.response == "trials":
        return "the successes and failures"
    if family.density.startswith("truncated"):
        return "the ones among the positive counts"
    return "the categories" if family.response == "ordered" else "the zeros"


def close_to_an_end(family: Family, rows: WorkingRows, fixed: FixedFit) -> bool:
    """Whether some row is fitted as if its response were certain."""
    if family.response == "ordered":
        certain = fixed.eta[1:] - fixed.eta[0]
        return bool((np.abs(certain) > abs(float(family.link.link(np.array([CLOSE]))[0]))).any())
    mu = family.link.inverse(fixed.eta[0])
    if family.response == "trials" and family.link.name in UNBOUNDED_LINKS:
        trials = 1.0 if rows.trials is None else rows.trials
        return bool(((rows.y == 0.0) & (mu < CLOSE) | (rows.y == trials) & (mu > 1.0 - CLOSE)).any())
    if family.density.endswith(("poisson", "nbinom1", "nbinom2")) and family.link.name == "log":
        return bool(((rows.y <= 1.0) & (mu < CLOSE)).any())
    return False


def wishes_of_rows(family: Family, rows: WorkingRows) -> Wishes | None:
    """The conditions of all rows, each different one once; None where nothing can be separated."""
    G = rows.parts[-1].places.stop
    n = len(rows.y)

    def spread(k: int) -> Array:
        wide = np.zeros((n, G))
        wide[:, rows.predictors[k].coefficients] = scaled_block(rows.predictors[k], slice(None))
        return wide

    X = spread(0)
    if family.response == "ordered":
        last = rows.y == rows.density.categories - 1
        above, below = spread(1) - X, X - spread(2)
        return Wishes(distinct(np.vstack([above[~last], below[rows.y > 0.0]])), np.zeros((0, G)))
    up, down, still = responses_at_ends(family, rows)
    return Wishes(distinct(np.vstack([X[up], -X[down]])), distinct(X[still]))


def responses_at_ends(family: Family, rows: WorkingRows) -> tuple[Mask, Mask, Mask]:
    """Rows that want a larger predictor, a smaller one, or none of both."""
    y = rows.y
    if family.response == "trials":
        trials = np.ones_like(y) if rows.trials is None else rows.trials
        down, up = y == 0.0, y == trials
        return up, down, ~(up | down)
    none = np.zeros(len(y), dtype=np.bool_)
    if family.density.startswith("truncated"):
        return none, y == 1.0, y > 1.0
    return none, y == 0.0, y > 0.0


def distinct(rows: Array) -> Array:
    """Each row once."""
    return np.unique(rows, axis=0) if len(rows) else rows


def with_few_columns(wishes: Wishes, direction: Array) -> Array:
    """A separating direction that needs no column which it could do without."""
    held = np.zeros(len(direction), dtype=np.bool_)
    for column in np.flatnonzero(direction).tolist()[:MOST_TRIED]:
        held[column] = True
        fewer = separating_direction(wishes, held)
        if fewer is None:
            held[column] = False
        else:
            direction = fewer
    return direction


def separating_direction(wishes: Wishes, held: Mask | None = None) -> Array | None:
    """A direction (G,), zero where `held`, along which no row loses and some row gains; None if none is."""
    G = wishes.rising.shape[1]
    free = np.ones(G) if held is None else np.where(held, 0.0, 1.0)
    if not len(wishes.rising):
        return None
    found = linprog(
        -wishes.rising.mean(axis=0),
        A_ub=-wishes.rising,
        b_ub=np.zeros(len(wishes.rising)),
        A_eq=wishes.level if len(wishes.level) else None,
        b_eq=np.zeros(len(wishes.level)) if len(wishes.level) else None,
        bounds=[(-bound, bound) for bound in free.tolist()],
        method="highs",
    )
    if found.x is None:
        return None
    direction = np.asarray(found.x)
    gains = wishes.rising @ direction
    strays = np.abs(wishes.level @ direction).max(initial=0.0)
    fits = gains.max() > GAIN and gains.min() > -VIOLATION and strays < VIOLATION
    return direction if fits else None
