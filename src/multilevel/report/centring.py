"""Centred variables as columns, and what a model that has them estimates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.clusters.centring import CentredVariable, Part
from multilevel.report.numbers import format_column, format_fixed
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns


def new_columns(variables: Sequence[CentredVariable], levels: Sequence[str]) -> dict[str, Part]:
    """The new columns by name."""
    return {name: part for variable in variables for name, part, _ in named_parts(variable, levels)}


def named_parts(variable: CentredVariable, levels: Sequence[str]) -> list[tuple[str, Part, str]]:
    """Name, values and level of each part of a variable: what is within first, then from coarse to fine."""
    if not levels:
        return [(f"{variable.name}_centred", variable.within, "")]
    between = (
        [f"{variable.name}_between"]
        if len(levels) == 1
        else [f"{variable.name}_between_{level}" for level in levels]
    )
    return [
        (f"{variable.name}_within", variable.within, ""),
        *zip(between, variable.between, levels, strict=True),
    ]


def parts_columns(variables: Sequence[CentredVariable], levels: Sequence[str]) -> Columns:
    """One row a new column."""
    rows = [(each.name, *part) for each in variables for part in named_parts(each, levels)]
    return {
        "column": [name for _, name, _, _ in rows],
        "variable": [variable for variable, *_ in rows],
        "level": [level for *_, level in rows],
        "mean": np.array([part.mean for _, _, part, _ in rows]),
        "sd": np.array([part.sd for _, _, part, _ in rows]),
        "share": np.array([part.share for _, _, part, _ in rows]),
    }


def centring_page(variables: Sequence[CentredVariable], levels: Sequence[str]) -> Summary:
    """The new columns, and how to read a model that has them."""
    columns = parts_columns(variables, levels)
    about = "the grand mean" if not levels else f"means of {', then of '.join(levels)}"
    cells = {
        "": columns["column"],
        "is": [
            meaning(variable, levels, k)
            for variable in variables
            for k in range(len(named_parts(variable, levels)))
        ],
        "Mean": format_column(columns["mean"]),
        "SD": format_column(columns["sd"]),
        "Share of variation": format_fixed(columns["share"], 4),
    }
    return Summary(
        title=f"Centred about {about}",
        facts=(),
        blocks=(Block("New columns", tuple(cells), tuple(zip(*cells.values(), strict=True)), n_labels=2),),
        notes=(
            *(grand_words(variables) if not levels else group_words(variables[0], levels)),
            *(line for variable in variables for line in data_words(variable, levels)),
        ),
    )


def meaning(variable: CentredVariable, levels: Sequence[str], k: int) -> str:
    """What the k-th part of a variable is."""
    x = variable.name
    if not levels:
        return f"{x} less its mean, {variable.mean:.6g}"
    if k == 0:
        return f"{x} less the mean of its {levels[-1]}"
    if k == 1:
        return f"mean of {x} in the {levels[0]}"
    return f"mean of {x} in the {levels[k - 1]} less that in the {levels[k - 2]}"


def grand_words(variables: Sequence[CentredVariable]) -> list[str]:
    """About the grand mean only the intercept changes."""
    names = ", ".join(variable.name for variable in variables)
    return [
        f"Put in the place of {names}, these columns make the intercept the expected response at the mean "
        "over all rows.",
        "Slopes stay what they were (unless there are products or powers, whose zero has moved). One that "
        "blends effects within and between groups still does; by= takes them apart.",
    ]


def group_words(variable: CentredVariable, levels: Sequence[str]) -> list[str]:
    """About group means there are two slopes or more; said for the first variable."""
    names = [name for name, *_ in named_parts(variable, levels)]
    return [
        f"Read y ~ {' + '.join(names)} + (1 | {'/'.join(levels)}) so:",
        f"Slope of {names[0]}: compares rows of one {levels[-1]}.",
        *(slope_words(name, levels, k) for k, name in enumerate(names[1:])),
        *(contextual_words(variable, levels[0]) if len(levels) == 1 else ()),
        intercept_words(variable, levels[0]),
        f"With {names[0]} alone, differences of {variable.name} between groups stay in their intercepts.",
    ]


def slope_words(name: str, levels: Sequence[str], k: int) -> str:
    """What the slope on the means of one level compares."""
    if k == 0:
        return f"Slope of {name}: compares groups by {levels[0]}, by their means."
    return f"Slope of {name}: compares groups by {levels[k]} of one {levels[k - 1]}, by their means."


def contextual_words(variable: CentredVariable, level: str) -> list[str]:
    """Where to go on."""
    call = f'ml.decompose_effect("y ~ {variable.name}", data, groups="{level}")'
    return [f"The difference of the two slopes is the contextual effect, which {call} tests."]


def intercept_words(variable: CentredVariable, level: str) -> str:
    """Where the zero of all parts is."""
    low, high = variable.range_of_means
    nowhere = "" if low <= 0.0 <= high else f" (none has: these means go from {low:.4g} to {high:.4g})"
    return (
        f"Intercept: the expected response at the mean of a {level} whose mean {variable.name} is 0"
        f"{nowhere}; center the means, too, to have that of an average one."
    )


def data_words(variable: CentredVariable, levels: Sequence[str]) -> list[str]:
    """What was missing, and groups that have nothing within."""
    words = []
    if variable.n_missing:
        lacking = "no value or no group" if levels else "no value"
        words.append(
            f"{variable.name}: {variable.n_missing} of {variable.n_total} rows have {lacking}; they enter no "
            "mean, and their new cells are empty."
        )
    if variable.n_alone:
        words.append(
            f"{variable.name}: {variable.n_alone} of {variable.n_groups[-1]} groups by {levels[-1]} "
            f"{'has' if variable.n_alone == 1 else 'have'} one row, and so nothing within."
        )
    return words
