"""A picture of slopes within groups, between their means, and over all rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import pyplot
from matplotlib.collections import LineCollection

from multilevel._typing import Array

Axes = Any  # matplotlib's
MOST_DOTS = 3000  # rows that are drawn; of more, every so many
WITHIN, BETWEEN, TOTAL = "#4878a8", "#c44e52", "#555555"


@dataclass(frozen=True, slots=True)
class EffectPicture:
    """What is drawn; J groups."""

    term: str
    response: str
    groups: str
    x: Array  # (n,)
    y: Array  # (n,)
    means: Array  # (J, 2) of x and y
    sizes: Array  # (J,)
    segments: Array  # (J, 2, 2) a line in each group: its two ends
    between: Array  # (2, 2) ends of the line between groups
    total: Array  # (2, 2)
    slopes: tuple[float, float, float]  # within, between, total


def draw_effect(picture: EffectPicture, ax: Axes | None = None) -> Axes:
    """Rows as faint dots, group means as circles, and the three slopes."""
    axes = pyplot.subplots(figsize=(7.0, 5.0), layout="constrained")[1] if ax is None else ax
    within, between, total = (f"{slope:.3g}" for slope in picture.slopes)
    some = slice(None, None, max(1, len(picture.x) // MOST_DOTS))
    axes.scatter(picture.x[some], picture.y[some], s=5, color="#bbbbbb", alpha=0.5, linewidths=0, zorder=1)
    lines = LineCollection(
        list(picture.segments), colors=WITHIN, linewidths=1.0, alpha=faintness(len(picture.sizes)), zorder=2
    )
    axes.add_collection(lines)
    axes.scatter(
        *picture.means.T,
        s=largest_dot(len(picture.sizes)) * picture.sizes / picture.sizes.max(),
        facecolor="white",
        edgecolor=BETWEEN,
        zorder=3,
    )
    axes.plot(*picture.total.T, color=TOTAL, linestyle="--", linewidth=2.0, zorder=4, label=f"total: {total}")
    axes.plot([], [], color=WITHIN, linewidth=1.5, label=f"within {picture.groups}: {within}")
    axes.plot(
        *picture.between.T,
        color=BETWEEN,
        linewidth=2.5,
        zorder=5,
        label=f"between {picture.groups}: {between}",
    )
    axes.set(xlabel=picture.term, ylabel=picture.response)
    axes.legend(title="slope", frameon=False)
    axes.autoscale_view()
    return axes


def faintness(n_groups: int) -> float:
    """Lines of many groups are drawn fainter."""
    return float(np.clip(25.0 / n_groups, 0.25, 0.9))


def largest_dot(n_groups: int) -> float:
    """Area of the largest group's circle: smaller where there are many."""
    return float(np.clip(3000.0 / n_groups, 12.0, 80.0))
