"""How does a row of the model matrix change with one covariate?

Central differences at two distances, extrapolated (Richardson): exact for polynomials to the fourth degree,
and for a column that is the covariate itself to rounding, since steps are measured as they are, not as they
were meant.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array

STEP = 1e-4  # of a value's size, or of the covariate's range where that is smaller
SMALLEST = 1e-4  # of the range: values nearer to zero step as if they were there


@dataclass(frozen=True, slots=True)
class Stencil:
    """Four values about each of k points: half a step and a whole step, below and above."""

    near: tuple[Array, Array]  # (k,), (k,)
    far: tuple[Array, Array]  # (k,), (k,)


def stencil(points: Array, data: Array | None) -> Stencil:
    """Where to evaluate for derivatives at `points` (k,) of a covariate with the values `data` (n,)."""
    spread = 1.0 if data is None or not np.ptp(data) > 0.0 else float(np.ptp(data))
    step = STEP * np.clip(np.abs(points), SMALLEST * spread, spread)
    return Stencil((points - 0.5 * step, points + 0.5 * step), (points - step, points + step))


def derivative(function: Callable[[Array], Array], points: Stencil) -> Array:
    """Derivative (k, q) of a function of values (k,) with results (k, q)."""
    near, far = (difference_quotient(function, *pair) for pair in (points.near, points.far))
    return np.asarray((4.0 * near - far) / 3.0)


def difference_quotient(function: Callable[[Array], Array], below: Array, above: Array) -> Array:
    """Difference of the results over that of the values, as these are after rounding."""
    return np.asarray((function(above) - function(below)) / (above - below)[:, None])
