"""How are new data coded as the data of the fit were?"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from multilevel._typing import Array, Codes, Frame, Mask
from multilevel.design.arguments import read_numbers
from multilevel.design.columns import missing_rows, read_columns, recode, refuse_columns_not_finite
from multilevel.design.expressions import Value, evaluate
from multilevel.design.grouping import FoundLevels, GroupCoder, find_groups
from multilevel.design.model_terms import columns_of_all, columns_of_sides
from multilevel.design.observed import ResponseKind, category_of, count_of, observe
from multilevel.design.offsets import total_offset
from multilevel.design.random_terms import row_labels
from multilevel.design.rank import take_columns
from multilevel.design.sides import LearnedSides, Matrix, apply_sides
from multilevel.errors import DataError
from multilevel.formula.terms import Formula
from multilevel.frames.table import Column, Table, read_table


@dataclass(frozen=True, slots=True)
class NewRows:
    """New data, coded: the k complete rows among those given."""

    X: Array  # (k, p) the columns that the fit kept
    Z: tuple[Array, ...]  # for each term (k, q); zero for terms that were not asked for
    codes: tuple[Codes, ...]  # for each grouping (k,); -1 where the level is new or was not asked for
    new_codes: tuple[Codes, ...]  # for each grouping (k,) index into new_levels; -1 where the level is known
    new_levels: tuple[tuple[str, ...], ...]  # for each grouping, labels that the fit has not seen
    offset: Array | None  # (k,)
    weights: Array | None  # (k,) precision weights, where the fit took them from a column that is here
    rows: Mask  # (n,) True for the complete rows; the others cannot be predicted

    @property
    def n_rows(self) -> int:
        """Complete rows k."""
        return len(self.X)


@dataclass(frozen=True, slots=True)
class Encoder:
    """All that was learned from the data of the fit about coding, and no data."""

    formula: Formula
    levels: dict[str, tuple[object, ...] | None]  # column computed with -> its levels; None for numbers
    sides: LearnedSides  # the fixed part, then the left side of each bar
    kept: tuple[int, ...]  # columns of the fixed part that the fit kept
    widths: tuple[int, ...]  # (terms,) number of columns of each bar
    term_groupings: tuple[int, ...]  # (terms,) index of each bar's grouping factor
    groups: tuple[GroupCoder, ...]  # for each grouping factor
    offset: str | bool  # column that offset= named; True for an array, False for none
    weights: str | bool  # the same for weights=
    response: ResponseKind = "number"  # what the left side is
    categories: tuple[str, ...] = ()  # of an ordered response

    def encode(
        self, data: Frame, groupings: Collection[int] | None = None, *, every_term: bool = False
    ) -> NewRows:
        """Code new data as those of the fit; the response is not needed.

        `groupings` are the indices of the grouping factors wanted (all by default): the columns of the
        others, and of terms on them, need not be there; `every_term` wants the columns left of every bar
        all the same, since the variance of a group that is not known depends on them. Incomplete rows
        are left out and marked in `rows`. New levels of a grouping factor are given to the caller; a new
        level of a factor in the fixed part or left of a bar is an error, since it has no coefficient.
        """
        table = read_table(data)
        wanted = frozenset(range(len(self.groups)) if groupings is None else groupings)
        terms = tuple(t for t, g in enumerate(self.term_groupings) if every_term or g in wanted)
        new = _read(self, table, wanted, terms)
        X, *Z = apply_sides(self.sides, [0, *(t + 1 for t in new.terms)], new.columns, new.n)
        for side in (X, *Z):
            refuse_columns_not_finite(side.names, side.values, new.columns, new.rows)
        found = [_find(self, g, table, new) for g in range(len(self.groups))]
        return NewRows(
            X=take_columns(X.values, self.kept),
            Z=_every_term(self, new, Z),
            codes=tuple(levels.codes for levels in found),
            new_codes=tuple(levels.new_codes for levels in found),
            new_levels=tuple(levels.new_labels for levels in found),
            offset=total_offset(
                self.formula.offsets,
                new.columns,
                self.sides.memory,
                given=new.offset,
                n=new.n,
                rows=new.rows,
            ),
            weights=new.weights,
            rows=new.rows,
        )

    def encode_response(self, data: Frame) -> Array:
        """The response in new data (n,); NaN where something it needs is missing."""
        table = read_table(data)
        names = columns_of_all(self.formula.response.expressions, table.names)
        source = read_columns(table, names)
        rows = _complete(table.n_rows, source.values())
        columns = _recode(self, source, rows)
        n = int(np.count_nonzero(rows))
        y = np.full(table.n_rows, np.nan)
        response, memory = self.formula.response, self.sides.memory
        if self.response == "ordered":
            y[rows] = category_of(
                self.categories, response, evaluate(response.expressions[0], columns, memory)
            )
        else:
            y[rows] = observe(self.response, response, columns, memory, n, rows).y
        return y

    def encode_trials(self, data: Frame) -> Array | None:
        """Trials in new data (n,), NaN where missing; None where there are none, or no columns of them."""
        response, table = self.formula.response, read_table(data)
        if response.kind == "single":
            return None
        told = response.expressions[1:] if response.kind == "ratio" else response.expressions
        needed = columns_of_all(told, table.names)
        if not needed or not set(needed) <= set(table.names):  # predictors alone
            return None
        source = read_columns(table, needed)
        rows = _complete(table.n_rows, source.values())
        columns, n = _recode(self, source, rows), int(np.count_nonzero(rows))
        trials = np.full(table.n_rows, np.nan)
        values = [count_of(each, evaluate(each, columns, self.sides.memory), n, rows) for each in told]
        trials[rows] = np.sum(values, axis=0)
        return trials


@dataclass(frozen=True, slots=True)
class _NewColumns:
    """What new data hold in their k complete rows."""

    rows: Mask  # (n_total,)
    n: int  # k
    wanted: frozenset[int]  # grouping factors
    terms: tuple[int, ...]  # terms whose columns are coded
    columns: dict[str, Value]
    offset: Array | None  # (k,)
    weights: Array | None  # (k,)


def _read(encoder: Encoder, table: Table, wanted: frozenset[int], terms: tuple[int, ...]) -> _NewColumns:
    source = read_columns(table, _needed(encoder, table.names, wanted, terms))
    groups = [table.labels(name) for name in _group_columns(encoder, table.names, wanted)]
    offset = read_numbers("offset", _offset_column(encoder), table)
    weights = read_numbers("weights", _weights_column(encoder, table.names), table)
    given = [column for column in (offset, weights) if column is not None]
    rows = _complete(table.n_rows, [*source.values(), *groups, *given])
    return _NewColumns(
        rows=rows,
        n=int(np.count_nonzero(rows)),
        wanted=wanted,
        terms=terms,
        columns=_recode(encoder, source, rows),
        offset=None if offset is None else offset.values[rows],
        weights=None if weights is None else weights.values[rows],
    )


def _needed(
    encoder: Encoder, available: tuple[str, ...], wanted: frozenset[int], terms: tuple[int, ...]
) -> tuple[str, ...]:
    """Columns that something is computed from."""
    formula = encoder.formula
    parts = chain.from_iterable(encoder.groups[g].expressions for g in sorted(wanted))
    computed = [part for part in parts if part not in available]
    sides = [formula.fixed, *(formula.bars[t].effects for t in terms)]
    return columns_of_sides(sides, available) + columns_of_all([*formula.offsets, *computed], available)


def _group_columns(encoder: Encoder, available: tuple[str, ...], wanted: frozenset[int]) -> list[str]:
    """Columns that are read as labels only."""
    parts = chain.from_iterable(encoder.groups[g].expressions for g in sorted(wanted))
    return [part for part in parts if part in available]


def _offset_column(encoder: Encoder) -> str | None:
    if encoder.offset is True:
        raise DataError(
            "offset= was an array when the model was fitted, so it is not known for new data; "
            "fit with offset(column) in the formula, or with offset='column'."
        )
    return encoder.offset or None


def _weights_column(encoder: Encoder, available: tuple[str, ...]) -> str | None:
    """New data may come without weights: only some predictions ask for them."""
    return encoder.weights if isinstance(encoder.weights, str) and encoder.weights in available else None


def _complete(n: int, columns: Iterable[Column]) -> Mask:
    """Rows (n,) in which no column is missing."""
    missing = [mask for mask in map(missing_rows, columns) if mask is not None]
    return ~np.logical_or.reduce(missing) if missing else np.ones(n, dtype=np.bool_)


def _recode(encoder: Encoder, source: dict[str, Column], rows: Mask) -> dict[str, Value]:
    return {name: recode(name, column, rows, encoder.levels.get(name)) for name, column in source.items()}


def _find(encoder: Encoder, grouping: int, table: Table, new: _NewColumns) -> FoundLevels:
    if grouping not in new.wanted:
        nowhere = np.full(new.n, -1, dtype=np.int32)
        return FoundLevels(nowhere, nowhere, ())
    coder = encoder.groups[grouping]
    labels = [
        row_labels(part, table, new.rows, new.columns, encoder.sides.memory) for part in coder.expressions
    ]
    return find_groups(coder, labels)


def _every_term(encoder: Encoder, new: _NewColumns, matrices: Sequence[Matrix]) -> tuple[Array, ...]:
    """Columns of each term, zero for those that were not asked for."""
    known = dict(zip(new.terms, matrices, strict=True))
    return tuple(
        known[t].values if t in known else np.zeros((new.n, width), order="F")
        for t, width in enumerate(encoder.widths)
    )
