"""`ml.cluster_summary`: how large is each cluster, and where does its mean lie?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from multilevel._typing import Frame
from multilevel.clusters.cluster_means import ClusterCells, cluster_cells
from multilevel.design.arguments import RowNumbers, in_rows, read_given
from multilevel.design.clustered import as_numbers, group_parts, labels_in_rows
from multilevel.design.columns import missing_in, read_columns, usable
from multilevel.design.design import Dropped, Grouping
from multilevel.design.grouping import code_groups
from multilevel.design.rows import UsedRows, choose_rows
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind, read_table
from multilevel.report.blocks import dropped_notes
from multilevel.report.cluster_summary import cluster_columns, cluster_page
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.labels import own_levels
from multilevel.results.page import Page
from multilevel.results.raw_variable import checked_name


@dataclass(frozen=True, slots=True, repr=False)
class ClusterSummary(Page):
    """Clusters of a variable, one by one; `frame` is the table, `summary["mean"]` one of its columns."""

    y: str
    groups: str
    by: str | None
    cells: ClusterCells
    levels: Sequence[object]  # of the clusters
    arms: Sequence[object]
    rows: UsedRows
    kind: FrameKind

    @property
    def grand_mean(self) -> float:
        """Mean of all rows."""
        return self.cells.moments.grand_mean

    @property
    def frame(self) -> Frame:
        """One row a cluster (and arm): its label, n, mean, sd, and the deviation of its mean."""
        return to_frame(self.columns(), self.kind)

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return cluster_columns(self.groups, self.by, self.cells, self.levels, self.arms)

    def page(self) -> Summary:
        """What is printed."""
        rows = self.rows
        notes = dropped_notes(Dropped(rows.n_total, rows.n_missing, rows.missing_by_column, ()))
        return cluster_page(self.y, self.groups, self.by, self.cells, self.columns(), notes)


def cluster_summary(
    data: Frame,
    y: str,
    groups: str,
    by: str | None = None,
    *,
    freq_weights: RowNumbers | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> ClusterSummary:
    """Size, mean, standard deviation and deviation from the grand mean of each cluster, and of each arm.

    Args:
        data: any data frame, or a mapping of equally long columns.
        y: the variable; truth values, and one of two labels, count as 0 and 1.
        groups: the column that names the clusters (or "a:b" for the combinations of two).
        by: a column of arms or other labels: clusters are then told apart by it, too.
        freq_weights: how many rows a row stands for, column or array.
        missing: "drop" rows with missing values and say how many, or "raise".

    Example:
        >>> import multilevel as ml
        >>> pupils = ml.datasets.course_demo_10x30()
        >>> clusters = ml.cluster_summary(pupils, "y", groups="school", by="treatment")
        >>> clusters.frame.round(2).head(3)
           school  treatment   n   mean    sd  deviation
        0       1          0  30  50.38  0.86       0.62
        1       2          0  30  49.20  0.72      -0.56
        2       3          0  30  50.09  1.00       0.33
    """
    checked_name("y", y)
    table = read_table(data)
    parts = group_parts(groups, table)
    arms = [] if by is None else group_parts(by, table, "by")
    given = read_given(table, None, freq_weights, None)
    numbers = read_columns(table, [y])
    labels = {part: table.labels(part) for part in [*parts, *arms]}
    rows = choose_rows(
        table.n_rows, missing_in(numbers) | missing_in(labels) | given.missing(), given.counts, missing
    )

    def grouping(names: list[str]) -> Grouping:
        return code_groups(names, [labels_in_rows(labels[name], rows.mask) for name in names])[0]

    clusters = grouping(parts)
    of_arms = grouping(arms) if arms else None
    cells = cluster_cells(
        as_numbers(y, usable(numbers[y], rows.mask)).numbers,
        clusters.codes,
        clusters.n_levels,
        None if of_arms is None else of_arms.codes,
        0 if of_arms is None else of_arms.n_levels,
        in_rows(given, rows.mask).freq_weights,
    )
    levels = own_levels([clusters], data)[0]
    arm_levels = () if of_arms is None else own_levels([of_arms], data)[0]
    return ClusterSummary(
        y,
        clusters.name,
        None if of_arms is None else of_arms.name,
        cells,
        levels,
        arm_levels,
        rows,
        table.kind,
    )
