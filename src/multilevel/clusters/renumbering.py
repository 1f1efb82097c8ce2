"""Do the labels of one of two crossed factors begin anew in each level of the other?

Patients 1 .. 56 of one centre and 1 .. 55 of another look crossed with their centres, though no patient was
in both. Nothing in two columns of labels can prove it, but signs of it are

- labels that run 1, 2, 3, ... or a, b, c, ... without gaps, most of which come back in most levels of the
  other;
- further columns that are constant within a combination of the two and in no level of either: an age or a
  sex of patient 1 in centre 1 that is not that of patient 1 in centre 2;
- numbers of labels that differ, each level of the other having the first so many: 1 .. 56 and 1 .. 55;
- rows that are not spread evenly over all combinations, as they are in an experiment with crossed factors.

Labels mean the same everywhere if something else is constant within their levels or nested in them. Where
both factors could begin anew and numbers of labels do not say which, the one with fewer levels is named if
all combinations occur (4 classes in each of 40 schools), the one with more if some are missing or if a third
column numbers the rows of each combination (the visits of 56 patients in each of 2 centres).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
import numpy.typing as npt

from multilevel.clusters.constancy import constant_within, first_rows_of
from multilevel.design.design import Grouping
from multilevel.frames.codes import without_gaps

NEARLY_ALL = 0.9  # of the levels that lack labels lack the last ones

Values = npt.NDArray[np.generic]
Inside = set[tuple[str, str]]  # a factor, and one that it is nested in


@dataclass(frozen=True, slots=True)
class Renumbering:
    """The factor whose labels may begin anew in each level of the other."""

    name: str
    either: bool  # whether it may be the other one just as well


@dataclass(frozen=True, slots=True)
class Combinations:
    """The combinations of two factors that occur."""

    grouping: Grouping  # rows by combination; its labels do not matter
    levels: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]  # of each factor, (pairs,) each
    sizes: npt.NDArray[np.intp]  # (pairs,) rows
    possible: int

    @property
    def complete(self) -> bool:
        """Whether all that could occur do."""
        return len(self.sizes) == self.possible

    @property
    def even(self) -> bool:
        """Whether most have the same number of rows: planned, and a few lost."""
        return bool(2 * np.bincount(self.sizes).max() >= len(self.sizes))


def renumbering_of(
    a: Grouping, b: Grouping, n_pairs: int, inside: Inside, others: Sequence[Values]
) -> Renumbering | None:
    """Which of two crossed factors may begin anew; `a` has at least as many levels.

    `others` are the further columns of the data (n,) and the codes of the other factors.
    """
    if 2 * n_pairs < a.n_levels * b.n_levels or n_pairs == len(a.codes):
        return None
    factors = [one for one in (a, b) if runs_without_gaps(one.levels)]
    if not factors:
        return None
    varying = [values for values in others if (values != values[0]).any()]
    describes = {one.name: [is_constant(one, values) for values in varying] for one in (a, b)}
    pairs = combinations_of(a, b)
    of_pairs = any(
        not of_a and not of_b and is_constant(pairs.grouping, values)
        for values, of_a, of_b in zip(varying, describes[a.name], describes[b.name], strict=True)
    )
    candidates = [
        one.name
        for one, other in ((a, b), (b, a))
        if one in factors
        and not anchored(one.name, other.name, inside)
        and not any(describes[one.name])
        and (of_pairs or is_uneven(one, other, pairs, share_numbered(a, b, one, pairs)))
    ]
    if len(candidates) < 2:
        return Renumbering(candidates[0], either=False) if candidates else None
    numbered = [one.name for one in (a, b) if share_numbered(a, b, one, pairs) >= NEARLY_ALL]
    if len(numbered) == 1:
        return Renumbering(numbered[0], either=False)
    many = not pairs.complete or any(numbers_rows(pairs, values) for values in varying)
    return Renumbering(a.name if many else b.name, either=True)


def combinations_of(a: Grouping, b: Grouping) -> Combinations:
    """The combinations that occur, of which there are half as many as could at least."""
    possible = a.n_levels * b.n_levels
    codes, keys = without_gaps(a.codes.astype(np.int64) * b.n_levels + b.codes, possible)
    grouping = Grouping("", codes.astype(np.int32), tuple(map(str, range(len(keys)))))
    first, second = np.divmod(keys, b.n_levels)
    return Combinations(grouping, (first, second), np.bincount(codes, minlength=len(keys)), possible)


def is_constant(grouping: Grouping, values: Values) -> bool:
    """Whether values (n,) are the same in all rows of a level."""
    return constant_within(grouping, first_rows_of(grouping), values)


def is_uneven(one: Grouping, other: Grouping, pairs: Combinations, numbered: float) -> bool:
    """Whether rows are spread as over groups that were numbered anew, not as in an experiment."""
    if pairs.complete:
        return one.n_levels <= other.n_levels and not pairs.even
    return numbered >= NEARLY_ALL


def share_numbered(a: Grouping, b: Grouping, one: Grouping, pairs: Combinations) -> float:
    """Of levels of the other factor that lack labels of `one`, the share that lack the last ones; or 1."""
    first, second = pairs.levels
    inner, outer = (first, second) if one is a else (second, first)
    n_outer = b.n_levels if one is a else a.n_levels
    place = np.argsort(np.argsort([number_of(label) for label in one.levels]))
    count = np.bincount(outer, minlength=n_outer)
    last = np.zeros(n_outer, dtype=np.intp)
    np.maximum.at(last, outer, place[inner])
    lacking = count < one.n_levels
    return float((last + 1 == count)[lacking].mean()) if lacking.any() else 1.0


def numbers_rows(pairs: Combinations, values: Values) -> bool:
    """Whether whole numbers (n,), from few, tell the rows of each combination apart: visits of a patient."""
    if values.dtype.kind not in "iuf":
        return False
    numbers = values.astype(np.float64)
    numbers = numbers - numbers.min()
    span = 2 * int(pairs.sizes.max())
    if not numbers.max() < span or (numbers % 1.0 != 0.0).any():
        return False
    keys = pairs.grouping.codes.astype(np.int64) * span + numbers.astype(np.int64)
    return bool(np.bincount(keys).max() == 1)


def anchored(one: str, other: str, inside: Inside) -> bool:
    """Whether something is nested in one factor and not in the other."""
    return any(outer == one and (inner, other) not in inside for inner, outer in inside)


def runs_without_gaps(labels: Sequence[str]) -> bool:
    """Whether labels are consecutive numbers from 0 or 1, or consecutive letters from a."""
    if all(label.isdigit() for label in labels):
        numbers = sorted(map(int, labels))
        return numbers[0] in (0, 1) and numbers[-1] - numbers[0] == len(numbers) - 1
    alphabet = ascii_lowercase[: len(labels)]
    return len(labels) == len(alphabet) and sorted(label.lower() for label in labels) == list(alphabet)


def number_of(label: str) -> int:
    """The place of a label among those that run without gaps."""
    return int(label) if label.isdigit() else ord(label.lower())
