"""`ml.center`: variables about their grand mean, or taken apart within and between groups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from multilevel._typing import Array, Codes, Frame, Mask
from multilevel.clusters.centring import CentredVariable, centred_variable
from multilevel.design.arguments import RowNumbers, read_given
from multilevel.design.clustered import group_parts, labels_in_rows
from multilevel.design.columns import missing_in, read_columns, usable
from multilevel.design.factor import Factor
from multilevel.design.grouping import code_groups
from multilevel.design.rows import choose_rows
from multilevel.errors import DataError, DataTypeError
from multilevel.frames.column import Numeric
from multilevel.frames.output import to_frame, with_columns
from multilevel.frames.table import FrameKind, Table, read_table
from multilevel.report.centring import centring_page, new_columns, parts_columns
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.page import Page


@dataclass(frozen=True, slots=True, repr=False)
class Centred(Page):
    """Data with centred variables beside the columns they had.

    `frame` is what to fit models to; printing says what intercept and slopes then mean.
    """

    variables: tuple[CentredVariable, ...]
    levels: tuple[str, ...]  # names of the groupings, the coarsest first; none about the grand mean
    data: Frame
    kind: FrameKind

    @property
    def frame(self) -> Frame:
        """The data, in the user's kind of frame, with the new columns.

        About the grand mean `x_centred`; about group means `x_within` and `x_between`; of several levels
        `x_within`, and `x_between_school`, `x_between_class`, ... These parts add up to x.
        """
        parts = new_columns(self.variables, self.levels)
        values = {name: part.values for name, part in parts.items()}
        return with_columns(self.data, {name: numeric(column) for name, column in values.items()})

    @property
    def table(self) -> Frame:
        """One row a new column: column, variable, level, mean, sd, share (of the variable's variation)."""
        return to_frame(self.columns(), self.kind)

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return parts_columns(self.variables, self.levels)

    def page(self) -> Summary:
        """What is printed."""
        return centring_page(self.variables, self.levels)


def center(
    data: Frame,
    x: str | Sequence[str],
    by: str | Sequence[str] | None = None,
    *,
    freq_weights: RowNumbers | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> Centred:
    """Center variables about their grand mean or about group means, and say what a model then estimates.

    About the grand mean (`by=None`) only the intercept of a model changes its meaning. About group means a
    variable becomes two: what lies within groups, and the means between them, each with a slope of its own.
    The result's `.frame` is the data with the new columns; printing it tells how to read a model that has
    them. In a formula, `within(x, g)` and `between(x, g)` compute the same, and keep the means for new data.

    Args:
        data: any data frame, or a mapping of equally long columns.
        x: one numeric column or several.
        by: the column that names the groups; or several, the coarsest first, as `["school", "class"]`: each
            is taken within those before it. None for the grand mean.
        freq_weights: how many observations a row stands for, column or array.
        missing: "drop" leaves rows without a value or a group out of the means of that variable, and their
            parts missing; "raise" refuses them.

    Example:
        >>> import multilevel as ml
        >>> centred = ml.center(ml.datasets.hsb82(), "ses", by="school")
        >>> centred.table.round(3)
                column variable   level  mean     sd  share
        0   ses_within      ses           0.0  0.661  0.718
        1  ses_between      ses  school   0.0  0.414  0.282
        >>> centred.frame[["ses", "ses_within", "ses_between"]].head(2).round(3)
             ses  ses_within  ses_between
        0 -1.528      -1.094       -0.434
        1 -0.588      -0.154       -0.434

    References:
        Enders, C. K. & Tofighi, D. (2007). Centering predictor variables in cross-sectional multilevel
        models: a new look at an old issue. Psychological Methods 12, 121-138.
        Kreft, I. G. G., de Leeuw, J. & Aiken, L. S. (1995). The effect of different forms of centering in
        hierarchical linear models. Multivariate Behavioral Research 30, 1-21.
    """
    table = read_table(data)
    names = checked_variables(x)
    levels = checked_levels(by)
    parts = [group_parts(level, table, "by") for level in levels]
    given = read_given(table, None, freq_weights, None)
    found = []
    for name in names:
        columns = read_columns(table, [name])
        labels = {part: table.labels(part) for level in parts for part in level}
        if name in labels:
            raise DataError(f"'{name}' is to be centred and names groups, too; give by= another column.")
        rows = choose_rows(
            table.n_rows, missing_in(columns) | missing_in(labels) | given.missing(), given.counts, missing
        )
        found.append(
            centred_variable(
                name,
                as_numbers(name, usable(columns[name], rows.mask)),
                nested_codes(parts, table, rows.mask),
                None if given.counts is None else given.counts[rows.as_mask()],
                rows.as_mask(),
                rows.n_missing,
            )
        )
    refuse_taken(new_columns(found, levels), table)
    return Centred(tuple(found), levels, data, table.kind)


def checked_variables(x: object) -> list[str]:
    """Names of what is to be centred, each once."""
    names = [x] if isinstance(x, str) else list(x) if isinstance(x, list | tuple) else []
    if not names or not all(isinstance(name, str) for name in names):
        raise DataTypeError(f"x is the name of a column, or a list of names; got {x!r:.60}.")
    return list(dict.fromkeys(names))


def checked_levels(by: object) -> tuple[str, ...]:
    """Names of groupings, the coarsest first; none for the grand mean."""
    if by is None:
        return ()
    levels = (by,) if isinstance(by, str) else tuple(by) if isinstance(by, list | tuple) else ()
    if not levels:
        raise DataTypeError(f"by= is None, the name of a column, or a list of names; got {by!r:.60}.")
    if len(set(levels)) < len(levels):
        raise DataError(f"by= names '{max(levels, key=levels.count)}' twice; name each level once.")
    return levels


def nested_codes(parts: Sequence[list[str]], table: Table, rows: Mask | None) -> list[Codes]:
    """Codes (n,) of each level within those before it."""
    cumulated: list[str] = []
    found = []
    for level in parts:
        cumulated = list(dict.fromkeys([*cumulated, *level]))
        labels = [labels_in_rows(table.labels(part), rows) for part in cumulated]
        found.append(code_groups(cumulated, labels)[0].codes)
    return found


def as_numbers(name: str, value: Factor | Array | Mask) -> Array:
    """A column as numbers; truth values are 0 and 1."""
    if isinstance(value, Factor):
        raise DataTypeError(
            f"'{name}' holds labels, which have no mean; make a column of 0 and 1 of each label first."
        )
    return np.asarray(value, dtype=np.float64)


def numeric(values: Array) -> Numeric:
    """Numbers whose NaN are missing values."""
    missing = np.isnan(values)
    return Numeric(values, integer=False, missing=missing if missing.any() else None)


def refuse_taken(names: Iterable[str], table: Table) -> None:
    """No column of the data is written over."""
    taken = sorted(set(names) & set(table.names))
    if taken:
        raise DataError(
            f"center() would overwrite the column '{taken[0]}' of the data; rename or drop it first."
        )
