"""A picture of power: what varies along the axis, simulation with its limits, and the formula."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from multilevel.errors import DataError
from multilevel.inference.monte_carlo import RateLimits
from multilevel.report.axes import BLUE, GREEN, GREY, ORANGE, new_axes
from multilevel.report.power import PowerCell

Axes = Any  # matplotlib's
USUAL = 0.8  # the power that a line marks
COLOURS = (BLUE, ORANGE, GREEN, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def draw_power(cells: Sequence[PowerCell], kind: RateLimits, ax: Axes | None) -> Axes:
    """A curve for each combination of what varies beside the first."""
    if not cells[0].settings:
        raise DataError("one design is no curve; vary something with over=, as in over={'school': [10, 20]}.")
    first, *others = cells[0].settings
    axes = new_axes() if ax is None else ax
    curves: dict[str, list[PowerCell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.settings[first]):
        words = [f"{name} {cell.settings[name]:g}" for name in others]
        curves.setdefault(", ".join([*words, cell.analysis] if cell.analysis else words), []).append(cell)
    for number, (said, mine) in enumerate(curves.items()):
        style = {"color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)]}
        draw_curve(axes, mine, first, kind, said, style)
    axes.axhline(USUAL, color=GREY, linewidth=0.8, linestyle=":")
    axes.set(xlabel=first, ylabel="power", ylim=(0.0, 1.02))
    if any(np.isfinite(cell.formula) for cell in cells):
        axes.plot([], [], color=GREY, linestyle="--", linewidth=1.2, label="formula")
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(frameon=False)
    return axes


def draw_curve(
    axes: Axes, cells: Sequence[PowerCell], name: str, kind: RateLimits, said: str, style: dict[str, str]
) -> None:
    """Simulated power with limits, and the formula as a dashed line."""
    x = np.array([cell.settings[name] for cell in cells])
    formula = np.array([cell.formula for cell in cells])
    figures = [cell.figures for cell in cells if cell.figures is not None]
    if len(figures) == len(cells):
        share = np.array([found.rate.share for found in figures])
        limits = np.array([found.rate.limits(kind) for found in figures])
        reach = np.abs(limits.T - share)
        label = said or "simulated, 95% limits"
        axes.errorbar(x, share, yerr=reach, linewidth=1.2, markersize=5, capsize=2, label=label, **style)
        axes.plot(x, formula, linestyle="--", linewidth=1.2, color=style["color"])
    else:
        axes.plot(x, formula, linestyle="--", linewidth=1.2, markersize=5, label=said or None, **style)
