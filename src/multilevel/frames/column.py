"""What one column of the user's data becomes: numbers or labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Codes, Mask


@dataclass(frozen=True, slots=True)
class Categorical:
    """A column of labels: strings, booleans or a categorical dtype."""

    codes: Codes  # (n,) index into levels, -1 where missing
    levels: tuple[object, ...]  # the dtype's own order, else sorted
    ordered: bool
    ranked: bool = False  # whether the dtype fixes the order of its levels without calling them ordered


@dataclass(frozen=True, slots=True)
class Numeric:
    """A column of numbers; missing values are NaN."""

    values: Array  # (n,) float64; may be a view of the user's data, so never write to it
    integer: bool  # whether the column held integers
    missing: Mask | None  # (n,) True where missing; None when nothing is
    exact: npt.NDArray[Any] | None = (
        None  # (n,) int64, uint64 or datetime64 behind values that float64 rounds
    )
    finite: bool = False  # whether no value is known to be infinite or missing; False says nothing


@dataclass(frozen=True, slots=True)
class Integers:
    """A column of integers as they came, before it is known whether they measure something or name groups."""

    values: npt.NDArray[Any]  # (n,) of any integer dtype; those under `missing` do not count
    missing: Mask | None  # (n,) True where missing; None when nothing is


Column: TypeAlias = Numeric | Categorical
RawColumn: TypeAlias = Column | Integers

_NEVER_MISSING: Final = {str, int}  # types of labels that hold no missing value


def missing_mask(mask: Mask) -> Mask | None:
    """None in place of a mask that marks nothing."""
    return mask if mask.any() else None


def categorical_from_indices(
    indices: npt.NDArray[Any], labels: Sequence[Any], *, ordered: bool
) -> Categorical:
    """Labels from indices into a list that may hold duplicates or missing values; its order is kept.

    `indices` is (n,) with -1 where missing.
    """
    if set(map(type, labels)) <= _NEVER_MISSING and len(set(labels)) == len(labels):
        return Categorical(indices.astype(np.int32), tuple(labels), ordered)
    position: dict[Any, int] = {}
    renumbered = [-1 if _is_missing(label) else position.setdefault(label, len(position)) for label in labels]
    return Categorical(_renumber(indices, renumbered), tuple(position), ordered)


def categorical_sorted(indices: npt.NDArray[Any], labels: list[str]) -> Categorical:
    """Labels from indices (n,) into distinct strings in any order; the levels come out sorted."""
    order = sorted(range(len(labels)), key=labels.__getitem__)
    rank = np.empty(len(labels), dtype=np.int32)
    rank[order] = np.arange(len(labels), dtype=np.int32)
    return Categorical(_renumber(indices, rank), tuple(labels[i] for i in order), ordered=False)


def _renumber(indices: npt.NDArray[Any], new: npt.ArrayLike) -> Codes:
    """`new[indices]`, where the index -1 stays -1."""
    lookup = np.append(np.asarray(new, dtype=np.int32), np.int32(-1))
    codes: Codes = lookup.take(indices, mode="wrap")
    return codes


def _is_missing(label: object) -> bool:
    return label is None or label != label  # noqa: PLR0124 (NaN is what differs from itself)
