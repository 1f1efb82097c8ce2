"""What does a user want to know of the coefficients? Text or numbers become hypotheses L beta = rhs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_numbers
from multilevel._typing import Array
from multilevel.errors import DataError, DataTypeError
from multilevel.inference.hypothesis_text import Coefficients, Linear, describe, listed, parse, position

Asked: TypeAlias = str | Sequence[str] | Mapping[str, Any] | npt.ArrayLike

RANK_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Hypotheses:
    """Statements L beta = rhs about p coefficients; k of them."""

    labels: tuple[str, ...]  # (k,)
    L: Array  # (k, p)
    rhs: Array  # (k,)


def read_hypotheses(asked: Asked, rhs: npt.ArrayLike | None, coefficients: Coefficients) -> Hypotheses:
    """Hypotheses from text, a list of texts, a mapping from labels, a vector (p,) or a matrix (k, p).

    `rhs` (k,) belongs to hypotheses given as numbers; a text has its own.
    """
    read = _read(asked, coefficients)
    if rhs is not None:
        read = Hypotheses(read.labels, read.L, _checked_rhs(rhs, asked, len(read.labels)))
    for label, row in zip(read.labels, read.L, strict=True):
        if not row.any():
            raise DataError(f"the hypothesis '{label}' says nothing of any coefficient.")
    return read


def texts_of(asked: Asked) -> list[str]:
    """All texts in what is asked; none of what is given as numbers."""
    if isinstance(asked, str):
        return [asked]
    if isinstance(asked, Mapping):
        keys = [key for value in asked.values() if isinstance(value, Mapping) for key in value]
        return [text for text in [*asked.values(), *keys] if isinstance(text, str)]
    return [text for text in asked if isinstance(text, str)] if isinstance(asked, Sequence) else []


def refuse_contradiction(hypotheses: Hypotheses) -> None:
    """Statements that cannot hold together are not one hypothesis."""
    scaled = hypotheses.L / np.abs(hypotheses.L).max(axis=1, keepdims=True)
    rhs = hypotheses.rhs / np.abs(hypotheses.L).max(axis=1)
    solution = np.linalg.lstsq(scaled, rhs, rcond=RANK_TOLERANCE)[0]
    if np.abs(scaled @ solution - rhs).max() > RANK_TOLERANCE * max(1.0, float(np.abs(rhs).max())):
        raise DataError(
            f"{', '.join(hypotheses.labels)} contradict each other, so they cannot be tested together; "
            "leave joint=True out to test each alone."
        )


# ---- what was given ----


def _read(asked: Asked, coefficients: Coefficients) -> Hypotheses:
    if isinstance(asked, str):
        return _from_texts([asked], coefficients)
    if isinstance(asked, Mapping):
        return _from_mapping(asked, coefficients)
    if isinstance(asked, Sequence) and asked and all(isinstance(each, str) for each in asked):
        return _from_texts([str(each) for each in asked], coefficients)
    L = _checked_matrix("the hypothesis matrix", asked, coefficients)
    return Hypotheses(tuple(describe(row, coefficients.names) for row in L), L, np.zeros(len(L)))


def _from_texts(texts: Sequence[str], coefficients: Coefficients) -> Hypotheses:
    found = [each for text in texts for each in parse(text, coefficients)]
    return _together([label for label, _ in found], [value for _, value in found])


def _from_mapping(asked: Mapping[str, Any], coefficients: Coefficients) -> Hypotheses:
    if not asked:
        raise DataError("there are no hypotheses to test.")
    return _together(
        [str(label) for label in asked],
        [_one_value(str(label), value, coefficients) for label, value in asked.items()],
    )


def _one_value(label: str, value: Any, coefficients: Coefficients) -> Linear:
    """One row from a text, from weights by coefficient, or from a vector."""
    if isinstance(value, str):
        found = parse(value, coefficients)
        if len(found) != 1:
            raise DataError(f"'{label}' holds {len(found)} hypotheses; give each a label of its own.")
        return found[0][1]
    if isinstance(value, Mapping):
        weights = np.zeros(len(coefficients.names))
        for name, weight in value.items():
            number = checked_numbers(f"the weights of '{label}'", weight)
            weights[position(str(name), coefficients)] += float(number)
        return Linear(weights, 0.0)
    rows = _checked_matrix(f"'{label}'", value, coefficients)
    if len(rows) != 1:
        raise DataError(f"'{label}' has {len(rows)} rows; give each a label of its own, or a matrix without.")
    return Linear(rows[0], 0.0)


def _together(labels: Sequence[str], values: Sequence[Linear]) -> Hypotheses:
    L = np.array([value.weights for value in values])
    return Hypotheses(tuple(labels), L, np.array([0.0 - value.constant for value in values]))


def _checked_matrix(what: str, given: Any, coefficients: Coefficients) -> Array:
    L = np.atleast_2d(checked_numbers(what, given))
    p = len(coefficients.names)
    if L.ndim != 2 or L.shape[1] != p or not len(L):
        also = f" ({', '.join(coefficients.dropped)} dropped)" if coefficients.dropped else ""
        raise DataError(
            f"{what} needs one number for each of the {p} coefficients, {listed(coefficients.names)}{also}; "
            f"got shape {np.shape(given)}."
        )
    if not np.isfinite(L).all():
        raise DataError(f"{what} has missing or infinite numbers.")
    return L


def _checked_rhs(rhs: npt.ArrayLike, asked: Asked, k: int) -> Array:
    if isinstance(asked, str) or _any_text(asked):
        raise DataTypeError('rhs= is for hypotheses given as numbers; a text says it itself: "x = 1".')
    values = np.atleast_1d(checked_numbers("rhs=", rhs))
    if values.shape == (1,):
        values = np.repeat(values, k)
    if values.shape != (k,) or not np.isfinite(values).all():
        raise DataError(f"rhs= needs one finite number for each of the {k} hypotheses, got {rhs!r:.60}.")
    return values


def _any_text(asked: Any) -> bool:
    each = asked.values() if isinstance(asked, Mapping) else asked
    return any(isinstance(value, str) for value in each)
