"""Clusters one by one: sizes, means and spreads, in a table and words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.cluster_means import ClusterCells
from multilevel.clusters.one_way import OneWay, one_way
from multilevel.report.numbers import format_column
from multilevel.report.one_way import sizes_text
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns
from multilevel.report.wording import figure, number, plural

MOST_ROWS = 20  # that are printed; the frame has all


def cluster_columns(
    groups: str, by: str | None, cells: ClusterCells, clusters: Sequence[object], arms: Sequence[object]
) -> Columns:
    """One row a cluster, or a cluster and arm: n, mean, sd, deviation of the mean from the grand mean."""
    columns: Columns = {groups: [clusters[i] for i in cells.cluster.tolist()]}
    if by is not None and cells.arm is not None:
        columns[by] = [arms[i] for i in cells.arm.tolist()]
    moments = cells.moments
    return {
        **columns,
        "n": moments.size.astype(int),
        "mean": moments.mean,
        "sd": moments.sd,
        "deviation": moments.deviation,
    }


def cluster_page(
    y: str, groups: str, by: str | None, cells: ClusterCells, columns: Columns, notes: Sequence[str]
) -> Summary:
    """The first clusters, and how their means lie."""
    moments = cells.moments
    n_clusters = int(cells.cluster.max()) + 1
    what = groups if by is None else f"{groups} and {by}"
    return Summary(
        title=f"{y} by {what}",
        facts=(
            (
                "Data",
                sizes_text(moments)
                if by is None
                else f"{moments.size.sum():.0f} observations in {plural(n_clusters, 'cluster')}",
            ),
            ("Grand mean", figure(moments.grand_mean)),
        ),
        blocks=(cell_block(groups, by, columns), *(arm_blocks(by, columns) if by is not None else ())),
        notes=(*mean_words(y, groups, by, cells, columns), *notes),
    )


def cell_block(groups: str, by: str | None, columns: Columns) -> Block:
    """The first rows of the table."""
    labels = [groups] if by is None else [groups, by]
    total = len(columns["n"])
    cells = {
        **{name: [str(value) for value in columns[name][:MOST_ROWS]] for name in labels},
        "n": [f"{n:d}" for n in columns["n"][:MOST_ROWS]],
        **{name: format_column(columns[name][:MOST_ROWS]) for name in ("mean", "sd", "deviation")},
    }
    title = "Clusters" if total <= MOST_ROWS else f"The first {MOST_ROWS} of {total} (all are in .frame)"
    return Block(title, tuple(cells), tuple(zip(*cells.values(), strict=True)), n_labels=len(labels))


def arm_blocks(by: str, columns: Columns) -> tuple[Block, ...]:
    """Arms: clusters, rows, mean of all rows and mean of the clusters' means."""
    names = list(dict.fromkeys(columns[by]))
    size, mean = np.asarray(columns["n"], dtype=float), np.asarray(columns["mean"])
    member = [np.array([arm == name for arm in columns[by]]) for name in names]
    cells = {
        by: [str(name) for name in names],
        "clusters": [f"{int(rows.sum()):d}" for rows in member],
        "n": [f"{size[rows].sum():.0f}" for rows in member],
        "mean": format_column([np.average(mean[rows], weights=size[rows]) for rows in member]),
        "mean of means": format_column([mean[rows].mean() for rows in member]),
        "sd of means": format_column([deviation(mean[rows]) for rows in member]),
    }
    return (Block("Arms", tuple(cells), tuple(zip(*cells.values(), strict=True))),)


def deviation(values: Array) -> float:
    """Standard deviation; none of a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else np.nan


def mean_words(y: str, groups: str, by: str | None, cells: ClusterCells, columns: Columns) -> list[str]:
    """How far apart the means lie, and what sizes alone would explain."""
    moments = cells.moments
    low, high = int(np.argmin(moments.mean)), int(np.argmax(moments.mean))
    names = columns[groups] if by is None else list(zip(columns[groups], columns[by], strict=True))
    words = [
        f"Means of {y} run from {number(moments.mean[low])} ({shown(names[low])}) to "
        f"{number(moments.mean[high])} ({shown(names[high])}); their standard deviation is "
        f"{number(deviation(moments.mean))}."
    ]
    df = moments.size.sum() - len(moments.size)
    if df > 0 and len(moments.size) > 1:
        within = moments.square.sum() / df
        chance = float(np.sqrt(within * np.mean(1.0 / moments.size)))
        words.append(
            f"Were there no differences, means of so many rows would have a standard deviation of "
            f"{number(chance)} by chance: the extremes are in part luck, most of all in small clusters."
        )
        words += share_words(y, groups, one_way(moments)) if by is None else []
    single = int((moments.size == 1.0).sum())
    if single:
        words.append(f"{plural(single, 'cluster')} of one row: no standard deviation (shown as -).")
    return words


def share_words(y: str, groups: str, anova: OneWay) -> list[str]:
    """How much of the variation lies between clusters."""
    if anova.ss_between + anova.ss_within == 0.0:
        return []
    if anova.icc <= 0.0:
        return [
            f"By the analysis of variance, means of {groups} differ no more than chance would have them (ICC "
            f"{number(anova.icc)})."
        ]
    return [
        f"By the analysis of variance, {100.0 * anova.icc:.3g}% of the variance of {y} lies between levels "
        f"of {groups} (ICC {number(anova.icc)}; ml.icc gives its limits)."
    ]


def shown(name: object) -> str:
    """A cluster, or a cluster and its arm."""
    return ", ".join(map(str, name)) if isinstance(name, tuple) else str(name)
