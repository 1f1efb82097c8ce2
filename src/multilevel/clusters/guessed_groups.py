"""Which columns of a table name groups, when nobody has said so?

Labels do that come back. Whole numbers may name groups, count, or measure; what tells names apart is that

- something else belongs to a group: a further column varies between the numbers and never within one, and is
  not merely a higher or lower class of them, as age groups are of ages;
- or they run 0 or 1, 2, 3, ... without gaps, most with the same number of rows, as no measurement does;
- or they are ten at least and lie scattered, 101, 105, 230, ..., fewer than a quarter of the numbers between
  them in use and no common step, as of doses, between them.

Calendar years are no names, nor are numbers of which each level of another factor has each at most once:
those are times. Ages, scores and answers on a scale pass none of the three tests but by rare accident.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel.clusters.constancy import constant_within, first_rows_of
from multilevel.design.design import Grouping
from multilevel.frames.distinct import distinct_values

FEWEST = 5  # levels of a column that is taken for a grouping factor
FEWEST_SCATTERED = 10
DENSEST = 0.25  # share of the numbers in a range that scattered names use
MOST_SINGLE = 0.1  # share of levels with one row
EVEN, EVEN_OF_FEW = 0.5, 0.8  # share of levels with the commonest number of rows; few agree by chance, too
MANY = 12
YEARS = (1900, 2100)
MISSING = -1

Values = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class GuessedGroup:
    """A column that seems to name groups, and why."""

    name: str
    why: str
    weak: bool = False  # whether numbers are scattered and nothing else speaks for them


def guess_groups(labels: Sequence[str], values: Mapping[str, Values]) -> list[GuessedGroup]:
    """Columns that seem to name groups, in their order; `values` are all columns (n,), `labels` of text.

    >>> rows = {"id": np.repeat([101, 105, 230, 231, 440], 4), "age": np.repeat([61, 40, 38, 52, 45], 4)}
    >>> [guess.name for guess in guess_groups([], {**rows, "sex": np.repeat([0, 1, 1, 0, 1], 4)})]
    ['id']
    """
    groupings: dict[str, Grouping] = {}
    found: dict[str, GuessedGroup] = {}
    for name, each in values.items():
        grouping = coded_labels(name, each) if name in labels else coded_numbers(name, each)
        if grouping is None:
            continue
        guess = GuessedGroup(name, "labels that come back")
        taken = guess if name in labels else guess_numbers(grouping, values)
        if taken is not None:
            groupings[name], found[name] = grouping, taken
    return [
        guess for name, guess in found.items() if name in labels or not is_told_by_another(guess, groupings)
    ]


def coded_labels(name: str, codes: Values) -> Grouping | None:
    """A column of labels that come back as a factor; None for any other."""
    dense, levels = distinct_values(codes)
    grouping = Grouping(name, dense, tuple(map(str, levels)))
    return grouping if comes_back(grouping) else None


def coded_numbers(name: str, values: Values) -> Grouping | None:
    """A column of whole numbers that come back, none negative, as a factor; None for any other column."""
    if values.dtype.kind not in "iuf":
        return None
    missing = ~np.isfinite(values)
    if (values[~missing] < 0).any():
        return None
    filled = np.where(missing, MISSING, values)  # a level of its own, which is not counted
    if any((part % 1 != 0).any() for part in (filled[:1000], filled)):  # what measures mostly shows it soon
        return None
    codes, levels = distinct_values(filled)
    grouping = Grouping(name, codes, tuple(map(str, levels)))
    single = np.count_nonzero(sizes_of_named(grouping) == 1)
    return grouping if comes_back(grouping) and single <= MOST_SINGLE * grouping.n_levels else None


def comes_back(grouping: Grouping) -> bool:
    """Whether there are at least five levels, on average of two rows."""
    sizes = sizes_of_named(grouping)
    return len(sizes) >= FEWEST and sizes.sum() >= 2 * len(sizes)


def sizes_of_named(grouping: Grouping) -> npt.NDArray[np.intp]:
    """Rows of each level, less the one that stands for missing labels."""
    sizes = np.bincount(grouping.codes, minlength=grouping.n_levels)
    return sizes[1:] if grouping.levels[0] == str(MISSING) else sizes


def guess_numbers(grouping: Grouping, values: Mapping[str, Values]) -> GuessedGroup | None:
    """Whether whole numbers seem to be names, and why; None where they do not."""
    numbers = [int(level) for level in grouping.levels if level != str(MISSING)]
    if YEARS[0] <= numbers[0] and numbers[-1] <= YEARS[1]:
        return None
    attribute = next((other for other, each in values.items() if belongs_to(grouping, other, each)), None)
    if attribute is not None:
        return GuessedGroup(grouping.name, f"{attribute} varies between its numbers and never within one")
    sizes = np.bincount(sizes_of_named(grouping))
    span = numbers[-1] - numbers[0] + 1
    even = sizes.max() >= (EVEN if len(numbers) >= MANY else EVEN_OF_FEW) * len(numbers)
    if numbers[0] in (0, 1) and span == len(numbers) and even:
        run = f"its numbers run from {numbers[0]} to {numbers[-1]}, most with {sizes.argmax()} rows"
        return GuessedGroup(grouping.name, run)
    scattered = numbers[0] > 0 and FEWEST_SCATTERED <= len(numbers) < DENSEST * span
    if scattered and np.gcd.reduce(np.diff(numbers)) == 1:
        between = f"its numbers come back and lie scattered between {numbers[0]} and {numbers[-1]}"
        return GuessedGroup(grouping.name, between, weak=True)
    return None


def belongs_to(grouping: Grouping, name: str, values: Values) -> bool:
    """Whether a column is an attribute of the groups: it varies, not within one, and is no class of them."""
    if name == grouping.name or not (values != values[0]).any():
        return False
    rows = first_rows_of(grouping)
    if not constant_within(grouping, rows, values):
        return False
    return not is_class(values[rows])


def is_class(of_levels: Values) -> bool:
    """Whether values (J,) of increasing numbers go from class to class of these and never back."""
    before, after = of_levels[:-1], of_levels[1:]
    distinct = len(np.unique(of_levels))
    if distinct == len(of_levels):  # a value for each number: a function of it, or what was observed of it
        return bool((before < after).all() or (before > after).all())
    return bool(np.count_nonzero(before != after) == distinct - 1)


def is_told_by_another(guess: GuessedGroup, groupings: Mapping[str, Grouping]) -> bool:
    """Whether numbers are told by another factor.

    They may be times in its levels, the same groups as those of a factor named before, or, where they are
    only scattered, sizes of its levels.
    """
    own, before = groupings[guess.name], True
    for name, other in groupings.items():
        if name == guess.name:
            before = False
            continue
        if other.n_levels > own.n_levels and each_at_most_once(own, other):
            return True
        same = before and own.n_levels == other.n_levels
        size = guess.weak and own.n_levels <= other.n_levels < 2 * own.n_levels
        if (same or size) and constant_within(other, first_rows_of(other), own.codes):
            return True
    return False


def each_at_most_once(own: Grouping, other: Grouping) -> bool:
    """Whether a level of `other` has each level of `own` in one row at most."""
    if len(own.codes) > own.n_levels * other.n_levels:
        return False
    keys = other.codes.astype(np.int64) * own.n_levels + own.codes
    head = keys[:4096]  # what comes twice mostly does so soon
    return len(np.unique(head)) == len(head) and len(np.unique(keys)) == len(keys)
