"""Which variables does the fixed part depend on, and what values have they in the rows used?

A factor is a column of labels or truth values, or of numbers that the formula makes a factor of, as in
`factor(dose)`. Everything else is a covariate. Expressions whose value depends on other rows, `within(x, g)`
and `between(x, g)`, are variables themselves, and so is a factor made by `interaction(a, b)`: they have
values of their own on a grid, where their columns have none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

import numpy as np

from multilevel._typing import Array, Codes, Frame, Mask
from multilevel.design.columns import recode
from multilevel.design.design import Design
from multilevel.design.expressions import Value, columns_of, evaluate
from multilevel.design.factor import Factor
from multilevel.design.model_terms import expand_terms
from multilevel.frames.column import Categorical
from multilevel.frames.distinct import distinct_values
from multilevel.frames.labels import label_text
from multilevel.frames.output import Column
from multilevel.frames.table import Table, read_table

_FACTOR_CALL = re.compile(r"(factor|C|ordered|relevel)\(")
_VARIABLE_CALL = re.compile(r"\b(within|between|interaction)\(")


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the fixed part in the n rows used."""

    name: str
    levels: tuple[object, ...] | None  # of a factor (L,); None for a covariate
    codes: Codes | None  # (n,) which level each row has
    values: Array | None  # (n,) numbers: those of a covariate, and of a factor made of numbers

    @property
    def is_factor(self) -> bool:
        """Whether it has levels."""
        return self.levels is not None


Terms = tuple[tuple[str, ...], ...]  # for each term of the fixed part, the variables in it


def term_variables(design: Design, data: Frame) -> Terms:
    """The variables of each term."""
    available = read_table(data).names
    terms = expand_terms(design.formula.fixed)
    return tuple(tuple(dict.fromkeys(names_in(term, available))) for term in terms)


def names_in(expressions: Iterable[str], available: tuple[str, ...]) -> list[str]:
    """The variables that expressions are computed from."""
    return [
        name
        for expression in expressions
        for name in (
            (expression,)
            if expression in available or _VARIABLE_CALL.search(expression)
            else columns_of(expression, available)
        )
    ]


def model_variables(design: Design, data: Frame) -> dict[str, Variable]:
    """The variables of the fixed part and its offsets, in the order of the formula."""
    table = read_table(data)
    terms = chain.from_iterable(term_variables(design, data))
    offsets = names_in(design.formula.offsets, table.names)
    named = [design.encoder.offset] if isinstance(design.encoder.offset, str) else []
    return {name: read_variable(name, design, table) for name in dict.fromkeys([*terms, *offsets, *named])}


def read_variable(name: str, design: Design, table: Table) -> Variable:
    """One variable in the rows used."""
    value = value_in_rows(name, design, table)
    if isinstance(value, Factor):
        return Variable(name, value.levels, value.codes, None)
    if value.dtype == np.bool_:
        return Variable(name, (False, True), value.astype(np.int32), None)
    if is_coded(name, design, table.names):
        codes, levels = distinct_values(value)
        return Variable(name, tuple(levels), codes, np.asarray(value, dtype=np.float64))
    return Variable(name, None, None, np.asarray(value, dtype=np.float64))


def value_in_rows(name: str, design: Design, table: Table) -> Value:
    """What an expression computes with, or, for a variable that is an expression, what it gives."""
    rows = None if design.rows.all() else design.rows
    levels = design.encoder.levels
    if name in table.names:
        return recode(name, table.column(name), rows, levels.get(name))
    columns = {
        part: recode(part, table.column(part), rows, levels.get(part))
        for part in columns_of(name, table.names)
    }
    return evaluate(name, columns, design.encoder.sides.memory)


def is_coded(name: str, design: Design, available: tuple[str, ...]) -> bool:
    """Whether the formula makes a factor of a column of numbers."""
    return any(
        _FACTOR_CALL.match(expression) and columns_of(expression, available) == (name,)
        for expression in design.encoder.sides.codings
    )


def known_levels(variables: Iterable[Variable]) -> dict[str, tuple[object, ...]]:
    """Levels of the factors that are expressions, which the encoder does not know as columns."""
    return {v.name: v.levels for v in variables if v.levels is not None and _VARIABLE_CALL.search(v.name)}


def as_column(variable: Variable, values: Array | Codes) -> Column:
    """Values, or codes of levels, as a column that can be coded like the data of the fit."""
    if variable.levels is None:
        return values
    if variable.values is not None:
        return np.array(variable.levels, dtype=np.float64)[values]
    if variable.levels == (False, True):
        mask: Mask = np.asarray(values) == 1
        return mask
    return Categorical(np.asarray(values, dtype=np.int32), tuple(map(label_text, variable.levels)), False)
