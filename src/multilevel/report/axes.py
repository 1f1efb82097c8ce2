"""Axes to draw on."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY, BLUE, ORANGE, GREEN = "#8c8c8c", "#2f6db5", "#e08214", "#4d9a4d"  # told apart without colour vision


def new_axes(width: float = 7.0, height: float = 4.0) -> Axes:
    """One pair of axes in a figure of its own."""
    _, axes = plt.subplots(figsize=(width, height), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    return axes  # type: ignore[no-any-return]


def panels(count: int, columns: int, *, width: float = 1.9, height: float = 1.7) -> npt.NDArray[Any]:
    """`count` small axes (count,) on one scale, row by row; places left over are empty."""
    columns = min(columns, count)
    rows = ceil(count / columns)
    _, grid = plt.subplots(
        rows,
        columns,
        figsize=(max(width * columns, 4.5), height * rows + 0.8),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    flat = np.asarray(grid).ravel()
    for axes in flat:
        axes.spines[["top", "right"]].set_visible(False)
    for axes in flat[count:]:
        axes.set_axis_off()
    return flat[:count]
