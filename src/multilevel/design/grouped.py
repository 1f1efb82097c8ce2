"""A formula without random effects, and the groups that the rows belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from multilevel._typing import Frame
from multilevel.design.arguments import RowNumbers
from multilevel.design.build import build_design
from multilevel.design.clustered import group_parts, labels_in_rows
from multilevel.design.columns import INTERCEPT
from multilevel.design.design import Design, Grouping
from multilevel.design.grouping import code_groups
from multilevel.design.model_terms import columns_of_all, columns_of_sides
from multilevel.errors import FormulaError, ModelError
from multilevel.formula.parse import parse_formula
from multilevel.formula.terms import Formula
from multilevel.frames.table import Table, read_table


@dataclass(frozen=True, slots=True)
class GroupedDesign:
    """The design of a linear predictor with an intercept, beside a grouping of its rows."""

    design: Design
    grouping: Grouping


def grouped_design(
    formula: str,
    data: Frame,
    groups: str,
    *,
    freq_weights: RowNumbers | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str = "drop",
) -> GroupedDesign:
    """The columns of a formula in the rows whose group is known.

    `groups` names a column, or several whose combinations are the groups, as "batch:cask".

    >>> data = {"y": [1.0, 2.0, 4.0, 3.0], "x": [0.0, 1.0, 0.0, 1.0], "g": ["a", "a", "b", "b"]}
    >>> found = grouped_design("y ~ x", data, "g")
    >>> found.design.coef_names, found.grouping.levels
    (('Intercept', 'x'), ('a', 'b'))
    """
    terms, table = parse_formula(formula), read_table(data)
    parts = group_parts(groups, table)
    refuse_bars(terms, groups)
    refuse_groups_as_predictors(terms, parts, table)
    design = build_design(
        terms, data, freq_weights=freq_weights, contrasts=contrasts, missing=missing, extra_columns=parts
    )
    refuse_no_intercept(design)
    labels = [labels_in_rows(table.labels(part), design.rows) for part in parts]
    grouping, _ = code_groups(parts, labels)
    refuse_one_group(grouping)
    return GroupedDesign(design, grouping)


def refuse_bars(terms: Formula, groups: str) -> None:
    """Which effects vary by group is for this function to say."""
    if terms.bars:
        raise FormulaError(
            f"'{terms.text}' has random effects, {terms.bars[0].text}; leave them out: groups={groups!r} "
            "says what the groups are, and slopes=True lets slopes vary between them."
        )


def refuse_groups_as_predictors(terms: Formula, parts: list[str], table: Table) -> None:
    """Indicators of the groups leave nothing between groups."""
    used = set(columns_of_sides([terms.fixed], table.names))
    explained = set(columns_of_all(terms.response.expressions, table.names))
    for part in parts:
        if part in explained:
            raise FormulaError(f"'{part}' names the groups and is the response of '{terms.text}', too.")
        if part in used:
            raise FormulaError(
                f"'{part}' names the groups and is a predictor in '{terms.text}', too; leave it out there: "
                "the effect within groups already compares rows of one group only."
            )


def refuse_no_intercept(design: Design) -> None:
    """Means are what groups are compared by."""
    if INTERCEPT not in design.coef_names:
        raise FormulaError(
            f"'{design.formula.text}' has no intercept, without which effects within and between groups "
            "cannot be compared; leave the 0 or the -1 out."
        )


def refuse_one_group(grouping: Grouping) -> None:
    """Between one group and itself nothing differs."""
    if grouping.n_levels < 2:
        raise ModelError(
            f"'{grouping.name}' has one group, '{grouping.levels[0]}', so there is nothing between groups; "
            "check groups=, or the rows that are left. Within one group use ml.ols."
        )
