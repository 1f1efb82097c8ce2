"""Design effects in tables and words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.moulton import Inflation
from multilevel.report.numbers import format_column, format_fixed
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns

MEAN = "mean"  # the term that stands for the mean and for what is constant within groups
NEAR_ONE = 5e-3  # standard errors this near to each other are called the same
WHOLE = 1e-9  # rounding of a number of groups


def deff_columns(terms: Sequence[str], found: Inflation, n_obs: float, n_groups: float) -> Columns:
    """One row a quantity; sizes are NaN where they are not known."""
    return {
        "term": list(terms),
        "icc": found.icc,
        "icc_x": found.icc_x,
        "deff": found.deff,
        "se_ratio": found.se_ratio,
        "n_effective": over_positive(n_obs, found.deff),
        "groups_needed": np.ceil(n_groups * positive(found.deff) - WHOLE),
    }


def positive(deff: Array) -> Array:
    """Design effects, NaN where a negative ICC leaves none."""
    return np.where(deff > 0.0, deff, np.nan)


def over_positive(n_obs: float, deff: Array) -> Array:
    """Independent observations that are worth as much."""
    return n_obs / positive(deff)


def deff_page(
    terms: Sequence[str],
    found: Inflation,
    facts: Sequence[tuple[str, str]],
    n_obs: float,
    n_groups: float,
    notes: Sequence[str],
) -> Summary:
    """Design effects side by side, and how to read them."""
    columns = deff_columns(terms, found, n_obs, n_groups)
    cells = {
        "term": columns["term"],
        "ICC": format_fixed(found.icc, 4),
        "ICC of x": format_fixed(found.icc_x, 4),
        "DEFF": format_column(found.deff),
        "SE ratio": format_fixed(found.se_ratio, 3),
    }
    if np.isfinite(n_obs):
        cells["effective n"] = format_fixed(columns["n_effective"], 1)
        cells["groups needed"] = format_fixed(columns["groups_needed"], 0)
    return Summary(
        title="Design effects: DEFF = 1 + (m - 1) x ICC x ICC of x",
        facts=tuple(facts),
        blocks=(
            Block(
                "Variance beside that of independent observations",
                tuple(cells),
                tuple(zip(*cells.values(), strict=True)),
            ),
        ),
        notes=(
            *mean_words(found, n_obs, n_groups),
            *(predictor_words(*row) for row in predictors(columns)),
            *other_words(terms),
            *notes,
        ),
    )


def predictors(columns: Columns) -> list[tuple[str, float, float]]:
    """Term, ICC of x and ratio of standard errors of each predictor."""
    rows = zip(columns["term"], columns["icc_x"].tolist(), columns["se_ratio"].tolist(), strict=True)
    return list(rows)[1:]


def mean_words(found: Inflation, n_obs: float, n_groups: float) -> list[str]:
    """What clusters do to a mean."""
    deff, ratio, icc = float(found.deff[0]), float(found.se_ratio[0]), float(found.icc[0])
    if not deff > 0.0:
        return [
            f"The mean: no population has so negative an ICC ({icc:.4f}) in groups of this size; take the "
            "ICC as 0, or as its upper limit."
        ]
    worth = (
        f"; {n_obs:.0f} observations are worth {n_obs / deff:.0f} independent ones"
        if np.isfinite(n_obs)
        else ""
    )
    words = [f"The mean: {ratio_words(ratio)}{worth}."]
    if icc < 0.0:
        words.append(
            "A negative ICC often is chance where the true one is near 0; a design effect of 1 is the safer "
            "figure."
        )
    elif np.isfinite(n_groups) and deff > 1.0:
        needed = int(np.ceil(n_groups * deff - WHOLE))
        words.append(
            f"For the precision of {n_obs:.0f} independent observations, {needed} such groups are needed. "
            f"More members will not do: however many, {n_groups:.0f} groups are worth at most k / ICC = "
            f"{n_groups / icc:.0f} independent observations."
        )
    return words


def limit_words(limits: tuple[float, float], size: float) -> str:
    """How far the design effect of the mean is known (95% limits of the ICC)."""
    low, high = (1.0 + (size - 1.0) * limit for limit in limits)
    return (
        f"The ICC of the response has 95% limits {limits[0]:.3f} to {limits[1]:.3f}, which make the DEFF of "
        f"the mean {low:.2f} to {high:.2f}."
    )


def ratio_words(ratio: float) -> str:
    """Which way the naive standard error is wrong."""
    if abs(ratio - 1.0) < NEAR_ONE:
        return "naive standard errors are about right"
    side = "small" if ratio > 1.0 else "large"
    return f"naive standard errors are too {side} and should be {ratio:.3f} times as large"


def predictor_words(term: str, icc_x: float, ratio: float) -> str:
    """What clusters do to the slope of a predictor."""
    if np.isnan(ratio):
        return f"{term}: the negative ICC leaves no variance in groups of this size."
    if icc_x > 0.9:
        where = "varies (nearly) between groups only"
    elif icc_x < 0.0:
        where = "varies within groups more than between them"
    else:
        where = "varies between groups and within them"
    return f"{term} {where}: {ratio_words(ratio)}."


def other_words(terms: Sequence[str]) -> list[str]:
    """What the table does not hold for."""
    if len(terms) == 1:
        return [
            "A predictor has a design effect of its own: give it as x=. It is the mean's if the predictor is "
            "constant within groups of equal size and leaves the ICC as it is, and may be below 1 if it "
            "varies within groups."
        ]
    return [
        "Each predictor is taken by itself, in least squares; its ICC is that of what it leaves of the "
        "response, unless given."
    ]
