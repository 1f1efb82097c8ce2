"""Marginal means, contrasts and effects as tables and on a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from multilevel._typing import Array
from multilevel.inference.coefficients import FTest
from multilevel.inference.contrast_tests import AdjustedContrasts, Adjustment
from multilevel.inference.contrasts import Contrasts
from multilevel.inference.emmeans import Averaging, value_text
from multilevel.inference.linear_functions import Estimated
from multilevel.inference.multiplicity import WITHOUT_LIMITS
from multilevel.inference.wald import critical_value, two_sided_p
from multilevel.report.numbers import (
    LARGEST_FIXED,
    SMALLEST_FIXED,
    decimals,
    format_column,
    format_fixed,
    format_p,
)
from multilevel.report.summary import Block

Columns = dict[str, Any]  # name -> column, ready for frames.output.to_frame
NUMBERS = ("estimate", "std_error", "statistic", "df", "df_num", "df_den", "p_value", "conf_low", "conf_high")
ADJUSTED = {  # how a note names a method
    "tukey": "Tukey's method",
    "holm": "Holm's method",
    "bonferroni": "Bonferroni's method",
    "sidak": "Sidak's method",
    "mvt": "the multivariate t distribution of the estimates",
    "fdr": "the false discovery rate (Benjamini and Hochberg)",
}


# Columns -----------------------------------------------------------------------------------------------


def estimate_columns(labels: Mapping[str, Sequence[object]], found: Estimated, level: float) -> Columns:
    """Estimates between their confidence limits."""
    half = critical_value(level, found.df) * found.std_error
    return {
        **labels,
        "estimate": found.estimate,
        "std_error": found.std_error,
        "df": found.df,
        "conf_low": found.estimate - half,
        "conf_high": found.estimate + half,
    }


def with_log_limits(columns: Columns, level: float) -> Columns:
    """Limits of means that are positive, formed about their logarithms."""
    estimate, std_error = columns["estimate"], columns["std_error"]
    relative = std_error / np.where(estimate > 0.0, estimate, np.nan)
    spread = np.exp(critical_value(level, columns["df"]) * relative)
    return {**columns, "conf_low": estimate / spread, "conf_high": estimate * spread}


def test_columns(labels: Mapping[str, Sequence[object]], found: Estimated, null: float) -> Columns:
    """Tests that each estimate is `null`."""
    statistic = (found.estimate - null) / np.where(found.std_error > 0.0, found.std_error, np.nan)
    return {
        **labels,
        "estimate": found.estimate,
        "std_error": found.std_error,
        "statistic": statistic,
        "df": found.df,
        "p_value": two_sided_p(statistic, found.df),
    }


def effect_columns(labels: Mapping[str, Sequence[object]], found: Estimated, level: float) -> Columns:
    """Tests against zero, and confidence limits."""
    limits = estimate_columns({}, found, level)
    tests = test_columns(labels, found, 0.0)
    return {**tests, "conf_low": limits["conf_low"], "conf_high": limits["conf_high"]}


def contrast_columns(contrasts: Contrasts, tested: AdjustedContrasts, limits: bool = True) -> Columns:
    """Contrasts with adjusted tests and, unless left out, adjusted limits."""
    found = tested.estimated
    columns: Columns = {
        **contrasts.groups,
        **contrasts.labels,
        "estimate": found.estimate,
        "std_error": found.std_error,
        "statistic": tested.statistic,
        "df": found.df,
        "p_value": tested.p_value,
    }
    if limits:
        columns["conf_low"] = found.estimate - tested.half_width
        columns["conf_high"] = found.estimate + tested.half_width
    return columns


def joint_columns(labels: Mapping[str, Sequence[object]], tests: Sequence[FTest | None]) -> Columns:
    """F tests; NaN where there is nothing to test."""
    nothing = FTest(np.nan, 0.0, np.nan, np.nan)
    made = [test or nothing for test in tests]
    return {
        **labels,
        "statistic": np.array([test.statistic for test in made]),
        "df_num": np.array([test.df_num for test in made]),
        "df_den": np.array([test.df_den for test in made]),
        "p_value": np.array([test.p_value for test in made]),
    }


# Blocks --------------------------------------------------------------------------------------------------


def group_blocks(columns: Columns, by: Sequence[str], title: str) -> tuple[Block, ...]:
    """One table for each group of rows, which follow one another."""
    labels = [name for name in columns if name not in NUMBERS and name not in by]
    cells = {**{name: list(map(value_text, columns[name])) for name in labels}, **number_cells(columns)}
    headings = group_headings(columns, by, title)
    rows = list(zip(*cells.values(), strict=True))
    titles = list(dict.fromkeys(headings))
    return tuple(
        Block(
            each,
            tuple(cells),
            tuple(row for row, heading in zip(rows, headings, strict=True) if heading == each),
            n_labels=len(labels),
        )
        for each in titles
    )


def group_headings(columns: Columns, by: Sequence[str], title: str) -> list[str]:
    """For each row, the title of its table."""
    values = [[f"{name} = {value_text(value)}" for value in columns[name]] for name in by]
    return [", ".join(row) for row in zip(*values, strict=True)] or [title] * len(columns["estimate"])


def number_cells(columns: Columns) -> dict[str, list[str]]:
    """Formatted columns of numbers, those that are there."""
    places = common_decimals(columns)
    written: dict[str, tuple[str, Any]] = {
        "estimate": ("Estimate", places),
        "std_error": ("Std. Error", places),
        "conf_low": ("Lower", places),
        "conf_high": ("Upper", places),
        "df": ("df", lambda x: format_fixed(x, 1)),
        "statistic": (statistic_name(columns["df"]), lambda x: format_fixed(x, 3)),
        "p_value": ("p", format_p),
    }
    return {title: write(columns[name]) for name, (title, write) in written.items() if name in columns}


def common_decimals(columns: Columns) -> Callable[[Array], list[str]]:
    """One count of decimals for estimates, errors and limits: three digits of the least standard error."""
    sizes = sorted(columns["std_error"][columns["std_error"] > 0.0].tolist())
    largest = np.nanmax(np.abs(columns["estimate"]), initial=0.0)
    if not sizes or sizes[0] < SMALLEST_FIXED or largest >= LARGEST_FIXED:
        return lambda values: format_column(values, 5)
    return lambda values: format_fixed(values, decimals(sizes, 3))


def statistic_name(df: Array) -> str:
    """Student's t, or the normal z where all df are infinite."""
    return "z" if len(df) and bool(np.isinf(df[~np.isnan(df)]).all()) else "t"


