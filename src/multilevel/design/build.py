"""From a formula and data to the arrays that a model is estimated from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

from multilevel._typing import Frame
from multilevel.design.arguments import RowNumbers, in_rows, read_given
from multilevel.design.columns import (
    known_levels,
    missing_in,
    read_columns,
    read_labels,
    refuse_columns_not_finite,
    usable,
    with_contrasts,
)
from multilevel.design.design import Design, Dropped
from multilevel.design.encoder import Encoder
from multilevel.design.expressions import COUNTS, Columns
from multilevel.design.model_terms import columns_of_all, columns_of_sides, formula_sides
from multilevel.design.observed import Observed, ResponseKind, observe
from multilevel.design.offsets import total_offset
from multilevel.design.random_terms import code_random_part, row_labels
from multilevel.design.rank import dropped_as_kept, independent_columns, take_columns
from multilevel.design.response import refuse_constant
from multilevel.design.rows import UsedRows, choose_rows
from multilevel.design.scale import refuse_extreme_columns
from multilevel.design.sides import LearnedSides, Matrix, learn_sides, own_columns
from multilevel.formula.terms import Formula
from multilevel.frames.table import read_table


def build_design(
    formula: Formula,
    data: Frame,
    *,
    weights: RowNumbers | None = None,
    freq_weights: RowNumbers | None = None,
    offset: RowNumbers | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str = "drop",
    response: ResponseKind = "number",
    extra_columns: Sequence[str] = (),
) -> Design:
    """The response, model matrices and group codes that a formula asks of the data.

    `weights` (precision), `freq_weights` (counts) and `offset` name a column or are one number a row.
    Rows with something missing in any column used, or in `extra_columns`, are left out and counted, or
    refused with `missing="raise"`. `response` says what the family takes on the left: a number, successes in
    trials, or ordered categories. Stateful functions (`scale`, `poly`, `within`) learn from the rows used.

    >>> from multilevel.formula.parse import parse_formula
    >>> data = {"y": [1.0, 2.0, 4.0, 3.0], "x": [0.0, 1.0, 0.0, 1.0], "g": ["a", "a", "b", "b"]}
    >>> design = build_design(parse_formula("y ~ x + (1 | g)"), data)
    >>> design.coef_names, design.groupings[0].levels, design.terms[0].names
    (('Intercept', 'x'), ('a', 'b'), ('Intercept',))
    """
    table = read_table(data)
    given = read_given(table, weights, freq_weights, offset)
    source = read_columns(table, _computed_columns(formula, table.names))
    labelled = read_labels(table, _label_columns(formula, table.names))
    extra = {name: table.column(name) for name in extra_columns}
    rows = choose_rows(
        table.n_rows, missing_in(source | labelled | extra) | given.missing(), given.counts, missing
    )
    arguments = in_rows(given, rows.mask)
    values = with_contrasts({name: usable(each, rows.mask) for name, each in source.items()}, contrasts)
    columns = values if arguments.freq_weights is None else {**values, COUNTS: arguments.freq_weights}
    sides, learned = _code_sides(formula, columns, rows)
    fixed, *left_of_bars = sides
    labels = partial(row_labels, table=table, rows=rows.mask, columns=columns, memory=learned.memory)
    random = code_random_part(formula.bars, left_of_bars, labels)
    kept = independent_columns(fixed.values, learned.intercept_of(0))
    observed = _response(response, formula, columns, learned, rows)
    return Design(
        formula=formula,
        y=observed.y,
        X=take_columns(fixed.values, kept),
        coef_names=tuple(fixed.names[j] for j in kept),
        groupings=random.groupings,
        terms=random.terms,
        weights=arguments.weights,
        freq_weights=arguments.freq_weights,
        offset=total_offset(
            formula.offsets,
            columns,
            learned.memory,
            given=arguments.offset,
            n=rows.n_used,
            rows=rows.mask,
        ),
        rows=rows.as_mask(),
        dropped=_dropped(rows, fixed, kept, learned.intercept_of(0)),
        encoder=Encoder(
            formula=formula,
            levels={name: known_levels(value) for name, value in values.items()},
            sides=learned,
            kept=kept,
            widths=tuple(term.n_columns for term in random.terms),
            term_groupings=tuple(term.grouping for term in random.terms),
            groups=random.coders,
            offset=_where_given(offset),
            weights=_where_given(weights),
            response=response,
            categories=observed.categories,
        ),
        frame_kind=table.kind,
        trials=observed.trials,
        categories=observed.categories,
    )


def columns_needed(formula: Formula, available: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that a formula needs, of those available."""
    return (*_computed_columns(formula, available), *_label_columns(formula, available))


def _computed_columns(formula: Formula, available: tuple[str, ...]) -> tuple[str, ...]:
    """Columns that something is computed from: response, predictors, offsets, computed groups."""
    groups = chain.from_iterable(bar.factor for bar in formula.bars)
    computed = (group for group in groups if group not in available)
    expressions = [*formula.response.expressions, *formula.offsets, *computed]
    return (*columns_of_all(expressions, available), *columns_of_sides(formula_sides(formula), available))


def _label_columns(formula: Formula, available: tuple[str, ...]) -> list[str]:
    """Columns that only say which group a row belongs to."""
    return [part for bar in formula.bars for part in bar.factor if part in available]


def _code_sides(formula: Formula, columns: Columns, rows: UsedRows) -> tuple[list[Matrix], LearnedSides]:
    """Model matrices of the fixed part and of what stands left of each bar."""
    sides, learned = learn_sides(formula_sides(formula), columns, rows.n_used)
    for side in own_columns(sides):
        refuse_columns_not_finite(side.names, side.values, columns, rows.mask)
        refuse_extreme_columns(side.names, side.values)
    return sides, learned


def _response(
    kind: ResponseKind, formula: Formula, columns: Columns, learned: LearnedSides, rows: UsedRows
) -> Observed:
    observed = observe(kind, formula.response, columns, learned.memory, rows.n_used, rows.mask)
    share = observed.y if observed.trials is None else observed.y / observed.trials
    refuse_constant(share, formula.response.text)
    refuse_extreme_columns([formula.response.text], observed.y[:, None])
    return observed


def _dropped(rows: UsedRows, fixed: Matrix, kept: tuple[int, ...], intercept: int | None) -> Dropped:
    dependent = tuple(name for j, name in enumerate(fixed.names) if j not in kept)
    combinations = dropped_as_kept(fixed.values, kept, intercept)
    return Dropped(rows.n_total, rows.n_missing, rows.missing_by_column, dependent, combinations)


def _where_given(given: RowNumbers | None) -> str | bool:
    """The column that an argument named; True when it was an array, False when it was not given."""
    return given if isinstance(given, str) else given is not None
