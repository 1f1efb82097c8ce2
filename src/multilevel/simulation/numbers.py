"""Are the numbers that describe a true model such as there can be?"""

from __future__ import annotations

from numbers import Real

import numpy as np

from multilevel.errors import DataError, DataTypeError


def checked_number(what: str, value: object) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise DataTypeError(f"{what} is a number; got {value!r:.40}.")
    if not np.isfinite(float(value)):
        raise DataError(f"{what}={value} is not finite.")
    return float(value)


def checked_deviation(what: str, value: object) -> float:
    """A standard deviation, 0 or more."""
    number = checked_number(what, value)
    if number < 0.0:
        raise DataError(f"{what}={number:g} is negative; a standard deviation is 0 or more.")
    return number