# Words ---------------------------------------------------------------------------------------------------


def averaging_facts(averaging: Averaging, method: str, level: float) -> tuple[tuple[str, str], ...]:
    """How the means were made."""
    over = f"{', '.join(averaging.averaged_over)} ({weights_words(averaging.weights)})"
    held = ", ".join(f"{name} = {value_text(value)}" for name, value in averaging.held.items())
    return (
        *((("Averaged over", over),) if averaging.averaged_over else ()),
        *((("Held at", held),) if held else ()),
        ("Uncertainty", f"{method}, {100 * level:.6g}% limits"),
    )


def weights_words(weights: str) -> str:
    """What the weights of an average are."""
    return {
        "equal": "all levels count alike",
        "proportional": "levels count as often as they occur",
        "outer": "levels count as often as they occur, factor by factor",
        "cells": "cells count as often as they occur",
        "flat": "cells that occur count alike",
    }[weights]


def interaction_notes(averaging: Averaging, names: Sequence[str]) -> list[str]:
    """What to beware of in averages."""
    if not averaging.interacting:
        return []
    others = " and ".join(averaging.interacting)
    return [
        f"{' and '.join(names)} may act differently at other values of {others}, with which the model has an "
        "interaction: look at the differences there too."
    ]


def unknown_notes(std_error: Array, averaging: Averaging, dropped: Sequence[str]) -> list[str]:
    """Why there are rows without numbers, and what can be done."""
    count = int(np.isnan(std_error).sum())
    if not count:
        return []
    why = f" (for which the fit dropped {', '.join(dropped)})" if dropped else ""
    over = averaging.averaged_over and averaging.weights != "cells"
    way_out = ' weights="cells" averages over the combinations that occur.' if over else ""
    return [
        f"{count} of these cannot be estimated: the data lack combinations of levels, or do not tell terms "
        f"apart{why}.{way_out}"
    ]


def adjustment_notes(contrasts: Contrasts, adjustment: Adjustment) -> list[str]:
    """How p-values and limits allow for the number of contrasts."""
    k, m = contrasts.matrix.shape
    if k == 1:
        return []
    where = " in each group" if contrasts.n_groups > 1 else ""
    method = adjustment.method
    if method == "none":
        return [f"P-values and limits are not adjusted for looking at {k} contrasts{where}."]
    family = f"a family of {m} means" if method == "tukey" else f"{k} contrasts"
    if method in WITHOUT_LIMITS:
        return [
            f"P-values are adjusted by {ADJUSTED[method]} for {family}{where}; limits by Bonferroni's "
            "method, since this one has none."
        ]
    return [f"P-values and limits are adjusted by {ADJUSTED[method]} for {family}{where}."]
