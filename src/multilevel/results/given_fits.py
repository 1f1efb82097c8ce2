"""Fits given to a function, one by one or as one list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from multilevel.errors import DataError, DataTypeError
from multilevel.results.base import Fit

AnyFit = Fit[Any]


def given_fits(caller: str, fits: Sequence[AnyFit | Sequence[AnyFit]]) -> list[AnyFit]:
    """The fits, at least two of them, whether given one by one or as one list."""
    one_list = len(fits) == 1 and isinstance(fits[0], Sequence)
    given: list[Any] = list(fits[0] if one_list else fits)  # type: ignore[arg-type]
    for fit in given:
        if not isinstance(fit, Fit):
            raise DataTypeError(
                f"{caller}() takes fits, as {caller}(m0, m1) or {caller}([m0, m1]); got {fit!r:.60}."
            )
    if len(given) < 2:
        raise DataError(f"{caller}() needs at least two fits.")
    return given
