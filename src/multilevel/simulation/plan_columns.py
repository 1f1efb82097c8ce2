"""What is known of the units of a planned study? Treatments assigned to them, covariates drawn for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Codes
from multilevel.errors import DataError, DataTypeError
from multilevel.frames.column import Categorical
from multilevel.simulation.numbers import checked_number
from multilevel.simulation.plan_levels import is_distribution
from multilevel.simulation.plan_rows import PlannedColumn, PlannedRows, codes_of, known_level


@dataclass(frozen=True, slots=True)
class Assigned:
    """Units of a level are dealt the values in equal numbers, within their parent unit if they have one."""

    name: str
    values: tuple[Any, ...]
    at: str

    @property
    def names(self) -> tuple[str, ...]:
        """The column."""
        return (self.name,)

    @property
    def random(self) -> bool:
        """Units of one level are alike before they are treated, so that another draw changes only names."""
        return False

    def apply(self, rows: PlannedRows, rng: np.random.Generator) -> PlannedRows:
        """Deal the values at random, in each stratum as evenly as can be."""
        known_level(rows, self.at, f"assign({self.name!r})")
        first = rows.first_rows(self.at)
        strata = self._strata(rows)[first]
        dealt = np.empty(len(first), dtype=np.int64)
        rest = rng.permutation(len(self.values))  # who gets the odd ones: in turn over the strata
        given = 0
        for stratum in range(int(strata.max()) + 1):
            members = rng.permutation(np.flatnonzero(strata == stratum))
            dealt[members] = rest[(given + np.arange(len(members))) % len(self.values)]
            given += len(members)
        return rows.with_assigned(self.at, self.name, column_of(self.values, dealt[rows.units[self.at]]))

    def _strata(self, rows: PlannedRows) -> Codes:
        """Which stratum each row is in (n,): its parent unit, and what its unit was assigned before."""
        parent = parent_level(rows, self.at)
        parts = [] if parent is None else [rows.units[parent]]
        parts += [codes_of(rows.columns[name]) for name in rows.assigned.get(self.at, ())]
        if not parts:
            return np.zeros(rows.n, dtype=np.int32)
        return np.unique(np.column_stack(parts), axis=0, return_inverse=True)[1].ravel().astype(np.int32)

    def words(self) -> str:
        """What, and to whom."""
        return f"'{self.name}' ({shown(self.values)}) assigned to each '{self.at}' in equal numbers"


@dataclass(frozen=True, slots=True)
class Stepped:
    """A stepped wedge: units cross over from 0 to 1 in waves, one wave after each time but the first."""

    name: str
    at: str
    time: str

    @property
    def names(self) -> tuple[str, ...]:
        """The column."""
        return (self.name,)

    @property
    def random(self) -> bool:
        """Units are alike before they are treated."""
        return False

    def apply(self, rows: PlannedRows, rng: np.random.Generator) -> PlannedRows:
        """1 from the time of the unit's wave on."""
        known_level(rows, self.at, f"step({self.name!r})")
        if self.time not in rows.columns or isinstance(rows.columns[self.time], Categorical):
            raise DataError(
                f"step({self.name!r}) needs the times '{self.time}', which the plan does not have there; say "
                f".visits({self.time!r}, ...) first."
            )
        period = codes_of(rows.columns[self.time])
        waves = int(period.max())
        if waves < 1:
            raise DataError(f"step({self.name!r}) needs two times or more, and '{self.time}' has one.")
        count = rows.count(self.at)
        wave = rng.permutation(np.arange(count) % waves)[rows.units[self.at]]
        return rows.with_column(self.name, (period > wave).astype(np.int64))

    def words(self) -> str:
        """Who crosses over when."""
        return f"'{self.name}' from 0 to 1 in steps over '{self.time}', each '{self.at}' at a time of its own"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A covariate that is drawn for each unit of a level."""

    name: str
    values: Any  # share of ones, (mean, sd), shares of labels, or a distribution
    at: str
    icc: float

    @property
    def names(self) -> tuple[str, ...]:
        """The column."""
        return (self.name,)

    @property
    def random(self) -> bool:
        """It is drawn."""
        return True

    def apply(self, rows: PlannedRows, rng: np.random.Generator) -> PlannedRows:
        """A value for each unit, the same in all of its rows."""
        known_level(rows, self.at, f"draw({self.name!r})")
        drawn = self._drawn(rows, rng)
        units = rows.units[self.at]
        if isinstance(drawn, Categorical):
            return rows.with_column(self.name, Categorical(drawn.codes[units], drawn.levels, drawn.ordered))
        return rows.with_column(self.name, drawn[units])

    def _drawn(self, rows: PlannedRows, rng: np.random.Generator) -> PlannedColumn:
        """Values of the units (J,)."""
        count = rows.count(self.at)
        if is_distribution(self.values):
            return np.asarray(self.values.rvs(size=count, random_state=rng), dtype=np.float64)
        if isinstance(self.values, Mapping):
            codes = rng.choice(len(self.values), size=count, p=np.array(list(self.values.values())))
            return Categorical(codes.astype(np.int32), tuple(self.values), ordered=False)
        if isinstance(self.values, Real):
            return np.asarray(rng.random(count) < float(self.values), dtype=np.int64)
        mean, sd = self.values
        return np.asarray(mean + sd * self._standard(rows, count, rng))

    def _standard(self, rows: PlannedRows, count: int, rng: np.random.Generator) -> Array:
        """Standard normal values (J,), alike by `icc` in units of the same parent."""
        own = rng.standard_normal(count)
        if self.icc == 0.0:
            return own
        parent = parent_level(rows, self.at)
        if parent is None:
            raise DataError(
                f"draw({self.name!r}, icc={self.icc:g}) needs a level above '{self.at}', within whose units "
                "values are alike; there is none."
            )
        shared = rng.standard_normal(rows.count(parent))[rows.units[parent][rows.first_rows(self.at)]]
        return np.asarray(np.sqrt(self.icc) * shared + np.sqrt(1.0 - self.icc) * own)

    def words(self) -> str:
        """How it is distributed."""
        match self.values:
            case Mapping():
                what = ", ".join(f"{label} {share:.3g}" for label, share in self.values.items())
            case Real():
                what = f"1 with probability {float(self.values):.3g}"
            case (mean, sd):
                what = f"normal, mean {mean:g}, SD {sd:g}" + (f", ICC {self.icc:g}" if self.icc else "")
            case _:
                what = "drawn from a distribution"
        return f"'{self.name}' of each '{self.at}': {what}"


def parent_level(rows: PlannedRows, level: str) -> str | None:
    """The innermost level in whose units those of `level` lie; None where it has none."""
    first = rows.first_rows(level)
    codes = rows.units[level]
    for name in reversed(list(rows.units)):
        other = rows.units[name]
        if name != level and rows.count(name) < rows.count(level) and (other[first][codes] == other).all():
            return name
    return None


def column_of(values: tuple[Any, ...], dealt: npt.NDArray[np.int64]) -> PlannedColumn:
    """The values dealt, numbers as numbers and labels as categories."""
    if all(isinstance(value, Real) for value in values):
        numbers = np.array(values)
        whole = numbers.dtype.kind in "biu"
        return numbers.astype(np.int64)[dealt] if whole else numbers.astype(np.float64)[dealt]
    return Categorical(dealt.astype(np.int32), tuple(str(value) for value in values), ordered=False)


def shown(values: Sequence[Any]) -> str:
    """Values in a sentence."""
    return ", ".join(f"{value:g}" if isinstance(value, Real) else str(value) for value in values)


def checked_values(name: str, values: Any) -> tuple[Any, ...]:
    """Two or more different values to assign."""
    listed = list(values) if isinstance(values, Sequence | np.ndarray) and not isinstance(values, str) else []
    if not listed or not all(isinstance(value, str | Real) for value in listed):
        raise DataTypeError(f"assign({name!r}) takes a list of values, as (0, 1) or ('control', 'drug').")
    values = listed
    if len(set(values)) < 2 or len(set(values)) < len(values):
        raise DataError(f"assign({name!r}) needs two different values or more; got {list(values)!r:.60}.")
    return tuple(values)


def checked_draw(name: str, values: Any, icc: Any) -> Any:
    """What a covariate can be drawn from."""
    checked_number(f"draw({name!r}): icc", icc)
    if icc and not (isinstance(values, Sequence) and len(values) == 2):
        raise DataError(f"draw({name!r}, icc=...) is for normal covariates, given as (mean, sd).")
    if not 0.0 <= icc <= 1.0:
        raise DataError(f"draw({name!r}): icc={icc:g} lies outside 0 to 1.")
    if is_distribution(values):
        return values
    if isinstance(values, Mapping):
        return checked_shares(name, values)
    if isinstance(values, float | int | np.number):
        if not 0.0 < float(values) < 1.0:
            raise DataError(f"draw({name!r}, {values:g}): the share of ones lies between 0 and 1.")
        return float(values)
    if isinstance(values, Sequence) and len(values) == 2 and all(isinstance(v, Real) for v in values):
        mean, sd = map(float, values)
        if not sd > 0.0 or not np.isfinite([mean, sd]).all():
            raise DataError(f"draw({name!r}, ({mean:g}, {sd:g})): a mean and a standard deviation above 0.")
        return (mean, sd)
    raise DataTypeError(
        f"draw({name!r}, {values!r:.40}) is none of: a share of ones such as 0.3; (mean, sd); shares of "
        "labels such as {'a': 0.2, 'b': 0.8}; a distribution such as scipy.stats.gamma(2)."
    )


def checked_shares(name: str, shares: Mapping[Any, Any]) -> dict[str, float]:
    """Shares of labels, which add up to one."""
    if not all(isinstance(share, Real) and float(share) > 0.0 for share in shares.values()):
        raise DataError(f"draw({name!r}): shares are numbers above 0.")
    total = float(sum(shares.values()))
    if len(shares) < 2 or abs(total - 1.0) > 1e-6:
        raise DataError(
            f"draw({name!r}): shares of two labels or more add up to 1; these add up to {total:g}."
        )
    return {str(label): float(share) / total for label, share in shares.items()}
