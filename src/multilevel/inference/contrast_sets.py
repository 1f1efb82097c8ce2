"""Which differences between means answer which question?

A set of contrasts is a matrix (k, m) over m means, with a name for each row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from math import gcd, lcm
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array
from multilevel.errors import DataError

MOST_DEGREES = 6  # polynomials beyond the sixth degree have no reading
DEGREES = ("linear", "quadratic", "cubic", "quartic")
LONGEST_COEFFICIENT = 10**6  # of integer polynomial contrasts; others are scaled to length one
MOST_SHOWN = 8  # levels that an error lists


@dataclass(frozen=True, slots=True)
class Levels:
    """The means that are compared."""

    names: tuple[str, ...]  # (m,) how each is written
    scores: tuple[Fraction, ...] | None  # (m,) where they stand on a scale, if they are numbers


@dataclass(frozen=True, slots=True)
class ContrastSet:
    """Contrasts between m means."""

    names: tuple[str, ...]  # (k,)
    matrix: Array  # (k, m)


ALIASES = {  # what users of other packages write
    "trt_vs_ctrl": "treatment_vs_control",
    "reference": "treatment_vs_control",
    "consec": "consecutive",
    "sequential": "consecutive",
    "poly": "polynomial",
    "eff": "effects",
    "meandev": "effects",
}
METHODS = (
    "pairwise",
    "revpairwise",
    "treatment_vs_control",
    "consecutive",
    "polynomial",
    "effects",
    "interaction",
)
USUAL_ADJUSTMENT = {  # what goes with a set unless another is asked for
    "pairwise": "tukey",
    "revpairwise": "tukey",
    "treatment_vs_control": "mvt",
    "consecutive": "mvt",
    "effects": "fdr",
}


def named_set(method: str, levels: Levels, ref: object = None) -> ContrastSet:
    """The contrasts of a method between these means; `ref` is the control, the first if not given."""
    m = len(levels.names)
    match method:
        case "pairwise":
            return differences(levels.names, list(combinations(range(m), 2)))
        case "revpairwise":
            return differences(levels.names, [(j, i) for j in range(m) for i in range(j)])
        case "treatment_vs_control":
            control = 0 if ref is None else index_of(ref, levels.names)
            return differences(levels.names, [(i, control) for i in range(m) if i != control])
        case "consecutive":
            return differences(levels.names, [(i + 1, i) for i in range(m - 1)])
        case "polynomial":
            return polynomials(levels)
        case "effects":
            return ContrastSet(tuple(f"{name} effect" for name in levels.names), np.eye(m) - 1.0 / m)
    raise ValueError(method)


def differences(names: Sequence[str], pairs: Sequence[tuple[int, int]]) -> ContrastSet:
    """The first mean of each pair minus the second."""
    matrix = np.zeros((len(pairs), len(names)))
    rows = np.arange(len(pairs))
    matrix[rows, [i for i, _ in pairs]] = 1.0
    matrix[rows, [j for _, j in pairs]] = -1.0
    return ContrastSet(tuple(f"{names[i]} - {names[j]}" for i, j in pairs), matrix)


def index_of(level: object, names: Sequence[str]) -> int:
    """Position of a level, or an error that lists the levels."""
    text = written(level)
    if text not in names:
        raise DataError(f"{text!r} is none of the levels compared; they are {listed(names)}.")
    return names.index(text)


def written(level: object) -> str:
    """A level, or a combination of levels given as a tuple, as tables write it."""
    if isinstance(level, tuple):
        return " ".join(map(written, level))
    return str(int(level)) if isinstance(level, float) and level.is_integer() else str(level)


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MOST_SHOWN
    return ", ".join(map(repr, names[:MOST_SHOWN])) + (f" and {more} more" if more > 0 else "")


def products(matrices: Sequence[Array]) -> Array:
    """Contrasts of contrasts, from a matrix (k_i, m_i) a factor; the first factor varies fastest."""
    product = np.ones((1, 1))
    for matrix in matrices:
        product = np.kron(matrix, product).astype(np.float64)
    return product


# Polynomials -----------------------------------------------------------------------------------------


def polynomials(levels: Levels) -> ContrastSet:
    """Orthogonal polynomials in the levels' values, or in their ranks where they are no numbers.

    Coefficients are the smallest integers, as in tables of them: -3 -1 1 3.
    """
    scores = levels.scores or tuple(map(Fraction, range(len(levels.names))))
    degrees = range(1, min(MOST_DEGREES, len(scores) - 1) + 1)
    names = [DEGREES[d - 1] if d <= len(DEGREES) else f"degree {d}" for d in degrees]
    return ContrastSet(tuple(names), np.array(orthogonal_polynomials(scores, len(degrees))))


def orthogonal_polynomials(scores: Sequence[Fraction], degree: int) -> list[list[float]]:
    """Values of the polynomials of degree 1, ..., `degree`, by Gram and Schmidt in fractions."""
    basis: list[list[Fraction]] = []
    for power in range(degree + 1):
        values = [score**power for score in scores]
        for other in basis:
            share = dot(values, other) / dot(other, other)
            values = [value - share * o for value, o in zip(values, other, strict=True)]
        basis.append(values)
    return [smallest_integers(values) for values in basis[1:]]


def dot(a: Sequence[Fraction], b: Sequence[Fraction]) -> Fraction:
    """Inner product."""
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def smallest_integers(values: Sequence[Fraction]) -> list[float]:
    """The same direction in integers without a common divisor; in length one where they would be huge."""
    common = lcm(*(value.denominator for value in values))
    whole = [int(value * common) for value in values]
    divisor = gcd(*whole)
    if max(map(abs, whole)) // divisor > LONGEST_COEFFICIENT:
        length = float(np.linalg.norm([float(value) for value in values]))
        return [float(value) / length for value in values]
    return [float(number // divisor) for number in whole]


# The user's own --------------------------------------------------------------------------------------


def custom_set(given: Any, levels: Levels) -> ContrastSet:
    """Contrasts from `{"name": {"a": 1, "b": -1}}`, `{"name": [1, -1, 0]}`, or a matrix (k, m)."""
    if isinstance(given, Mapping):
        rows = [coefficients(str(name), weights, levels.names) for name, weights in given.items()]
        return checked_set(tuple(map(str, given)), rows, levels)
    matrix = np.atleast_2d(numbers("the contrast matrix", given))
    return checked_set(tuple(f"contrast {i + 1}" for i in range(len(matrix))), list(matrix), levels)


def coefficients(name: str, weights: Any, levels: Sequence[str]) -> Array:
    """One contrast (m,)."""
    if not isinstance(weights, Mapping):
        return numbers(f"contrast {name!r}", weights)
    row = np.zeros(len(levels))
    for level, weight in weights.items():
        row[index_of(level, levels)] = weight
    return row


def numbers(what: str, values: npt.ArrayLike) -> Array:
    """Finite numbers, or an error."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{what} is not made of numbers: {values!r:.60}.") from None
    if not np.isfinite(array).all():
        raise DataError(f"{what} has values that are missing or infinite.")
    return array


def checked_set(names: tuple[str, ...], rows: Sequence[Array], levels: Levels) -> ContrastSet:
    """Contrasts with one coefficient for each mean, not all of them zero."""
    for name, row in zip(names, rows, strict=True):
        if row.shape != (len(levels.names),):
            raise DataError(
                f"{name!r} needs one coefficient for each of the {len(levels.names)} means "
                f"({listed(levels.names)}), got {row.size}."
            )
        if not row.any():
            raise DataError(f"{name!r} has no coefficient other than zero, so it compares nothing.")
    if not rows:
        raise DataError("no contrast is given; name at least one, as {'a - b': {'a': 1, 'b': -1}}.")
    return ContrastSet(names, np.array(rows))
