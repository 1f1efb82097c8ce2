"""The variance components of a ladder, drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from multilevel.clusters.ladder import StepNumbers
from multilevel.report.axes import BLUE, GREEN, GREY, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_components(steps: Sequence[StepNumbers], groups: str, ax: Axes | None) -> Axes:
    """A bar a step, the first on top: variance of groups, of cells, and of the residual, end to end."""
    axes = new_axes(height=1.3 + 0.45 * len(steps)) if ax is None else ax
    parts = {
        f"between levels of {groups}": ([step.var_groups for step in steps], BLUE),
        f"combinations with {groups}": ([step.var_cells for step in steps], GREEN),
        "residual": ([step.var_residual for step in steps], GREY),
    }
    left = np.zeros(len(steps))
    for label, (values, colour) in parts.items():
        widths = np.nan_to_num(np.array(values))
        if widths.any():
            axes.barh([step.name for step in steps], widths, left=left, color=colour, label=label)
        left += widths
    for place, step in enumerate(steps):
        if step.var_groups > 0.0:
            axes.text(left[place], place, f"  ICC {step.icc:.2f}", va="center", ha="left", fontsize=9)
    axes.set_xlim(0.0, 1.18 * left.max())
    axes.invert_yaxis()
    axes.set_xlabel("variance (of random slopes: mean over the data)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.18), ncols=3, frameon=False, fontsize=9)
    return axes
