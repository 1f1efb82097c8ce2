"""`ml.structure`: what is nested, what is crossed, and at which level does each column vary?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_choice
from multilevel._typing import Frame, Mask
from multilevel.clusters.bar_terms import BarTerms, bar_terms
from multilevel.clusters.guessed_groups import GuessedGroup, guess_groups
from multilevel.clusters.structure import DataStructure, data_structure
from multilevel.design.clustered import labels_in_rows
from multilevel.design.design import Dropped, Grouping
from multilevel.design.grouping import code_groups
from multilevel.design.rows import UsedRows, choose_rows
from multilevel.errors import DataError, DataTypeError
from multilevel.frames.column import Categorical
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind, Table, read_table
from multilevel.report.blocks import dropped_notes
from multilevel.report.structure import (
    factor_columns,
    guess_words,
    level_columns,
    pair_columns,
    structure_page,
)
from multilevel.report.structure_plot import draw_structure
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.page import Page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TABLES = {"factors": factor_columns, "pairs": pair_columns, "columns": level_columns}


@dataclass(frozen=True, slots=True, repr=False)
class Structure(Page):
    """How the grouping factors of a table lie to one another, and where its other columns vary."""

    found: DataStructure
    bar_terms: BarTerms
    guessed: tuple[GuessedGroup, ...]  # why columns are taken for factors; none where they were named
    rows: UsedRows
    kind: FrameKind

    @property
    def bars(self) -> str:
        """Random effects that follow, as a formula has them: "(1 | clinic) + (1 | patient)"."""
        return self.bar_terms.text

    def relation(self, one: str, other: str) -> str:
        """How one factor lies to another: "nested in", "contains", "crossed with", ..., with what is around.

        Example:
            >>> import multilevel as ml
            >>> found = ml.structure(ml.datasets.pastes(), ["sample", "batch"])
            >>> found.relation("sample", "batch"), found.relation("batch", "sample")
            ('nested in', 'contains')
        """
        for name in (one, other):
            if name not in {factor.name for factor in self.found.factors} or one == other:
                raise DataError(f"{name!r} is not one of two different factors of this structure.")
        pair = self.found.pair(one, other)
        if pair.relation.value == "nested in" and pair.first != one:
            return "contains"
        return pair.relation.value if pair.within is None else f"{pair.relation.value}, within {pair.within}"

    def tidy(self, table: Literal["factors", "pairs", "columns"] = "factors") -> Frame:
        """One of the tables that are printed, in the user's own kind of frame."""
        checked_choice("table", table, tuple(TABLES))
        return to_frame(TABLES[table](self.found), self.kind)

    @property
    def frame(self) -> Frame:
        """One row a factor: levels, and rows a level."""
        return self.tidy()

    def columns(self) -> Columns:
        """The columns of the table of factors by name."""
        return factor_columns(self.found)

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Factors as boxes with their numbers of levels; arrows lead into what holds them, dashes cross."""
        return draw_structure(self.found, ax)

    def page(self) -> Summary:
        """What is printed."""
        notes = dropped_notes(
            Dropped(self.rows.n_total, self.rows.n_missing, self.rows.missing_by_column, ())
        )
        if self.guessed:
            notes.insert(0, guess_words(self.guessed))
        return structure_page(self.found, self.bar_terms, tuple(notes))


def structure(
    data: Frame, groups: str | Sequence[str] | None = None, *, missing: Literal["drop", "raise"] = "drop"
) -> Structure:
    """The structure of grouped data: what is nested, what is crossed, and where other columns vary.

    Two factors are nested when each level of one lies in one level of the other, else crossed: fully, when
    every pair of levels occurs, or partially; "crossed within" a third when both are nested in it. Factors
    are compared as they are coded: labels that begin anew in every group ("physician 1" of each clinic) look
    crossed, and the page says so where labels suggest it. "clinic:physician" names the combinations of two
    columns.

    Args:
        data: any data frame, or a mapping of equally long columns (n rows).
        groups: columns that name groups, from any level, in any order. Without it they are guessed, and the
            page says why: columns of labels with five or more levels, on average of two or more rows; and
            whole numbers with as many levels if something belongs to them, so that it varies between the
            numbers and never within one, or if they run from 0 or 1 without gaps and most have the same
            number of rows, or if they are ten at least and lie scattered without a common step (101, 105,
            230, ...).
            Ages, scores, answers on a scale, years, and times of repeated measures are not taken.
        missing: "drop" rows in which a label is missing and say how many, or "raise".

    Example:
        >>> import multilevel as ml
        >>> found = ml.structure(ml.datasets.pastes(), ["sample", "batch"])
        >>> print(found.bars)
        (1 | batch) + (1 | sample)
        >>> found.tidy("pairs")[["first", "relation", "second"]]
            first   relation second
        0  sample  nested in  batch

    References:
        Bates, D. M. (2010). lme4: Mixed-effects modeling with R, chapter 2.
    """
    table = read_table(data)
    names = checked_names(groups, table)
    guesses = guessed(table) if names is None else ()
    used = [guess.name for guess in guesses] if names is None else names
    parts = {name: [name] if name in table.names else name.split(":") for name in used}
    labels = {part: table.labels(part) for of_one in parts.values() for part in of_one}
    absent = {part: missing_labels(each) for part, each in labels.items()}
    rows = choose_rows(table.n_rows, absent, None, missing)
    in_rows = {part: labels_in_rows(each, rows.mask) for part, each in labels.items()}
    groupings = [code_groups(of_one, [in_rows[part] for part in of_one])[0] for of_one in parts.values()]
    refuse_single(groupings)
    others = {name: comparable(table, name, rows.mask) for name in table.names if name not in labels}
    found = data_structure(groupings, others)
    return Structure(found, bar_terms(found), guesses, rows, table.kind)


def checked_names(groups: object, table: Table) -> list[str] | None:
    """Names of factors, each once; None where they are to be guessed."""
    if groups is None:
        return None
    names = [groups] if isinstance(groups, str) else groups
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names) or not names:
        raise DataTypeError(
            f'groups= takes names of columns, as in ["patient", "clinic"]; got {groups!r:.60}.'
        )
    for name in names:
        for part in [name] if name in table.names else name.split(":"):
            table.labels(part)  # says which column is not there
    return list(dict.fromkeys(names))


def guessed(table: Table) -> tuple[GuessedGroup, ...]:
    """Columns that seem to name groups."""
    if not table.n_rows:
        raise DataError("The data have no rows.")
    columns = {name: table.column(name) for name in table.names}
    labels = [name for name, column in columns.items() if isinstance(column, Categorical)]
    values = {name: comparable(table, name, None) for name in table.names}
    found = guess_groups(labels, values)
    if not found:
        raise DataError(
            "No column seems to name groups of several rows each; name the columns that do, "
            "as structure(data, ['patient', 'clinic'])."
        )
    return tuple(found)


def refuse_single(groupings: Sequence[Grouping]) -> None:
    """A factor with one level groups nothing."""
    for grouping in groupings:
        if grouping.n_levels < 2:
            raise DataError(
                f"'{grouping.name}' has one level, {grouping.levels[0]!r}, in all rows used, so it makes no "
                "groups; leave it out, or check the data."
            )


def missing_labels(labels: Categorical) -> Mask | None:
    """Rows without a label."""
    absent = labels.codes < 0
    return absent if absent.any() else None


def comparable(table: Table, name: str, rows: Mask | None) -> npt.NDArray[Any]:
    """A column as numbers or codes, so that equal values are equal; missing values equal one another."""
    column = table.column(name)
    if isinstance(column, Categorical):
        values: npt.NDArray[Any] = column.codes
    else:
        values = column.values if column.exact is None else column.exact
        if column.missing is not None:
            values = np.where(column.missing, np.inf, values)
    return values if rows is None else values[rows]
