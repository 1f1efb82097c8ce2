"""A drawing of factors: which lies in which, and which cross."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multilevel.clusters.structure import DataStructure, Relation
from multilevel.report.axes import BLUE, GREY, ORANGE, new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_structure(structure: DataStructure, axes: Axes | None = None) -> Axes:
    """Factors as boxes, outermost above; arrows lead into what holds them, dashes join crossed ones."""
    rows = floors(structure)
    width = max(map(len, rows))
    if axes is None:
        axes = new_axes(max(2.6 * width + 1.0, 5.0), 1.3 * len(rows) + 0.6)
    place = {
        name: ((i + 0.5) / len(row) * width, float(len(rows) - 1 - floor))
        for floor, row in enumerate(rows)
        for i, name in enumerate(row)
    }
    for pair in structure.pairs:
        nested = pair.relation is Relation.INSIDE
        if nested and not passes_through(structure, pair.first, pair.second):
            arrow = {"arrowstyle": "-|>", "color": BLUE, "shrinkA": 22, "shrinkB": 22}
            axes.annotate("", place[pair.second], place[pair.first], arrowprops=arrow)
        elif pair.crossed or pair.relation is Relation.SAME:
            style = {"arrowstyle": "-", "linestyle": "--", "color": ORANGE if pair.crossed else GREY}
            bend = {"connectionstyle": "arc3,rad=0.15", "shrinkA": 18, "shrinkB": 18}
            axes.annotate("", place[pair.second], place[pair.first], arrowprops={**style, **bend})
    box = {"boxstyle": "round,pad=0.4", "facecolor": "white", "edgecolor": GREY}
    for factor in structure.factors:
        x, y = place[factor.name]
        axes.text(x, y, f"{factor.name}\n{factor.n_levels:,}", ha="center", va="center", bbox=box)
    axes.plot([], [], color=BLUE, label="nested in")
    axes.plot([], [], color=ORANGE, linestyle="--", label="crossed with")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, frameon=False)
    axes.set_xlim(0.0, width)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_axis_off()
    return axes


def floors(structure: DataStructure) -> list[list[str]]:
    """Factors by how many others they are nested in, one inside the other: the outermost first."""
    depth: dict[str, int] = {}
    for factor in reversed(structure.factors):  # holders have fewer levels, and come first
        depth[factor.name] = 1 + max((depth[name] for name in structure.holders(factor.name)), default=-1)
    return [[name for name in depth if depth[name] == floor] for floor in range(max(depth.values()) + 1)]


def passes_through(structure: DataStructure, inner: str, outer: str) -> bool:
    """Whether a factor lies between two, nested in the outer and holding the inner."""
    return any(outer in structure.holders(name) for name in structure.holders(inner))
