"""Which numbers does a formula learn from a column: its mean, spread, orthogonal polynomials?

They are learned from the rows of the fit, each as often as its frequency weight says, and kept in `_state`,
so that new data are coded alike.

Reference: Forsythe (1957), Journal of the Society for Industrial and Applied Mathematics 5, 74-88, for the
recurrence of orthogonal polynomials on given points.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from formulaic.materializers.types import FactorValues

from multilevel._typing import Array
from multilevel.design.factor import Factor
from multilevel.errors import DataError

State = dict[str, Any]


def mean(x: Array, counts: Array | None) -> float:
    """Mean of a column (n,)."""
    return float(np.average(x, weights=counts))


def variance(x: Array, counts: Array | None) -> float:
    """Variance of a column (n,), on one degree of freedom fewer than rows."""
    total = float(len(x) if counts is None else counts.sum())
    squares = (x - mean(x, counts)) ** 2
    return float(np.sum(squares if counts is None else counts * squares)) / (total - 1.0)


def deviation(x: Array, counts: Array | None) -> float:
    """Standard deviation of a column (n,)."""
    return float(np.sqrt(variance(x, counts)))


def median(x: Array, counts: Array | None) -> float:
    """The value with half of the rows on either side; between two values their mean."""
    if counts is None:
        return float(np.median(x))
    order = np.argsort(x)
    below = np.cumsum(counts[order])
    half = below[-1] / 2.0
    first, last = np.searchsorted(below, half), np.searchsorted(below, half, side="right")
    return float((x[order][first] + x[order][min(int(last), len(x) - 1)]) / 2.0)


_SUMMARIES: dict[str, Callable[[Array, Array | None], float]] = {
    "mean": mean,
    "median": median,
    "sd": deviation,
    "var": variance,
    "min": lambda x, _: float(np.min(x)),
    "max": lambda x, _: float(np.max(x)),
}


def _summary(name: str) -> Callable[..., float]:
    """A number computed from the data of the fit and kept: `I(x - mean(x))` is right on new data too."""
    compute = _SUMMARIES[name]

    def summary(x: Array, *, _state: State, _counts: Array | None = None) -> float:
        if "value" not in _state:
            _state["value"] = compute(x, _counts)
        value: float = _state["value"]
        return value

    return summary


SUMMARIES: dict[str, Callable[..., float]] = {name: _summary(name) for name in _SUMMARIES}


def scale(
    x: Array,
    center: bool | float = True,
    scale: bool | float = True,
    *,
    _state: State,
    _counts: Array | None = None,
) -> Array:
    """A column less its mean, in units of its standard deviation, or less and in units of what is given.

    Without a mean taken off, the unit is the root mean square about zero, as in R.
    """
    if "shift" not in _state:
        shift = mean(x, _counts) if center is True else float(center)
        _state["shift"], _state["unit"] = shift, _unit(x - shift, scale, _counts)
    scaled: Array = (x - _state["shift"]) / _state["unit"]
    return scaled


def _unit(moved: Array, scale: bool | float, counts: Array | None) -> float:
    if not isinstance(scale, bool):
        return float(scale)
    if not scale:
        return 1.0
    total = float(len(moved) if counts is None else counts.sum())
    return float(np.sqrt(np.sum(moved**2 if counts is None else counts * moved**2) / (total - 1.0)))


def center(x: Array, *, _state: State, _counts: Array | None = None) -> Array:
    """A column less its mean."""
    return scale(x, scale=False, _state=_state, _counts=_counts)


def polynomial(
    x: Array, degree: int = 1, *, raw: bool = False, _state: State, _counts: Array | None = None
) -> FactorValues[Array]:
    """Orthogonal polynomials of a column, as R's `poly`; `raw=True` gives plain powers."""
    if isinstance(x, Factor):
        raise TypeError("labels have no powers")
    names = tuple(range(1, degree + 1))
    distinct = len(np.unique(x)) if not _state else degree + 1
    if degree >= distinct:
        raise DataError(f"a polynomial of degree {degree} needs more than {distinct} distinct values.")
    if raw:
        _state["raw"] = True
        return FactorValues(np.column_stack([x**k for k in names]), column_names=names)
    if "roots" not in _state:
        _state["roots"], _state["squares"] = _recurrence(x, degree, _counts)
    return FactorValues(_polynomials(x, _state["roots"], _state["squares"]), column_names=names)


def _recurrence(x: Array, degree: int, counts: Array | None) -> tuple[list[float], list[float]]:
    """Coefficients of P_(k+1) = (x - a_k) P_k - (s_k / s_(k-1)) P_(k-1): a_k and s_k = sum of P_k squared."""
    weights = np.ones(len(x)) if counts is None else counts
    before, current = np.zeros(len(x)), np.ones(len(x))
    roots: list[float] = []
    squares = [float(weights.sum())]
    for k in range(degree):
        roots.append(float(weights @ (x * current**2)) / squares[k])
        ratio = squares[k] / squares[k - 1] if k else 0.0
        before, current = current, (x - roots[k]) * current - ratio * before
        squares.append(float(weights @ current**2))
    return roots, squares


def _polynomials(x: Array, roots: list[float], squares: list[float]) -> Array:
    """The polynomials 1 to degree at x, of length one over the rows of the fit: (n, degree)."""
    before, current = np.zeros(len(x)), np.ones(len(x))
    columns = []
    for k, root in enumerate(roots):
        ratio = squares[k] / squares[k - 1] if k else 0.0
        before, current = current, (x - root) * current - ratio * before
        columns.append(current / np.sqrt(squares[k + 1]))
    return np.column_stack(columns)
