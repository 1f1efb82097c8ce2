"""A study in which all but the responses is known: its columns, its design, and responses when they come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Frame, Mask
from multilevel.design.build import columns_needed
from multilevel.design.glmm import GLMMDesign, build_glmm_design
from multilevel.errors import DataError, FormulaError
from multilevel.families.family import Family
from multilevel.formula.parse import parse_formula
from multilevel.formula.terms import Formula
from multilevel.frames.column import Categorical, Numeric
from multilevel.frames.output import to_frame, with_columns
from multilevel.frames.table import read_table

Numbers = npt.NDArray[Any] | Numeric
COUNTS = (
    *("binomial", "poisson", "nbinom2", "nbinom1", "beta_binomial"),
    *("truncated_poisson", "truncated_nbinom2", "truncated_nbinom1"),
)
NO_THRESHOLDS = "an ordinal response needs thresholds=, as in thresholds=(-1, 0, 1.5) for four categories."


@dataclass(frozen=True, slots=True)
class Study:
    """Columns and design of n rows that have no responses yet."""

    frame: Frame  # with a stand-in for the response: a frame, or a mapping of columns
    design: GLMMDesign
    response: str  # its column
    rows: Mask  # (N,) rows of the frame that are complete
    whole: bool  # whether responses are counts

    def with_response(self, y: Array, lost: Mask | None = None) -> Frame:
        """The data set with a response (n,); null in rows that are incomplete or lost."""
        rows, values = self.rows, y
        if lost is not None and lost.any():
            rows = self.rows.copy()
            rows[np.flatnonzero(self.rows)[lost]] = False
            values = y[~lost]
        if isinstance(self.frame, Mapping):
            return {**self.frame, self.response: spread(self._column(values), rows)}
        return with_columns(self.frame, {self.response: self._column(values)}, rows)

    def _column(self, y: Array) -> Numbers:
        """A drawn response as a data set has it: counts as integers, ordered categories from 1."""
        if self.design.categories:
            return Numeric(y + 1.0, integer=True, missing=None)
        return Numeric(y, integer=True, missing=None) if self.whole else y


def spread(column: Numbers, rows: Mask | None) -> Any:
    """A column of a mapping, with NaN in rows that have no value."""
    values = np.asarray(column.values if isinstance(column, Numeric) else column, dtype=np.float64)
    if rows is None or rows.all():
        return values
    whole = np.full(len(rows), np.nan)
    whole[rows] = values
    return whole


def as_series(name: str, column: Categorical) -> Any:
    """Labels in their order, as a mapping of columns can hold them."""
    return to_frame({name: column}, "pandas")[name]


def plain_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Planned columns as a mapping: quicker than a frame, and read alike."""
    return {
        name: as_series(name, column) if isinstance(column, Categorical) else column
        for name, column in columns.items()
    }


def make_study(formula: str, family: Family, data: Frame, n_thresholds: int) -> Study:
    """Code the formula on data without a response."""
    parsed = parse_formula(formula)
    name = response_name(parsed, family)
    table = read_table(data)
    if table.n_rows < 2:
        raise DataError(f"the design has {table.n_rows} rows; a study needs more.")
    for column in columns_needed(parsed, table.names):
        if column != name:
            table.labels(column)  # a mistake in a name is said in the words of the user's columns
    stand_in = stand_in_response(parsed, family, table.n_rows, n_thresholds, table.names)
    frame = (
        {**data, name: spread(stand_in, None)}
        if isinstance(data, Mapping)
        else with_columns(data, {name: stand_in})
    )
    design = build_glmm_design(parsed, frame, family.response)
    return Study(frame, design, name, design.main.rows, family.density in COUNTS)


def response_name(formula: Formula, family: Family) -> str:
    """The column that is simulated: what stands left, by itself or as successes / trials."""
    response = formula.response
    name = response.expressions[0]
    plain = name.isidentifier() or name.startswith("Q(")
    if response.kind == "cbind" or not plain:
        raise FormulaError(
            f"'{response.text}' on the left cannot be simulated; name one column, 'y ~ ...', or for binomial "
            "responses 'successes / trials ~ ...' with the column of trials in the design. What is computed "
            "from a response is simulated as a column of its own."
        )
    if response.kind == "ratio" and family.response != "trials":
        raise FormulaError(f"'{response.text}' means successes out of trials, which a {family.name} has not.")
    return name.removeprefix("Q('").removesuffix("')")


def stand_in_response(
    formula: Formula, family: Family, n: int, n_thresholds: int, available: tuple[str, ...]
) -> npt.NDArray[Any]:
    """Something that stands where the response will be, so that the design can be coded."""
    turn = np.arange(n)
    if formula.response.kind == "ratio":
        trials = formula.response.expressions[1]
        if not trials.isdigit() and trials not in available:
            raise DataError(f"there is no column '{trials}' of trials in the design.")
        return turn % 2
    match family.response:
        case "trials":
            return turn % 2
        case "ordered":
            if not n_thresholds:
                raise DataError(NO_THRESHOLDS)
            if n <= n_thresholds:
                raise DataError(f"{n} rows cannot show {n_thresholds + 1} ordered categories.")
            return turn % (n_thresholds + 1) + 1
    return turn.astype(np.float64)
