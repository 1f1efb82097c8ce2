"""`Factor`: a column of labels as formulas compute with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from formulaic.transforms.contrasts import Contrasts

from multilevel._typing import Array, Codes, Mask
from multilevel.design.pairs import distinct_pairs
from multilevel.errors import DataError
from multilevel.frames.codes import without_gaps
from multilevel.frames.distinct import distinct_values
from multilevel.frames.labels import label_text


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """Labels of n rows, with the order of their levels and how they are to be coded."""

    codes: Codes  # (n,) index into levels
    levels: tuple[object, ...]  # (L,)
    ordered: bool = False
    contrasts: Contrasts | None = None  # None: treatment, or polynomial when ordered
    ranked: bool = False  # whether the levels have an order of their own without being called ordered

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
    codes, levels = distinct_values(values)
    if all(isinstance(level, float) and level.is_integer() for level in levels):
        levels = [int(level) for level in levels]
    return Factor(codes, tuple(levels))


def drop_unused(factor: Factor) -> Factor:
    """The factor without levels that no row has."""
    codes, kept = without_gaps(factor.codes, len(factor.levels))
    if len(kept) == len(factor.levels):
        return factor
    return replace(factor, codes=codes, levels=tuple(factor.levels[i] for i in kept))


def with_levels(factor: Factor, known: Sequence[object]) -> Factor:
    """The factor recoded to known levels; levels that are new follow after them.

    Levels are matched by how they are written, so that 7, 7.0 and "7" are the same.
    """
    if factor.levels is known:  # the data of the fit
        return factor
    position: dict[str, int] = {label_text(level): i for i, level in enumerate(known)}
    new = [level for level in factor.levels if label_text(level) not in position]
    position |= {label_text(level): len(known) + i for i, level in enumerate(new)}
    lookup = np.array([position[label_text(level)] for level in factor.levels], dtype=np.int32)
    codes = lookup[factor.codes] if len(lookup) else factor.codes
    return replace(factor, codes=codes, levels=(*known, *new))


def interaction(*parts: Factor | Array) -> Factor:
    """One factor from the combinations of several that occur, the first varying slowest."""
    factors = [drop_unused(as_factor(part)) for part in parts]
    if not factors:
        raise DataError("interaction() needs at least one column.")
    combined = factors[0]
    for factor in factors[1:]:
        combined = _pairs(combined, factor)
    return combined


def _pairs(first: Factor, second: Factor) -> Factor:
    width = len(second.levels)
    keys, codes = distinct_pairs(first.codes, second.codes, len(first.levels), width)
    labels = tuple(f"{first.levels[k // width]}:{second.levels[k % width]}" for k in keys.tolist())
    return Factor(codes, labels)


def remember_levels(factor: Factor, state: Mapping[str, object]) -> Factor:
    """The factor in the level order of the fit, once there was one."""
    known = state.get("levels")
    return factor if not isinstance(known, tuple) else with_levels(factor, known)
