"""Pooled fits, as tables and as a page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.inference.rubin import Pooled
from multilevel.inference.wald import CoefficientTable
from multilevel.report.blocks import coefficient_block
from multilevel.report.numbers import format_column, format_fixed
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns

ASSUMES = (
    "Pooled estimates are as good as the imputations: these must hold for data that are missing at "
    "random (MAR) "
    "given what the imputation model knew, and that model must know what this one uses (the response and the "
    "groups, too). Whether data are missing because of what was not seen cannot be told from them: see "
    "ml.delta_sensitivity."
)


def pooled_columns(pooled: Pooled) -> Columns:
    """What pooling adds to a table of coefficients, one row a coefficient."""
    return {
        "within": pooled.within,
        "between": pooled.between,
        "riv": pooled.increase,
        "lambda": pooled.share_missing,
        "fmi": pooled.missing_information,
        "relative_efficiency": pooled.efficiency,
    }


def pooled_page(
    title: str,
    facts: Sequence[tuple[str, str]],
    table: CoefficientTable,
    pooled: Pooled,
    notes: Sequence[str],
) -> Summary:
    """Coefficients with their tests, and what the missing values cost each."""
    return Summary(
        title=title,
        facts=tuple(facts),
        blocks=(coefficient_block(table, "Coefficients (Rubin's rules)"), cost_block(table.term, pooled)),
        notes=(*notes, enough_sentence(table.term, pooled), ASSUMES),
    )


def cost_block(terms: Sequence[str], pooled: Pooled) -> Block:
    """Variances within and between data sets, and shares."""
    cells = {
        "": list(terms),
        "Within": format_column(pooled.within, 4),
        "Between": format_column(pooled.between, 4),
        "lambda": format_fixed(pooled.share_missing, 3),
        "FMI": format_fixed(pooled.missing_information, 3),
        "Efficiency": format_fixed(pooled.efficiency, 3),
    }
    return Block("What missing values cost", tuple(cells), tuple(zip(*cells.values(), strict=True)))


def enough_sentence(terms: Sequence[str], pooled: Pooled) -> str:
    """Are there enough data sets? White, Royston and Wood (2011): one for each percent of missing "
    "information."""
    most = int(np.argmax(pooled.missing_information))
    largest = float(pooled.missing_information[most])
    if largest == 0.0:
        return "The data sets give the same estimates: nothing that matters to the coefficients was imputed."
    needed = int(np.ceil(100.0 * largest))
    said = f"At most {100.0 * largest:.0f}% of the information is missing ({terms[most]})"
    if pooled.m >= needed:
        return f"{said}; {pooled.m} data sets are enough for results that another {pooled.m} would repeat."
    return (
        f"{said}; {pooled.m} data sets give estimates, but standard errors and p-values would change with "
        "other "
        f"imputations: a rule of thumb asks for {needed} (White, Royston and Wood 2011)."
    )
