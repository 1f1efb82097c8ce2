"""`Factor`: a column of labels as formulas compute with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from formulaic.transforms.contrasts import Contrasts

from multilevel._typing import Array, Codes, Mask
from multilevel.errors import DataError
from multilevel.frames.labels import label_text


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """Labels of n rows, with the order of their levels and how they are to be coded."""

    codes: Codes  # (n,) index into levels
    levels: tuple[object, ...]  # (L,)
    ordered: bool = False
    contrasts: Contrasts | None = None  # None: treatment, or polynomial when ordered

    def __len__(self) -> int:
        return len(self.codes)

    def __eq__(self, other: object) -> Mask:  # type: ignore[override]
        """Rows with that label, so that `I(g == "a")` works."""
        return self._where(lambda level: level == other or str(level) == str(other))

    def __ne__(self, other: object) -> Mask:  # type: ignore[override]
        return ~(self == other)

    __hash__ = None  # type: ignore[assignment]

    def isin(self, labels: Sequence[object]) -> Mask:
        """Rows whose label is one of these."""
        wanted = {str(label) for label in labels}
        return self._where(lambda level: str(level) in wanted)

    def _where(self, holds: Callable[[object], bool]) -> Mask:
        mask: Mask = np.array([holds(level) for level in self.levels], dtype=np.bool_)[self.codes]
        return mask


def as_factor(values: Factor | Array | Mask) -> Factor:
    """Anything with few distinct values as a factor; whole numbers lose their ".0"."""
    if isinstance(values, Factor):
        return values
    levels, codes = np.unique(values, return_inverse=True)
    if levels.dtype.kind == "f" and np.array_equal(levels, np.floor(levels)):
        levels = levels.astype(np.int64)
    return Factor(codes.astype(np.int32), tuple(levels.tolist()))


def used_levels(codes: Codes, n_levels: int) -> tuple[Codes, list[int]]:
    """Codes without gaps, and which of the levels are left (in their order)."""
    present: Mask = np.zeros(n_levels, dtype=np.bool_)
    present[codes] = True
    if present.all():
        return codes, list(range(n_levels))
    rank = np.cumsum(present, dtype=np.int32) - np.int32(1)
    return rank[codes], np.flatnonzero(present).tolist()


def drop_unused(factor: Factor) -> Factor:
    """The factor without levels that no row has."""
    codes, kept = used_levels(factor.codes, len(factor.levels))
    return replace(factor, codes=codes, levels=tuple(factor.levels[i] for i in kept))


def with_levels(factor: Factor, known: Sequence[object]) -> Factor:
    """The factor recoded to known levels; levels that are new follow after them.

    Levels are matched by how they are written, so that 7, 7.0 and "7" are the same.
    """
    position: dict[str, int] = {label_text(level): i for i, level in enumerate(known)}
    new = [level for level in factor.levels if label_text(level) not in position]
    position |= {label_text(level): len(known) + i for i, level in enumerate(new)}
    lookup = np.array([position[label_text(level)] for level in factor.levels], dtype=np.int32)
    codes = lookup[factor.codes] if len(lookup) else factor.codes
    return replace(factor, codes=codes, levels=(*known, *new))


def interaction(*parts: Factor | Array) -> Factor:
    """One factor from the combinations of several that occur, the first varying slowest."""
    factors = [as_factor(part) for part in parts]
    if not factors:
        raise DataError("interaction() needs at least one column.")
    combined = factors[0]
    for factor in factors[1:]:
        combined = _pairs(combined, factor)
    return combined


def _pairs(first: Factor, second: Factor) -> Factor:
    width = len(second.levels)
    keys = first.codes.astype(np.int64) * width + second.codes
    found, codes = np.unique(keys, return_inverse=True)
    labels = tuple(f"{first.levels[k // width]}:{second.levels[k % width]}" for k in found.tolist())
    return Factor(codes.astype(np.int32), labels)


def remember_levels(factor: Factor, state: Mapping[str, object]) -> Factor:
    """The factor in the level order of the fit, once there was one."""
    known = state.get("levels")
    return factor if not isinstance(known, tuple) else with_levels(factor, known)
