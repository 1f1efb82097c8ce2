"""Are the options of a call such as there are? Choices, switches, counts, seeds and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import TypeGuard

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array
from multilevel.errors import DataError, DataTypeError

Seed = int | np.random.SeedSequence | None


def checked_choice(name: str, value: object, choices: Sequence[str | None]) -> None:
    """Say which choices an option has, if it was given another.

    >>> checked_choice("style", "latex", ("text", "latex"))
    """
    if not (value is None or isinstance(value, str)) or value not in choices:
        *others, last = map(repr, choices)
        listed = f"{', '.join(others)} or {last}" if others else last
        raise DataError(f"{name}={value!r} does not exist; choose {listed}.")


def checked_switch(name: str, value: object) -> bool:
    """True or False, and nothing that would only count as one of them."""
    if not isinstance(value, bool | np.bool_):
        raise DataTypeError(f"{name}={value!r} is neither True nor False; write {name}=True or {name}=False.")
    return bool(value)


def checked_count(name: str, value: object) -> int:
    """A whole number, 1 or more."""
    if not _is_whole(value):
        raise DataTypeError(f"{name}={value!r} is no whole number; write {name}=1, 2, ...")
    count = int(value)
    if count < 1:
        raise DataError(f"{name}={count} is too few; it is 1 or more.")
    return count


def checked_order(name: str, value: object) -> int:
    """A whole number, 0 or more."""
    if not _is_whole(value):
        raise DataTypeError(f"{name}={value!r} is no whole number; write {name}=0, 1, 2, ...")
    if int(value) < 0:
        raise DataError(f"{name}={int(value)} is negative; it is 0 or more.")
    return int(value)


def checked_seed(seed: object) -> np.random.SeedSequence:
    """The root of the random streams that a seed starts."""
    if isinstance(seed, np.random.SeedSequence):
        return seed
    if seed is None:
        return np.random.SeedSequence()
    if not _is_whole(seed):
        raise DataTypeError(f"seed={seed!r} is no whole number; write seed=1, or leave it out.")
    if int(seed) < 0:
        raise DataError(f"seed={seed} is negative; a seed is 0 or more.")
    return np.random.SeedSequence(int(seed))


def checked_share(name: str, value: object, example: str) -> float:
    """A number between 0 and 1, both excluded."""
    if not isinstance(value, Real):
        raise DataTypeError(f"{name} is a number between 0 and 1, got {value!r}; write {example}.")
    share = float(value)
    if not 0.0 < share < 1.0:
        raise DataError(f"{name} lies between 0 and 1, got {value}; write {example}.")
    return share


def checked_numbers(what: str, values: npt.ArrayLike) -> Array:
    """Values as real numbers; text is refused even where it reads as a number."""
    array = np.asarray(values)
    text = array.dtype.kind in "USOcmM" and not _all_numbers(array)
    if text or array.dtype.kind not in "biufO":
        example = next(iter(array.ravel().tolist()), "nothing")
        raise DataTypeError(f"{what} must be numbers, got values like {example!r}; convert them first.")
    return np.asarray(array, dtype=np.float64)


def _is_whole(value: object) -> TypeGuard[Integral]:
    return isinstance(value, Integral) and not isinstance(value, bool)  # True counts as 1


def _all_numbers(array: npt.NDArray[np.generic]) -> bool:
    return all(value is None or isinstance(value, Real) for value in array.ravel().tolist())
