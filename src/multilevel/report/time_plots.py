"""The mean over time by several models, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multilevel.clusters.time_means import TimeMeans
from multilevel.report.axes import BLUE, GREEN, ORANGE, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

STYLES: dict[str, dict[str, Any]] = {
    "linear": {"color": BLUE, "linestyle": "-"},
    "quadratic": {"color": ORANGE, "linestyle": "--"},
    "categories": {"color": GREEN, "linestyle": ":", "marker": "s", "markersize": 4},
}


def plot_time_means(means: TimeMeans, time: str, response: str, ax: Axes | None) -> Axes:
    """A line a model through its means at the times, and what was observed as points."""
    axes = new_axes() if ax is None else ax
    axes.plot(means.times, means.observed, "o", color="0.35", label="observed mean", markersize=6, alpha=0.6)
    for name, values in means.models.items():
        axes.plot(means.times, values, label=name, **STYLES[name])
    axes.set_xlabel(time)
    axes.set_ylabel(f"mean of {response}")
    axes.legend(frameon=False)
    return axes
