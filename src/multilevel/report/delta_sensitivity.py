"""Sensitivity to responses that are missing because of themselves: tables, words and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from multilevel._typing import Array
from multilevel.report.axes import BLUE, GREY, ORANGE, new_axes
from multilevel.report.numbers import format_column, format_fixed, format_p
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns
from multilevel.report.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_TERMS = 4  # that are printed

JUDGE = (
    "delta = 0 imputes as if responses were missing at random (MAR). No data can tell which delta is true: "
    "judge whether responses that far from what was expected are plausible. A conclusion that holds for "
    "every plausible delta does not lean on MAR; one that tips within them does."
)


@dataclass(frozen=True, slots=True)
class TermPath:
    """One coefficient over D deltas, in order."""

    term: str
    delta: Array  # (D,)
    estimate: Array  # (D,)
    std_error: Array  # (D,)
    df: Array  # (D,)
    p_value: Array  # (D,)
    conf_low: Array  # (D,)
    conf_high: Array  # (D,)
    fmi: Array  # (D,)

    @property
    def tipping_points(self) -> Array:
        """Deltas at which a confidence limit crosses zero, by straight lines between neighbours."""
        limits = (self.conf_low, self.conf_high)
        return np.sort(np.concatenate([crossings(self.delta, limit) for limit in limits]))


def crossings(x: Array, y: Array) -> Array:
    """Where the polygon through points (D,) crosses zero.

    >>> crossings(np.array([0.0, 1.0, 2.0]), np.array([1.0, -1.0, -3.0]))
    array([0.5])
    """
    left, right = y[:-1], y[1:]
    crosses = (left > 0.0) != (right > 0.0)
    share = left[crosses] / (left[crosses] - right[crosses])
    return np.asarray(x[:-1][crosses] + share * (x[1:] - x[:-1])[crosses])


def delta_columns(paths: Sequence[TermPath]) -> Columns:
    """One row a coefficient and delta."""
    names = ("delta", "estimate", "std_error", "df", "p_value", "conf_low", "conf_high", "fmi")
    values = {name: np.concatenate([getattr(path, name) for path in paths]) for name in names}
    return {"term": [path.term for path in paths for _ in path.delta], **values}


def tipping_columns(paths: Sequence[TermPath]) -> Columns:
    """One row a coefficient: the tipping points nearest to delta = 0 on either side."""
    below, above = zip(*(nearest(path.tipping_points) for path in paths), strict=True)
    at_zero = [float(np.interp(0.0, path.delta, path.p_value)) for path in paths]
    return {
        "term": [path.term for path in paths],
        "p_value_mar": np.array(at_zero),
        "tips_below": np.array(below),
        "tips_above": np.array(above),
    }


def nearest(points: Array) -> tuple[float, float]:
    """The last point below zero and the first above; NaN where there is none."""
    below, above = points[points < 0.0], points[points >= 0.0]
    return (float(below[-1]) if len(below) else np.nan, float(above[0]) if len(above) else np.nan)


# ---- printed ----


def delta_page(
    facts: Sequence[tuple[str, str]], paths: Sequence[TermPath], level: float, unit: float, whom: str
) -> Summary:
    """Each coefficient over the deltas, and where conclusions tip."""
    shown = paths[:MOST_TERMS]
    more = (
        [f"{len(paths) - len(shown)} more coefficients are in the table."] if len(paths) > len(shown) else []
    )
    return Summary(
        title="Sensitivity to responses that are missing because of themselves (MNAR)",
        facts=tuple(facts),
        blocks=tuple(path_block(path, level) for path in shown),
        notes=(*(tipping_sentence(path, level, unit, whom) for path in shown), *more, JUDGE),
    )


def path_block(path: TermPath, level: float) -> Block:
    """Estimates and limits over the deltas."""
    cells = {
        "delta": format_column(path.delta, 3),
        "Estimate": format_column(path.estimate, 4),
        "Std. Error": format_column(path.std_error, 4),
        f"{100.0 * level:g}% from": format_column(path.conf_low, 4),
        "to": format_column(path.conf_high, 4),
        "p": format_p(path.p_value),
        "FMI": format_fixed(path.fmi, 2),
    }
    return Block(path.term, tuple(cells), tuple(zip(*cells.values(), strict=True)), n_labels=0)


def tipping_sentence(path: TermPath, level: float, unit: float, whom: str) -> str:
    """From where on a conclusion changes."""
    low, high = path.delta[0], path.delta[-1]
    grid = f"{number(low)} to {number(high)}"
    limits = f"{100.0 * level:g}% limits"
    clear = [float(np.interp(0.0, path.delta, edge)) for edge in (path.conf_low, path.conf_high)]
    is_clear = clear[0] > 0.0 or clear[1] < 0.0
    points = path.tipping_points
    at_zero = number(float(np.interp(0.0, path.delta, path.estimate)))
    state = f"exclude zero at delta = 0 (MAR, estimate {at_zero})"
    if not len(points):
        return (
            f"{path.term}: {limits} {state if is_clear else 'include zero at delta = 0 (MAR)'}, and at "
            f"every delta from {grid}: it does not tip."
        )
    places = " or ".join(
        f"{number(point)} ({number(point / unit)} SD)" for point in nearest(points) if not np.isnan(point)
    )
    if is_clear:
        return (
            f"{path.term}: {limits} {state}. They reach zero when {whom} is taken to be shifted by "
            f"{places}: the tipping point."
        )
    return (
        f"{path.term}: {limits} include zero at delta = 0 (MAR). They exclude it from a shift of {whom} by "
        f"{places} on."
    )


# ---- drawn ----


def plot_path(path: TermPath, level: float, unit_label: str, ax: Axes | None) -> Axes:
    """Estimate with limits over the deltas, and where they reach zero."""
    axes = new_axes() if ax is None else ax
    axes.fill_between(path.delta, path.conf_low, path.conf_high, color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(path.delta, path.estimate, "-o", color=BLUE, markersize=4)
    axes.axhline(0.0, color=GREY, linewidth=1)
    axes.axvline(0.0, color=GREY, linewidth=1, linestyle=":")
    for point in path.tipping_points:
        axes.axvline(point, color=ORANGE, linewidth=1.2, linestyle="--")
        axes.annotate(
            f"tips at {number(float(point))}",
            (float(point), 0.0),
            xytext=(4, 6),
            textcoords="offset points",
            color=ORANGE,
            fontsize=9,
        )
    axes.set_xlabel(f"delta: shift of imputed responses ({unit_label})")
    axes.set_ylabel(f"{path.term}, {100.0 * level:g}% limits")
    return axes
