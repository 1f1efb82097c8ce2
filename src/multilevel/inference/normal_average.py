"""What is the average of a function of a normal variable?

By the trapezoidal rule over eight and a half standard deviations, whose error for functions that are
smooth in a strip falls exponentially with the number of points (Trefethen & Weideman 2014): a logistic
curve over random effects of any plausible size is exact to rounding. Products of one variable need no
more: a row's random effects enter its linear predictor as one normal number.

Trefethen, L. N. & Weideman, J. A. C. (2014). The exponentially convergent trapezoidal rule. SIAM Review
56, 385-458.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from multilevel._typing import Array

REACH, STEP = 8.5, 0.1  # in standard deviations
ROWS_AT_ONCE = 4096

POINTS = np.linspace(-REACH, REACH, round(2 * REACH / STEP) + 1)
WEIGHTS = np.exp(-0.5 * POINTS**2) / np.exp(-0.5 * POINTS**2).sum()


def normal_average(function: Callable[[Array], Array], centre: Array, sd: Array) -> Array:
    """E function(centre + sd Z) for each row (n,), Z standard normal; `function` is elementwise.

    >>> normal_average(np.exp, np.array([0.0]), np.array([1.0])).round(6)
    array([1.648721])
    """
    average = np.empty(len(centre))
    spread = sd > 0.0
    average[~spread] = function(centre[~spread])
    rows = np.flatnonzero(spread)
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[begin : begin + ROWS_AT_ONCE]
        average[some] = function(centre[some, None] + sd[some, None] * POINTS) @ WEIGHTS
    return average
