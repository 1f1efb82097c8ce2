"""Do the rows, columns and responses that a user hands to a fit belong to it?"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_numbers
from multilevel._typing import Array, Frame, Mask
from multilevel.design.design import Design, Grouping
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.frames.labels import label_text
from multilevel.frames.table import read_table
from multilevel.results.responses import as_numbers

Indices = npt.NDArray[np.intp]  # row numbers
MOST_NAMED = 5  # levels that an error lists
SAME_NUMBER = 1e-9  # of the largest in a column: what coding the same data again may differ by


def checked_response(y: npt.ArrayLike, design: Design) -> Array:
    """A new response over the rows used (n,), from one over those rows or over all rows of the data."""
    numbers = as_numbers(y, design)
    refuse_table(numbers)
    values = checked_numbers("the new response", numbers)
    if values.ndim == 2 and values.shape[1] == 1:  # what simulate(1) returns
        values = values[:, 0]
    if values.shape == (design.dropped.n_total,):
        values = values[design.rows]
    if values.shape != design.y.shape:
        raise DataError(
            f"refit needs one value for each of the {design.n_rows} rows used "
            f"(or of all {design.dropped.n_total} rows), got shape {values.shape}."
        )
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise DataError(
            f"the new response is missing or infinite in {count} of the rows used; fill them first."
        )
    return values


def refuse_table(y: object) -> None:
    """A table has no one response in it."""
    columns = len(getattr(y, "columns", ()))
    if columns > 1:
        raise DataTypeError(
            f"refit takes the new response, one value a row; got a table of {columns} columns. Name one of "
            "them, fit.refit(table['y']); to fit the formula to other data, call the function that made the "
            "fit with them."
        )


def checked_responses(Y: npt.ArrayLike, design: Design) -> Array:
    """New responses over the rows used (n, B), from columns over those rows or over all rows of the data."""
    values = checked_numbers("the new responses", Y)
    if values.ndim != 2:
        raise DataError(f"refit_many needs a column a response, (rows, responses), got shape {values.shape}.")
    if values.shape[0] == design.dropped.n_total:
        values = values[design.rows]
    if values.shape[0] != design.n_rows:
        raise DataError(
            f"refit_many needs one row for each of the {design.n_rows} rows used "
            f"(or of all {design.dropped.n_total} rows), got shape {values.shape}."
        )
    if not np.isfinite(values).all():
        columns = int((~np.isfinite(values)).any(axis=0).sum())
        raise DataError(f"{columns} of the new responses have missing or infinite values; fill them first.")
    return values


def checked_rows(data: Frame, design: Design) -> Frame:
    """The data of the fit, row by row, or an error that says what differs and points to `predict`."""
    n_rows = read_table(data).n_rows
    if n_rows != design.dropped.n_total:
        raise DataError(
            f"the fit was made from {design.dropped.n_total} rows and these data have {n_rows}; "
            "augment() adds columns to the data of the fit, predict(new) serves other rows."
        )
    refuse_other_response(data, design)
    refuse_other_predictors(data, design)
    return data


def refuse_other_response(data: Frame, design: Design) -> None:
    """The response must be that of the fit, in the same order."""
    y = design.encoder.encode_response(data)[design.rows]
    refuse_difference(f"the response '{design.response_name}'", differs(y, design.y))


def refuse_other_predictors(data: Frame, design: Design) -> None:
    """So must all that the model matrices and group codes are made from."""
    new = design.encoder.encode(data)
    refuse_difference("what the model needs, which is missing,", ~new.rows[design.rows])
    here = design.rows[new.rows]
    for name, found, column in zip(design.coef_names, new.X[here].T, design.X.T, strict=True):
        refuse_difference(f"the column '{name}'", differs(found, column))
    for grouping, codes in zip(design.groupings, new.codes, strict=True):
        refuse_difference(f"the grouping factor '{grouping.name}'", codes[here] != grouping.codes)
    for term, Z in zip(design.terms, new.Z, strict=True):
        different = np.asarray(differs(Z[here], term.Z).any(axis=1))
        refuse_difference(f"the columns of ({term.label})", different)


def differs(found: Array, fitted: Array) -> Mask:
    """Where numbers coded again are not those of the fit, rounding aside."""
    close = np.abs(found - fitted) <= SAME_NUMBER * np.abs(fitted).max(axis=0)
    return np.asarray(~close)


def refuse_difference(what: str, different: Mask) -> None:
    """Rows that are not those of the fit would be given values that belong to others."""
    if different.any():
        raise DataError(
            f"these are not the data of the fit: {what} differs in {int(different.sum())} of the rows used. "
            "augment() needs the rows of the fit in their order, with the values they had; sort them back, "
            "leave data out, or use predict(new) for other rows."
        )


def checked_columns(columns: dict[str, Array], data: Frame) -> dict[str, Array]:
    """Columns to add, none of which would overwrite one of the user's."""
    taken = sorted(set(columns) & set(read_table(data).names))
    if taken:
        raise DataError(f"augment() would overwrite the column '{taken[0]}' of the data; rename it first.")
    return columns


def rows_of_level(design: Design, group: object, factor: str | None) -> Indices:
    """Indices (m,) of the rows in one level of a grouping factor, by default of that with fewest levels."""
    grouping = named_grouping(design, factor)
    label = label_text(group)
    if label not in grouping.levels:
        near = get_close_matches(label, grouping.levels, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"its levels are {listed(grouping.levels)}."
        raise DataError(f"'{group}' is no level of {grouping.name}; {hint}")
    return np.flatnonzero(grouping.codes == grouping.levels.index(label))


def listed(levels: Sequence[str]) -> str:
    """The first levels, and how many more there are."""
    more = len(levels) - MOST_NAMED
    return ", ".join(levels[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def named_grouping(design: Design, factor: str | None) -> Grouping:
    """The grouping factor of that name, or the one with the fewest levels."""
    if factor is None:
        return min(design.groupings, key=lambda grouping: grouping.n_levels)
    for grouping in design.groupings:
        if grouping.name == factor:
            return grouping
    names = ", ".join(grouping.name for grouping in design.groupings)
    raise DataError(f"'{factor}' is no grouping factor of this fit; it has {names}.")


def refuse_wald_limits(conf_int: bool) -> None:
    """Variances have no symmetric limits worth printing."""
    if conf_int:
        raise ModelError(
            "symmetric (Wald) limits of variance parameters would mislead, so tidy('ran_pars') gives none; "
            "leave conf_int out."
        )
