"""Blocks of a summary that more than one kind of model prints."""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Dropped
from multilevel.inference.wald import CoefficientTable
from multilevel.report.numbers import format_column, format_fixed, format_p, format_with_outliers
from multilevel.report.summary import WIDTH, Block

MOST_CORRELATIONS = 20  # coefficients; the correlations of more would fill pages


def residual_block(title: str, residuals: Array, counts: Array | None) -> Block:
    """Smallest, quartiles and largest of the residuals (n,), each row counted as often as `counts` says.

    Rows without a residual (NaN) are left out.
    """
    values = residuals if counts is None else np.repeat(residuals, counts.astype(int))
    defined = values[~np.isnan(values)]
    quantiles = np.quantile(defined if len(defined) else [np.nan], [0.0, 0.25, 0.5, 0.75, 1.0])
    return Block(
        title, ("Min", "1Q", "Median", "3Q", "Max"), (tuple(format_fixed(quantiles, 4)),), n_labels=0
    )


def coefficient_block(table: CoefficientTable, title: str = "Fixed effects") -> Block:
    """Coefficients with standard errors and whatever test the table holds."""
    columns = {
        "": list(table.term),
        "Estimate": format_column(table.estimate, 5),
        "Std. Error": format_with_outliers(table.std_error, 4),
        **({} if table.df is None else {"df": format_fixed(table.df, 1)}),
        "z value" if table.df is None and table.p_value is not None else "t value": format_fixed(
            table.statistic, 3
        ),
        **({} if table.p_value is None else {"p": format_p(table.p_value)}),
    }
    return Block(title, tuple(columns), tuple(zip(*columns.values(), strict=True)))


def correlation_blocks(names: tuple[str, ...], vcov: Array) -> tuple[Block, ...]:
    """Correlations of the coefficients below the diagonal; nothing for one coefficient or for very many."""
    if not 1 < len(names) <= MOST_CORRELATIONS:
        return ()
    sd = np.sqrt(np.diag(vcov))
    correlation = vcov / np.outer(sd, sd)
    labels, header = correlation_labels(names)
    blanks = [""] * (len(names) - 1)
    rows = tuple(
        (labels[i], *(format_fixed(correlation[i, :i], 3) + blanks)[: len(names) - 1])
        for i in range(1, len(names))
    )
    return (Block("Correlation of fixed effects", header, rows),)


def correlation_labels(names: tuple[str, ...]) -> tuple[list[str], tuple[str, ...]]:
    """Row labels and header: the names, or numbers above the columns where the names would be too wide."""
    if sum(max(len(name), 6) + 2 for name in names[:-1]) <= WIDTH - max(map(len, names)):
        return list(names), ("", *names[:-1])
    numbers = [str(k + 1) for k in range(len(names))]
    return [f"{number} {name}" for number, name in zip(numbers, names, strict=True)], ("", *numbers[:-1])


def dropped_notes(dropped: Dropped) -> list[str]:
    """Sentences that name the rows and columns that were left out."""
    notes = []
    if dropped.n_missing:
        columns = ", ".join(f"{name} {count}" for name, count in dropped.missing_by_column.items() if count)
        notes.append(
            f"{dropped.n_missing} of {dropped.n_total} rows were dropped for missing values ({columns})."
        )
    if dropped.columns:
        notes.append(
            "Dropped, because they are linear combinations of the columns before them: "
            + ", ".join(dropped.columns)
            + "."
        )
    return notes
