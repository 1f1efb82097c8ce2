"""Weights for dropout, as tables and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multilevel._typing import Array
from multilevel.inference.wald import CoefficientTable
from multilevel.report.blocks import coefficient_block
from multilevel.report.numbers import format_column, format_fixed
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns
from multilevel.report.wording import number, plural

UNLIKELY = 0.05  # probability of staying below which a row stands for more than twenty
HEAVY = 20.0  # times the mean: weights beyond it let a few rows decide

ASSUMES = (
    "Weighted fits assume that dropout depends on what was seen before it (MAR) and that the model above "
    "has it right. Nothing in the data can show that it does not depend on what was not seen: see "
    "ml.delta_sensitivity."
)


@dataclass(frozen=True, slots=True)
class VisitTable:
    """Those followed at each of T times."""

    time: tuple[Any, ...]  # (T,)
    followed: Array  # (T,) groups there and at all times before
    left: Array  # (T,) of these, the ones not there at the next time
    stay_mean: Array  # (T,) mean fitted probability to stay; NaN at the last time
    stay_least: Array  # (T,)
    weight_least: Array  # (T,)
    weight_mean: Array  # (T,)
    weight_most: Array  # (T,)


def visit_columns(table: VisitTable, time: str) -> Columns:
    """One row a time."""
    return {
        time: list(table.time),
        "followed": table.followed.astype(int),
        "left": table.left.astype(int),
        "stay_mean": table.stay_mean,
        "stay_min": table.stay_least,
        "weight_min": table.weight_least,
        "weight_mean": table.weight_mean,
        "weight_max": table.weight_most,
    }


def dropout_page(
    facts: Sequence[tuple[str, str]],
    models: Sequence[tuple[str, CoefficientTable]],
    table: VisitTable,
    time: str,
    notes: Sequence[str],
) -> Summary:
    """The models that those there stay, the weights by time, and what to look out for."""
    return Summary(
        title="Weights for dropout",
        facts=tuple(facts),
        blocks=(*(coefficient_block(found, title) for title, found in models), visit_block(table, time)),
        notes=(*notes, ASSUMES),
    )


def visit_block(table: VisitTable, time: str) -> Block:
    """Those followed and their weights, by time."""
    cells = {
        time: [str(each) for each in table.time],
        "Followed": format_fixed(table.followed, 0),
        "Then left": [*format_fixed(table.left[:-1], 0), ""],
        "P(stay)": [*format_fixed(table.stay_mean[:-1], 3), ""],
        "least": [*format_fixed(table.stay_least[:-1], 3), ""],
        "Weights from": format_column(table.weight_least, 4),
        "mean": format_column(table.weight_mean, 4),
        "to": format_column(table.weight_most, 4),
    }
    return Block(
        "Who is followed, and with what weight", tuple(cells), tuple(zip(*cells.values(), strict=True))
    )


def weight_notes(weights: Array, least_probability: float, unlikely: int) -> list[str]:
    """How many observations the weighted rows are worth, and whether some rows stand for too many."""
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    notes = [
        f"{len(weights)} rows have weights; as unequal as they are ({number(weights.min())} to "
        f"{number(weights.max())}), they are worth {effective:.0f} rows of one weight."
    ]
    if unlikely:
        notes.append(
            f"Positivity: {plural(unlikely, 'row')} at risk had a probability to stay below {UNLIKELY:g} "
            f"(least {number(least_probability)}). Those like them who stayed must stand for many who left; "
            "truncate= bounds their weights, at the price of some bias, or leave out predictors that tell "
            "leavers apart too well."
        )
    if heavy(weights):
        notes.append(
            f"The largest weight is {number(weights.max() / weights.mean())} times the mean, so a few rows "
            "decide; compare with numerator= (stabilised weights) and with truncate=(0.01, 0.99)."
        )
    return notes


def heavy(weights: Array) -> bool:
    """Whether some weight is far larger than the mean."""
    return bool(weights.max() > HEAVY * weights.mean())


def lost_notes(groups: str, n_unseen: int, n_after: int) -> list[str]:
    """Rows and groups that are not followed."""
    notes = []
    if n_unseen:
        notes.append(
            f"{plural(n_unseen, 'group')} of {groups} not seen at the first time: never followed, without "
            "weights."
        )
    if n_after:
        notes.append(
            f"{plural(n_after, 'observed row')} come after a gap and have no weight (NaN): a group is "
            "followed until it is missed first. Weights for dropout are for data that are mostly monotone; "
            "impute gaps within a series, or use a likelihood (ml.lmm), if there are many."
        )
    return notes


def truncation_words(truncate: tuple[float, float] | None) -> str:
    """How weights were bounded."""
    if truncate is None:
        return "not truncated"
    low, high = (f"{np.round(100.0 * edge, 4):g}" for edge in truncate)
    return f"truncated at percentiles {low} and {high}"
