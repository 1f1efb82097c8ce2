"""How do the factors of a table lie to one another, and at which of their levels does a column vary?

Factors are codes 0 .. J-1 of n rows, every level present. `a` is nested in `b` when every level of `a` lies
in one level of `b`; two factors of which neither is nested in the other are crossed, fully when every pair of
levels occurs. Two crossed factors that are both nested in a third meet only inside its levels: they are
crossed within it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import combinations

import numpy as np
import numpy.typing as npt

from multilevel.clusters.constancy import constant_within, first_rows_of
from multilevel.clusters.renumbering import Inside, Renumbering, Values, renumbering_of
from multilevel.design.design import Grouping
from multilevel.design.text_numbers import read_as_numbers

BITMAP = 2**27  # pairs of levels up to which those that occur are marked in a table


class Relation(Enum):
    """How a first factor lies to a second."""

    SAME = "same groups as"
    INSIDE = "nested in"
    AROUND = "contains"
    CROSSED = "crossed with"
    PARTIAL = "partially crossed with"


@dataclass(frozen=True, slots=True)
class FactorSizes:
    """A factor and how its rows are spread over its levels."""

    name: str
    n_levels: int
    smallest: int
    median: float
    mean: float
    largest: int

    @property
    def balanced(self) -> bool:
        """Whether every level has the same number of rows."""
        return self.smallest == self.largest

    @property
    def is_row(self) -> bool:
        """Whether every row is a level of its own."""
        return self.largest == 1


@dataclass(frozen=True, slots=True)
class PairOfFactors:
    """Two factors, and the pairs of their levels that occur."""

    first: str
    second: str
    relation: Relation
    within: str | None  # the smallest factor that holds both, if they are crossed
    n_pairs: int
    possible: int  # pairs of levels that could occur: within each level of `within`, if there is one
    smallest: int  # rows of a pair that occurs
    largest: int
    renumbered: Renumbering | None = None  # of crossed factors, the one that may begin anew in the other
    time: str | None = None  # of crossed factors, the one whose numbers order the rows of the other

    @property
    def complete(self) -> bool:
        """Whether every pair that could occur does."""
        return self.n_pairs == self.possible

    @property
    def crossed(self) -> bool:
        """Whether neither factor is nested in the other."""
        return self.relation in (Relation.CROSSED, Relation.PARTIAL)


@dataclass(frozen=True, slots=True)
class ColumnLevel:
    """At which level a column varies."""

    name: str
    varies: str | None  # the factor whose levels it describes; None for rows, "" for nowhere
    constant_within: tuple[str, ...]  # every factor in whose levels it has one value


@dataclass(frozen=True, slots=True)
class DataStructure:
    """Factors from the most levels to the fewest, their pairs, and the other columns; n rows."""

    n: int
    factors: tuple[FactorSizes, ...]
    pairs: tuple[PairOfFactors, ...]
    columns: tuple[ColumnLevel, ...]

    def pair(self, one: str, other: str) -> PairOfFactors:
        """The pair of two factors, in either order."""
        return next(pair for pair in self.pairs if {pair.first, pair.second} == {one, other})

    def holders(self, name: str) -> list[str]:
        """Factors that this one is nested in, from the smallest groups to the largest."""
        found = (
            pair.second for pair in self.pairs if pair.first == name and pair.relation is Relation.INSIDE
        )
        return list(found)


def data_structure(
    groupings: Sequence[Grouping], columns: Mapping[str, npt.NDArray[np.generic]]
) -> DataStructure:
    """Structure of factors, and of columns (n,) whose values are compared as they are.

    >>> clinic = Grouping("clinic", np.array([0, 0, 1, 1], dtype=np.int32), ("A", "B"))
    >>> patient = Grouping("patient", np.array([0, 1, 2, 2], dtype=np.int32), ("1", "2", "3"))
    >>> data_structure([clinic, patient], {}).pairs[0].relation
    <Relation.INSIDE: 'nested in'>
    """
    ordered = sorted(groupings, key=lambda grouping: -grouping.n_levels)
    first_rows = {grouping.name: first_rows_of(grouping) for grouping in ordered}
    others = [*columns.values()]
    inside = {
        (a.name, b.name)
        for a in ordered
        for b in ordered
        if a is not b and a.n_levels >= b.n_levels and constant_within(a, first_rows[a.name], b.codes)
    }
    return DataStructure(
        n=len(ordered[0].codes),
        factors=tuple(map(sizes_of, ordered)),
        pairs=tuple(pair_of(a, b, inside, ordered, others) for a, b in combinations(ordered, 2)),
        columns=tuple(
            level_of(name, values, ordered, first_rows, inside) for name, values in columns.items()
        ),
    )


def sizes_of(grouping: Grouping) -> FactorSizes:
    """Rows a level."""
    size = np.bincount(grouping.codes, minlength=grouping.n_levels)
    return FactorSizes(
        grouping.name,
        grouping.n_levels,
        int(size.min()),
        float(np.median(size)),
        float(size.mean()),
        int(size.max()),
    )


def pair_of(
    a: Grouping, b: Grouping, inside: Inside, all_of_them: Sequence[Grouping], columns: Sequence[Values]
) -> PairOfFactors:
    """How two factors lie to one another; `a` has at least as many levels."""
    if (a.name, b.name) in inside:
        size = np.bincount(a.codes, minlength=a.n_levels)
        relation = Relation.SAME if a.n_levels == b.n_levels else Relation.INSIDE
        numbers = (a.n_levels, a.n_levels, int(size.min()), int(size.max()))
        return PairOfFactors(a.name, b.name, relation, None, *numbers)
    size = pair_sizes(a, b)
    holder = smallest_holder(a, b, inside, all_of_them)
    possible = a.n_levels * b.n_levels if holder is None else pairs_within(a, b, holder)
    full = len(size) == a.n_levels * b.n_levels
    others = [c.codes for c in all_of_them if c is not a and c is not b]
    return PairOfFactors(
        first=a.name,
        second=b.name,
        relation=Relation.CROSSED if full else Relation.PARTIAL,
        within=None if holder is None else holder.name,
        n_pairs=len(size),
        possible=possible,
        smallest=int(size.min()),
        largest=int(size.max()),
        renumbered=renumbering_of(a, b, len(size), inside, [*columns, *others]),
        time=b.name if orders_rows(a, b, size, inside) else None,
    )


def pair_sizes(a: Grouping, b: Grouping) -> npt.NDArray[np.intp]:
    """Rows of each pair of levels that occurs."""
    keys = a.codes.astype(np.int64) * b.n_levels + b.codes
    if a.n_levels * b.n_levels <= max(BITMAP // 8, 4 * len(keys)):
        size = np.bincount(keys)
        return np.asarray(size[size > 0])
    return np.asarray(np.unique(keys, return_counts=True)[1])


def smallest_holder(
    a: Grouping, b: Grouping, inside: Inside, all_of_them: Sequence[Grouping]
) -> Grouping | None:
    """The factor with most levels that both are nested in."""
    holders = [c for c in all_of_them if (a.name, c.name) in inside and (b.name, c.name) in inside]
    return max(holders, key=lambda c: c.n_levels, default=None)


def pairs_within(a: Grouping, b: Grouping, holder: Grouping) -> int:
    """Pairs of levels that lie in the same level of a factor that holds both."""
    counts = [
        np.bincount(holder.codes[first_rows_of(each)], minlength=holder.n_levels).astype(np.int64)
        for each in (a, b)
    ]
    return int(counts[0] @ counts[1])


def orders_rows(a: Grouping, b: Grouping, size: npt.NDArray[np.intp], inside: Inside) -> bool:
    """Whether the labels of `b` look like the times at which levels of `a` were measured.

    They are numbers, each once in a level of `a` and most in most of its levels; and times lie in nothing.
    Numbers that name things, as those of lecturers whom students rate, meet few levels of the other.
    """
    often = 2 * len(size) >= a.n_levels * b.n_levels
    nested = any(inner == b.name for inner, _ in inside)
    return bool(size.max() == 1 and often and not nested and read_as_numbers(b.levels))


def level_of(
    name: str,
    values: npt.NDArray[np.generic],
    ordered: Sequence[Grouping],
    first_rows: Mapping[str, npt.NDArray[np.intp]],
    inside: Inside,
) -> ColumnLevel:
    """The factor with fewest levels in whose levels a column is constant; single rows are no levels."""
    if np.array_equal(values, np.full_like(values, values[0])):
        return ColumnLevel(name, "", tuple(grouping.name for grouping in ordered))
    constant: list[str] = []
    for grouping in reversed(ordered):  # from the largest groups down
        if grouping.n_levels == len(values):
            continue
        held = any((grouping.name, holder) in inside for holder in constant)
        if held or constant_within(grouping, first_rows[grouping.name], values):
            constant.append(grouping.name)
    return ColumnLevel(name, constant[0] if constant else None, tuple(constant))
