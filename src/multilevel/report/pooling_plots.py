"""Lines of groups, drawn: own, partial and common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Codes
from multilevel.clusters.pooling import ThreeLines
from multilevel.report.axes import BLUE, GREY, ORANGE, new_axes, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES: dict[str, dict[str, Any]] = {
    "no pooling": {"color": ORANGE, "linestyle": "--"},
    "partial": {"color": BLUE, "linestyle": "-"},
    "complete": {"color": GREY, "linestyle": ":"},
}
COLUMNS = 6  # panels side by side


@dataclass(frozen=True, slots=True)
class LinesToDraw:
    """The rows behind the lines; n rows, J groups."""

    y: Array  # (n,)
    columns: Sequence[Array]  # (q - 1,) of (n,)
    place: int  # of the predictor along the axis, in the line
    codes: Codes  # (n,)
    levels: Sequence[object]  # (J,)
    response: str


def plot_lines(lines: ThreeLines, rows: LinesToDraw, chosen: Sequence[int]) -> npt.NDArray[Any]:
    """A panel for each of the chosen groups."""
    grid = panels(len(chosen), COLUMNS)
    x = rows.columns[rows.place - 1]
    for axes, j in zip(grid, chosen, strict=True):
        mine = rows.codes == j
        axes.plot(x[mine], rows.y[mine], "o", color="0.35", markersize=3, alpha=0.6, markeredgewidth=0)
        ends = np.array([x[mine].min(), x[mine].max()])
        means = [column[mine].mean() for column in rows.columns]
        for (label, style), line in zip(STYLES.items(), in_group(lines, j), strict=True):
            others = sum(line[k] * means[k - 1] for k in range(1, len(line)) if k != rows.place)
            axes.plot(ends, line[0] + others + line[rows.place] * ends, label=label, **style)
        axes.set_title(str(rows.levels[j]), fontsize=9)
    figure = grid[0].figure
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    figure.supxlabel(lines.names[rows.place])
    figure.supylabel(rows.response)
    return grid


def in_group(lines: ThreeLines, j: int) -> tuple[Array, Array, Array]:
    """The three lines (q,) of one group, in the order of the styles."""
    return lines.own.coefficients[j], lines.partial[j], lines.complete[j]


def plot_means(lines: ThreeLines, rows: LinesToDraw, response: str) -> Axes:
    """Intercepts of all groups, the smallest first: own, and where partial pooling moves them."""
    own, partial, complete = lines.own.coefficients[:, 0], lines.partial[:, 0], lines.complete[:, 0]
    order = np.argsort(own, kind="stable")
    place = np.arange(len(order))
    axes = new_axes(width=max(6.0, min(0.22 * len(order), 16.0)))
    axes.vlines(place, own[order], partial[order], color="0.7", linewidth=1)
    axes.plot(place, own[order], "o", color=ORANGE, markersize=4, label="no pooling")
    axes.plot(place, partial[order], "o", color=BLUE, markersize=4, label="partial")
    axes.plot(place, complete[order], "_", color=GREY, markersize=6, label="complete")
    if len(order) <= MOST_NAMES:
        axes.set_xticks(place, [str(rows.levels[j]) for j in order], rotation=90, fontsize=8)
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{len(order)} groups, by their own estimate")
    axes.set_ylabel(response)
    axes.legend(frameon=False)
    return axes


MOST_NAMES = 60  # group labels on an axis
