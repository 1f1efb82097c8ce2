"""`ml.missing_patterns`: which values are missing together, and who leaves when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Codes, Frame, Mask
from multilevel.clusters.missing_patterns import (
    DropoutCurve,
    LeaversBefore,
    Patterns,
    dropout_curve,
    leavers_before,
    monotone_order,
    patterns_of,
)
from multilevel.design.columns import missing_rows
from multilevel.design.visits import Visits, column_names, read_visits
from multilevel.errors import DataError
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind, Numeric, Table, read_table
from multilevel.report.missing_patterns import (
    CAUTION,
    arms_sentence,
    columns_sentence,
    curve_blocks,
    curve_columns,
    leavers_sentence,
    pattern_block,
    pattern_columns,
    plot_patterns,
    shape_sentence,
)
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.printed_table import PrintedTable

ALL = "all"


@dataclass(frozen=True, slots=True, repr=False)
class MissingPatterns(PrintedTable):
    """Patterns of K units (groups of long data, or rows) over T columns (times, or variables).

    `frame` has a row a pattern, `curve` one a time; printing tells what the patterns say, and what they do
    not.
    """

    patterns: Patterns
    observed: Mask  # (K, T)
    units: tuple[str, ...] | None  # (K,) labels of the groups; None for rows
    unit_name: str  # "id", or "rows"
    name: str  # of the times: "week", or "column"
    labels: tuple[Any, ...]  # (T,) times, or names of variables
    curves: Mapping[str, DropoutCurve]  # one an arm
    by: str | None
    before: LeaversBefore | None
    y: str | None
    kind: FrameKind

    @property
    def _kind(self) -> FrameKind:
        return self.kind

    @property
    def monotone(self) -> bool:
        """Whether nothing is observed after the first gap; of columns of a table, in some order of them."""
        if self.units is None:
            return monotone_order(self.patterns.observed) is not None
        return bool(self.patterns.monotone.all())

    @property
    def curve(self) -> Frame:
        """One row a time (and arm): n, observed, still_followed (seen then or later), and shares."""
        return to_frame(curve_columns(self.curves, self.by, self.name, self.labels), self.kind)

    def tidy(self) -> Frame:
        """One row a pattern ("XX." is observed twice, then missing): n, share, n_missing, monotone."""
        return self.frame

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return pattern_columns(self.patterns)

    def page(self) -> Summary:
        """What is printed."""
        long = self.units is not None
        names = " ".join(map(str, self.labels))
        what = f"{len(self.observed)} {'groups of ' + self.unit_name if long else 'rows'}"
        shape = (
            shape_sentence(self.patterns, f"groups of {self.unit_name}")
            if long
            else columns_sentence(self.patterns, self._order())
        )
        arms = arms_sentence(self.curves, self.by) if long and self.by is not None else []
        before = [] if self.before is None else leavers_sentence(self.before, str(self.y), self.name)
        where = "at each time" if long else "in each column"
        title = f"Missing values of {self.y}" if self.y else "Missing values"
        return Summary(
            title=title,
            facts=(("Units", what), (f"{self.name}s" if not long else self.name, names)),
            blocks=(
                pattern_block(self.patterns, "Patterns (X observed, . missing)"),
                *curve_blocks(self.curves, self.by, self.name, self.labels, f"Observed {where}"),
            ),
            notes=(shape, *arms, *before, *([] if self.observed.all() else [CAUTION])),
        )

    def plot(self) -> npt.NDArray[Any]:
        """Draw the commonest patterns, and the share observed at each time by arm; the two axes (2,)."""
        units = f"groups of {self.unit_name}" if self.units is not None else "rows"
        return plot_patterns(self.patterns, self.curves, self.labels, self.name, units)

    def _order(self) -> list[str] | None:
        order = monotone_order(self.patterns.observed)
        return None if order is None else [str(self.labels[k]) for k in order]


def missing_patterns(
    data: Frame,
    groups: str | None = None,
    time: str | None = None,
    *,
    y: str | Sequence[str] | None = None,
    by: str | None = None,
) -> MissingPatterns:
    """Patterns of missing values: who is seen when in long data, which columns miss together in a table.

    With `groups` and `time` each group (a patient, say) is due at every time in the data. A time counts as
    missed if there is no row for it, or if one of the columns `y` is missing in it. The result says whether
    gaps are monotone (dropout), how many are left at each time, in each arm, and whether those who left
    looked different when last seen. Without `groups`, patterns are those of the columns `y`, or of all
    columns.

    `frame` has a row a pattern, `curve` a row a time, `plot()` draws both.

    Args:
        data: any data frame, or a mapping of equally long columns.
        groups: the column that names the groups; None for a table that is not long.
        time: the column of times, numbers or ordered labels.
        y: columns that must be there for a row to count as observed; without `groups`, the columns to look
        at.
        by: a column that is constant within groups, an arm say, to count separately.

    Example:
        >>> import multilevel as ml
        >>> trial = {
        ...     "id": [1, 1, 1, 2, 2, 3],
        ...     "week": [0, 1, 2, 0, 1, 0],
        ...     "pain": [5.0, 4.0, 3.0, 6.0, None, 7.0],
        ... }
        >>> found = ml.missing_patterns(trial, "id", "week", y="pain")
        >>> found.monotone
        True
        >>> found.frame
          pattern  n     share  n_missing  monotone
        0     X..  2  0.666667          2      True
        1     XXX  1  0.333333          0      True

    References:
        Little, R. J. A. & Rubin, D. B. (2019). Statistical Analysis with Missing Data, 3rd ed., chapter 1.
        Wiley.
    """
    if (groups is None) != (time is None):
        raise DataError("long data need both groups= and time=; a table of columns needs neither.")
    if groups is None or time is None:
        return patterns_of_columns(data, y, by)
    visits = read_visits(data, groups, time, y)
    table = read_table(data)
    names = column_names("y", y)
    single = names[0] if len(names) == 1 and isinstance(table.column(names[0]), Numeric) else None
    return MissingPatterns(
        patterns=patterns_of(visits.observed),
        observed=visits.observed,
        units=visits.grouping.levels,
        unit_name=visits.grouping.name,
        name=time,
        labels=visits.times,
        curves=curves_by(visits.observed, None if by is None else arms_of_groups(table, by, visits)),
        by=by,
        before=None if single is None else leavers_before(wide(table, single, visits)),
        y=", ".join(names) or None,
        kind=visits.kind,
    )


def patterns_of_columns(data: Frame, y: str | Sequence[str] | None, by: str | None) -> MissingPatterns:
    """Patterns over the columns of a table."""
    table = read_table(data)
    names = column_names("y", y) or [name for name in table.names if name != by]
    missing = [missing_rows(table.column(name)) for name in names]
    observed = np.column_stack(
        [np.ones(table.n_rows, dtype=np.bool_) if where is None else ~where for where in missing]
    )
    if not observed.size:
        raise DataError("The data have no rows, or no columns to look at.")
    arms = None if by is None else arms_of_rows(table, by)
    return MissingPatterns(
        patterns=patterns_of(observed),
        observed=observed,
        units=None,
        unit_name="rows",
        name="column",
        labels=tuple(names),
        curves={arm: rows_only(curve) for arm, curve in curves_by(observed, arms).items()},
        by=by,
        before=None,
        y=None,
        kind=table.kind,
    )


def rows_only(curve: DropoutCurve) -> DropoutCurve:
    """Columns of a table have no order in time, so nobody is followed along them."""
    return DropoutCurve(curve.n, curve.observed, curve.observed)


@dataclass(frozen=True, slots=True)
class Arms:
    """Which arm each of K units belongs to."""

    codes: Codes  # (K,)
    labels: tuple[str, ...]


def curves_by(observed: Mask, arms: Arms | None) -> dict[str, DropoutCurve]:
    """The curve of each arm, or of all."""
    if arms is None:
        return {ALL: dropout_curve(observed)}
    own = {label: observed[arms.codes == code] for code, label in enumerate(arms.labels)}
    return {label: dropout_curve(rows) for label, rows in own.items() if len(rows)}


def arms_of_rows(table: Table, by: str) -> Arms:
    """The arm of each row."""
    labels = table.labels(by)
    if (labels.codes < 0).any():
        raise DataError(f"'{by}', the column of by=, is missing in some rows; fill it in.")
    return Arms(labels.codes, tuple(map(str, labels.levels)))


def arms_of_groups(table: Table, by: str, visits: Visits) -> Arms:
    """The arm of each group, which is the same in all its rows."""
    arms, codes = arms_of_rows(table, by), visits.grouping.codes
    own = np.zeros(visits.n_groups, dtype=np.int32)
    own[codes] = arms.codes
    differs = arms.codes != own[codes]
    if differs.any():
        group = visits.grouping.levels[codes[np.argmax(differs)]]
        raise DataError(
            f"by='{by}' differs within {visits.grouping.name} {group}; it must be constant within groups."
        )
    return Arms(own, arms.labels)


def wide(table: Table, y: str, visits: Visits) -> Array:
    """Responses (K, T) by group and time, NaN where missing."""
    column = table.column(y)
    assert isinstance(column, Numeric)
    values = np.full((visits.n_groups, len(visits.times)), np.nan)
    values[visits.grouping.codes, visits.visit] = column.values
    return values
