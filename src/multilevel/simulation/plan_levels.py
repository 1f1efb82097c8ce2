"""How many units has each level of a planned study, and which of them meet? Nested, crossed, repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_count, checked_numbers
from multilevel.errors import DataError, DataTypeError
from multilevel.simulation.plan_rows import PlannedRows

MOST_ROWS = 50_000_000  # of a planned study: more would not fit in memory


@dataclass(frozen=True, slots=True)
class Nested:
    """Every unit of the level before it has `size` units of its own."""

    name: str
    size: Any  # a count; a count for each unit above; or a distribution of counts

    @property
    def names(self) -> tuple[str, ...]:
        """The level."""
        return (self.name,)

    @property
    def random(self) -> bool:
        """Whether sizes are drawn."""
        return is_distribution(self.size)

    def apply(self, rows: PlannedRows, rng: np.random.Generator) -> PlannedRows:
        """Each row as often as its unit has units below."""
        sizes = self._sizes(rows, rng)
        refuse_many_rows(float(sizes.sum()))
        below = rows.taken(np.repeat(np.arange(rows.n), sizes))
        return below.with_level(self.name, np.arange(below.n, dtype=np.int32))

    def _sizes(self, rows: PlannedRows, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        if is_distribution(self.size):
            drawn = np.rint(self.size.rvs(size=rows.n, random_state=rng))
            return np.asarray(np.maximum(drawn, 1.0), dtype=np.int64)
        sizes = np.atleast_1d(np.asarray(self.size))
        if len(sizes) not in (1, rows.n) or (np.ndim(self.size) and len(sizes) != rows.n):
            above = ["the study", *rows.units][-1]
            raise DataError(
                f"{self.name}= lists {len(sizes)} sizes, but there are {rows.n} units of '{above}'; give one "
                "size each, or one number for all."
            )
        return np.broadcast_to(sizes, (rows.n,)).astype(np.int64)

    def words(self) -> str:
        """How many."""
        if is_distribution(self.size):
            return f"'{self.name}': about {float(self.size.mean()):.3g}, drawn"
        sizes = np.atleast_1d(np.asarray(self.size))
        low, high = int(sizes.min()), int(sizes.max())
        return f"'{self.name}': {low}" if low == high else f"'{self.name}': {low} to {high}"


@dataclass(frozen=True, slots=True)
class Crossed:
    """Every row meets all the units of another factor, or `per` of them, each of which is met as often."""

    name: str
    count: int
    per: int | None

    @property
    def names(self) -> tuple[str, ...]:
        """The factor."""
        return (self.name,)

    @property
    def random(self) -> bool:
        """Whether it is drawn who meets whom."""
        return self.per is not None and self.per < self.count

    def apply(self, rows: PlannedRows, rng: np.random.Generator) -> PlannedRows:
        """A row for each pair that meets."""
        if self.per is not None and self.per > self.count:
            raise DataError(
                f"per={self.per} units of '{self.name}' are asked for, and there are {self.count}."
            )
        per = self.count if self.per is None else self.per
        refuse_many_rows(float(rows.n) * per)
        met = met_units(rows.n, self.count, per, rng)
        return rows.taken(np.repeat(np.arange(rows.n), per)).with_level(
            self.name, met.ravel().astype(np.int32)
        )

    def words(self) -> str:
        """How many, and how many are met."""
        met = "" if not self.random else f", of which each row above meets {self.per}, drawn"
        return f"crossed with '{self.name}': {self.count}{met}"


@dataclass(frozen=True, slots=True)
class Visits:
    """Every unit of the lowest level is seen at the same times."""

    name: str
    times: tuple[float, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column of times."""
        return (self.name,)

    @property
    def random(self) -> bool:
        """Times are fixed."""
        return False

    def apply(self, rows: PlannedRows, rng: np.random.Generator) -> PlannedRows:  # noqa: ARG002
        """A row for each unit and time."""
        refuse_many_rows(float(rows.n) * len(self.times))
        seen = rows.taken(np.repeat(np.arange(rows.n), len(self.times)))
        return seen.with_column(self.name, np.tile(np.array(self.times), rows.n))

    def words(self) -> str:
        """How often."""
        return f"seen {len(self.times)} times, '{self.name}' {self.times[0]:g} to {self.times[-1]:g}"


def met_units(n: int, count: int, per: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """For each of n rows `per` different units of `count`, all met equally often, or within one: (n, per)."""
    met = np.tile(np.arange(count), (n, 1))[:, :per]
    if per == count:
        return met
    used = np.zeros(count)
    for row in met:
        row[:] = np.argsort(used + rng.random(count))[:per]  # the least used, ties by lot
        used[row] += 1.0
    return np.sort(met, axis=1)


def is_distribution(value: object) -> bool:
    """Whether it is a frozen distribution, such as scipy.stats.poisson(20)."""
    return hasattr(value, "rvs") and hasattr(value, "mean")


def checked_size(name: str, size: Any) -> Any:
    """A count, a list of counts, or a distribution."""
    if is_distribution(size):
        return size
    if np.ndim(size) == 0:
        return checked_count(name, size)
    sizes = checked_numbers(f"{name}=", size)
    if sizes.ndim != 1 or not len(sizes) or (sizes < 1.0).any() or (sizes != np.rint(sizes)).any():
        raise DataError(f"{name}= is a whole number, 1 or more, or a list of such numbers.")
    return tuple(int(each) for each in sizes)


def checked_times(name: str, times: Any) -> tuple[float, ...]:
    """Times (T,), or their number: 0, 1, ..., T - 1."""
    if np.ndim(times) == 0:
        return tuple(float(t) for t in range(checked_count(name, times)))
    values = checked_numbers(f"the times of '{name}'", times)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise DataTypeError(f"the times of '{name}' are numbers, one each, or how many there are.")
    if (np.diff(values) <= 0.0).any():
        raise DataError(f"the times of '{name}' are in increasing order, each once.")
    return tuple(float(value) for value in values)


def refuse_many_rows(n: float) -> None:
    """A slip of the pen should not fill the memory."""
    if n > MOST_ROWS:
        raise DataError(f"the plan has {n:.3g} rows, more than {MOST_ROWS:.0e}; plan a smaller study.")


def nested_levels(sizes: Sequence[tuple[str, Any]]) -> tuple[Nested, ...]:
    """The levels of a plan from its sizes, outermost first."""
    return tuple(Nested(name, checked_size(name, size)) for name, size in sizes)
