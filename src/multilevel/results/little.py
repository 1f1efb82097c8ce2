"""`ml.little_test`: may values be missing completely at random?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Frame
from multilevel.clusters.little import LittleStatistic, little_statistic
from multilevel.clusters.missing_patterns import Patterns, patterns_of
from multilevel.design.visits import column_names, read_visits
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.estimation.normal_em import NormalEstimate, fit_normal, pattern_sums
from multilevel.frames.table import FrameKind, Numeric, Table, read_table
from multilevel.report.little import little_columns, little_page
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.printed_table import PrintedTable


@dataclass(frozen=True, slots=True, repr=False)
class LittleTest(PrintedTable):
    """Little's test with the estimates it rests on; P patterns of p columns.

    `frame` has a row a pattern, with what it adds to `statistic`.
    """

    names: tuple[str, ...]  # (p,)
    patterns: Patterns
    found: LittleStatistic
    estimate: NormalEstimate
    notes: tuple[str, ...]
    kind: FrameKind

    @property
    def _kind(self) -> FrameKind:
        return self.kind

    @property
    def statistic(self) -> float:
        """Chi-square, d^2."""
        return self.found.statistic

    @property
    def df(self) -> float:
        """Degrees of freedom: columns observed, summed over patterns, less columns."""
        return self.found.df

    @property
    def p_value(self) -> float:
        """Probability of so large a statistic if values were missing completely at random."""
        return self.found.p_value

    @property
    def mean(self) -> Array:
        """Means (p,) by maximum likelihood."""
        return self.estimate.mean

    @property
    def covariance(self) -> Array:
        """Covariance (p, p) by maximum likelihood."""
        return self.estimate.covariance

    def tidy(self) -> Frame:
        """One row a pattern: pattern, n, n_observed, and what it adds to the statistic."""
        return self.frame

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return little_columns(self.patterns, self.found)

    def page(self) -> Summary:
        """What is printed."""
        return little_page(self.patterns, self.found, self.names, self.estimate.mean, self.notes)


def little_test(
    data: Frame,
    columns: Sequence[str] | None = None,
    *,
    groups: str | None = None,
    time: str | None = None,
    y: str | None = None,
) -> LittleTest:
    """Little's test that values are missing completely at random (MCAR).

    It compares the means of what is observed between patterns of missing values. A small p-value says that
    values are not MCAR; a large one says nothing more than that the means do not show it. Long data are
    spread out first: give `groups`, `time` and the response `y`.

    Args:
        data: any data frame, or a mapping of equally long columns.
        columns: numeric columns to test; all numeric ones if not given.
        groups: for long data: the column that names the groups.
        time: for long data: the column of times, which become columns.
        y: for long data: the response.

    Example:
        >>> import numpy as np
        >>> import multilevel as ml
        >>> rng = np.random.default_rng(1)
        >>> first = rng.normal(size=100)
        >>> second = np.where(first > 0.5, np.nan, first + rng.normal(size=100))
        >>> found = ml.little_test({"first": first, "second": second})
        >>> round(found.statistic, 1), found.df, found.p_value < 0.001
        (45.4, 1.0, True)

    References:
        Little, R. J. A. (1988). A test of missing completely at random for multivariate data with missing
        values. Journal of the American Statistical Association 83, 1198-1202.
    """
    table = read_table(data)
    notes: tuple[str, ...] = ()
    if groups is None and time is None and y is None:
        names, values, notes = columns_to_test(table, columns)
    else:
        names, values = spread_out(data, table, columns, groups, time, y)
        notes = (f"The columns are {y} at each {time}, one row for each of {groups}.",)
    there = ~np.isnan(values)
    seen = there.any(axis=1)
    if not seen.all():
        notes = (*notes, f"{int((~seen).sum())} rows without any value say nothing and are left out.")
    values, there = values[seen], there[seen]
    refuse_untestable(names, values)
    patterns = patterns_of(there)
    if len(patterns.counts) < 2:
        raise ModelError(
            "nothing is missing in these columns (or the same in every row): there is no pattern to test."
        )
    estimate = fit_normal(values, patterns.member)
    refuse_no_estimate(estimate, names)
    found = little_statistic(pattern_sums(values, patterns.member), estimate)
    return LittleTest(tuple(names), patterns, found, estimate, (*notes, *size_notes(patterns)), table.kind)


def columns_to_test(table: Table, columns: Sequence[str] | None) -> tuple[list[str], Array, tuple[str, ...]]:
    """Names and values (n, p) of the columns asked for, or of all numeric ones, with a note on the others."""
    asked = column_names("columns", columns)
    read = {name: table.column(name) for name in asked or table.names}
    numeric = {name: column.values for name, column in read.items() if isinstance(column, Numeric)}
    others = [name for name in read if name not in numeric]
    if asked and others:
        raise DataTypeError(
            f"'{others[0]}' holds labels, and Little's test compares means of numbers; leave it out, or "
            "code its levels as 0 and 1."
        )
    if not numeric:
        raise DataError("there is no numeric column to test.")
    note = (f"Left out, since they hold labels: {', '.join(others)}.",) if others else ()
    return list(numeric), np.column_stack(list(numeric.values())).astype(np.float64), note


def spread_out(
    data: Frame, table: Table, columns: object, groups: str | None, time: str | None, y: str | None
) -> tuple[list[str], Array]:
    """Long data as one row a group (K, T), NaN where nothing was seen."""
    if groups is None or time is None or not isinstance(y, str):
        raise DataError('long data need groups=, time= and y=, as in groups="id", time="week", y="score".')
    if columns is not None:
        raise DataError("long data have one column to test, y=; leave columns= out.")
    column = table.column(y)
    if not isinstance(column, Numeric):
        raise DataTypeError(f"y='{y}' holds labels, not numbers.")
    visits = read_visits(data, groups, time, y)
    values = np.full((visits.n_groups, len(visits.times)), np.nan)
    values[visits.grouping.codes, visits.visit] = column.values
    return [f"{time} {label}" for label in visits.times], values


def refuse_untestable(names: Sequence[str], values: Array) -> None:
    """Columns need two different values."""
    for name, column in zip(names, values.T, strict=True):
        there = column[~np.isnan(column)]
        if len(there) < 2 or (there == there[0]).all():
            raise DataError(
                f"'{name}' has no two different values where it is observed, so it has no variance; leave "
                "it out."
            )


def refuse_no_estimate(estimate: NormalEstimate, names: Sequence[str]) -> None:
    """A test needs an estimate that exists."""
    if estimate.singular:
        raise ModelError(
            f"the covariance of {', '.join(names)} is singular: a column is a combination of others, or "
            "there are too few rows for so many columns. Test fewer columns."
        )
    if not estimate.converged:
        raise ModelError(
            f"EM did not converge in {estimate.iterations} iterations: too little is observed together of "
            f"{', '.join(names)}. Test fewer columns."
        )


def size_notes(patterns: Patterns) -> list[str]:
    """Small patterns, on which chi-square leans."""
    single = int((patterns.counts == 1).sum())
    if 2 * single <= len(patterns.counts):
        return []
    return [
        f"{single} of {len(patterns.counts)} patterns are of one row: the chi-square distribution is then a "
        "rough guide."
    ]
