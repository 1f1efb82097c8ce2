"""Which rows of the data are used?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.errors import DataError


@dataclass(frozen=True, slots=True)
class UsedRows:
    """The rows used, and why others are not."""

    mask: Mask | None  # (n_total,) True where used; None when all are
    n_total: int
    n_used: int
    n_missing: int  # rows left out because something is missing
    missing_by_column: dict[str, int]

    def as_mask(self) -> Mask:
        """The rows used, spelled out."""
        return np.ones(self.n_total, dtype=np.bool_) if self.mask is None else self.mask


def choose_rows(
    n_total: int, missing: Mapping[str, Mask | None], counts: Array | None, policy: str
) -> UsedRows:
    """Rows in which nothing needed is missing, and whose frequency weight is not zero.

    `missing` has for each column the rows in which it is missing; `policy` is "drop" or "raise".
    """
    if policy not in ("drop", "raise"):
        raise DataError(f"missing= is 'drop' or 'raise', not {policy!r}.")
    found = {name: mask for name, mask in missing.items() if mask is not None}
    incomplete = np.logical_or.reduce(list(found.values())) if found else None
    by_column = {name: int(np.count_nonzero(mask)) for name, mask in found.items()}
    n_missing = 0 if incomplete is None else int(np.count_nonzero(incomplete))
    if n_missing and policy == "raise":
        raise DataError(_refusal(n_missing, n_total, by_column))
    mask = _combine(incomplete, counts)
    n_used = n_total if mask is None else int(np.count_nonzero(mask))
    if n_used == 0:
        raise DataError(_nothing_left(n_total, by_column))
    return UsedRows(mask, n_total, n_used, n_missing, by_column)


def _combine(incomplete: Mask | None, counts: Array | None) -> Mask | None:
    absent = None if counts is None or counts.all() else counts == 0
    out = [mask for mask in (incomplete, absent) if mask is not None]
    return ~np.logical_or.reduce(out) if out else None


def _refusal(n_missing: int, n_total: int, by_column: Mapping[str, int]) -> str:
    return (
        f"{n_missing} of {n_total} rows have missing values ({_listed(by_column)}), which missing='raise' "
        "refuses; complete the data, or leave these rows out with missing='drop'."
    )


def _nothing_left(n_total: int, by_column: Mapping[str, int]) -> str:
    if n_total == 0:
        return "The data have no rows."
    why = f"missing values: {_listed(by_column)}" if by_column else "all have a frequency weight of zero"
    return f"No rows are left of {n_total} ({why})."


def _listed(by_column: Mapping[str, int]) -> str:
    return ", ".join(f"{name!r} in {count}" for name, count in by_column.items())
