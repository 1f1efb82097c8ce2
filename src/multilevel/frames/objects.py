"""Columns of Python objects: numbers, truth values or text, but never a mixture."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from numbers import Integral, Real

import numpy as np
import numpy.typing as npt

from multilevel._typing import Mask
from multilevel.errors import DataTypeError
from multilevel.frames.arrays import all_missing, booleans, times
from multilevel.frames.column import (
    Categorical,
    Integers,
    Numeric,
    RawColumn,
    categorical_sorted,
    missing_mask,
)

Objects = npt.NDArray[np.object_]


def read_objects(name: str, values: Objects, missing: Mask) -> RawColumn:
    """Column of Python objects (n,), of which those under `missing` do not count."""
    missing = missing | _not_a_number(values)
    present = values[~missing] if missing.any() else values
    match sorted({_kind(cls) for cls in set(map(type, present))}):
        case []:
            return all_missing(len(values))
        case ["text"]:
            return text(values, missing)
        case ["truth values"]:
            return booleans(_filled(values, missing, False), missing_mask(missing))
        case ["integers"]:
            return _integers(name, values, missing)
        case ["dates"]:
            return times(_filled(values, missing, None).astype("datetime64[D]"))
        case ["numbers"] | ["integers", "numbers"]:
            return _numbers(values, missing)
    raise DataTypeError(_complaint(name, values, missing))


def text(values: Objects, missing: Mask) -> Categorical:
    """Strings (n,) as labels in sorted order."""
    cells = _filled(values, missing, None)
    labels = [label for label in dict.fromkeys(cells) if label is not None]
    lookup = {None: -1, **{label: i for i, label in enumerate(labels)}}
    indices = np.fromiter(map(lookup.__getitem__, cells), dtype=np.int32, count=len(cells))
    return categorical_sorted(indices, [str(label) for label in labels])


def _integers(name: str, values: Objects, missing: Mask) -> Integers:
    try:
        return Integers(_filled(values, missing, 0).astype(np.int64), missing_mask(missing))
    except OverflowError:
        largest = max(values[~missing], key=abs)
        raise DataTypeError(
            f"Column {name!r} holds integers of more than 64 bits, such as {largest}; "
            "if they are labels, turn them into strings."
        ) from None


def _numbers(values: Objects, missing: Mask) -> Numeric:
    return Numeric(_filled(values, missing, np.nan).astype(np.float64), False, missing_mask(missing))


def _filled(values: Objects, missing: Mask, filler: object) -> Objects:
    """The values with `filler` where they are missing; a copy only when something is."""
    if not missing.any():
        return values
    filled = values.copy()
    filled[missing] = filler
    return filled


def _not_a_number(values: Objects) -> Mask:
    """Where a float or decimal NaN stands among objects (the frame may call only None missing)."""
    if not {float, np.float64, Decimal} & set(map(type, values)):
        return np.zeros(len(values), dtype=np.bool_)
    return np.fromiter((isinstance(v, float | Decimal) and v != v for v in values), np.bool_, len(values))  # noqa: PLR0124


def _kind(cls: type) -> str:
    if issubclass(cls, str):
        return "text"
    if cls is date:
        return "dates"
    if issubclass(cls, bool | np.bool_):
        return "truth values"
    if issubclass(cls, Integral):
        return "integers"
    if issubclass(cls, Real | Decimal):
        return "numbers"
    return f"objects of type {cls.__name__}"


def _complaint(name: str, values: Objects, missing: Mask) -> str:
    """Which value does not belong: the first of the rarest kind."""
    kinds = [_kind(type(v)).replace("integers", "numbers") for v in values[~missing]]
    counts = Counter(kinds)
    rarest = min(counts, key=lambda kind: (counts[kind], kind))
    row = int(np.flatnonzero(~missing)[kinds.index(rarest)])
    where = f"row {row} (from 0) holds {values[row]!r}"
    if len(counts) == 1:
        return f"Column {name!r} holds {rarest}: {where}. Convert it to numbers, strings or a categorical."
    others = " and ".join(sorted(kind for kind in counts if kind != rarest))
    return (
        f"Column {name!r} mixes {others} with {rarest}: {where}. Make all cells one kind, or clear that one."
    )
