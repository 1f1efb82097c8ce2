"""Which cluster does each of the rows used belong to?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Frame
from multilevel.design.clustered import group_parts, labels_in_rows
from multilevel.design.design import Design, Grouping
from multilevel.design.grouping import code_groups
from multilevel.errors import DataError
from multilevel.frames.column import Categorical
from multilevel.frames.labels import group_codes
from multilevel.frames.table import read_table

# The name of a column, or one label a row of the data; a list of such for clusters in several ways.
Clustering = str | npt.ArrayLike


def read_ways(cluster: Clustering | None, data: Frame, design: Design) -> tuple[Grouping, ...]:
    """Clusters of the rows used, one grouping for each way of clustering; none if nothing is given."""
    if cluster is None:
        return ()
    return tuple(read_clusters(way, data, design) for way in ways_of(cluster, design.dropped.n_total))


def ways_of(cluster: Clustering, n_rows: int) -> list[Clustering]:
    """The ways of clustering that are meant: a list of names or of arrays means several, of labels one."""
    if not isinstance(cluster, list | tuple):
        return [cluster]
    several = all(isinstance(way, str) for way in cluster) and len(cluster) != n_rows
    return list(cluster) if several or any(np.ndim(way) for way in cluster) else [cluster]


def named_columns(cluster: Clustering | None, data: Frame) -> tuple[str, ...]:
    """Columns of the data that rows must not miss because of their cluster."""
    if cluster is None or isinstance(cluster, str):
        return () if cluster is None else parts_of(cluster, data)
    several = isinstance(cluster, list | tuple)
    ways = ways_of(cluster, read_table(data).n_rows) if several else []
    return tuple(part for way in ways if isinstance(way, str) for part in parts_of(way, data))


def parts_of(name: str, data: Frame) -> tuple[str, ...]:
    """The columns that make clusters: one, or several for "centre:id", whose numbers begin anew."""
    return tuple(group_parts(name, read_table(data)))


def read_clusters(cluster: Clustering, data: Frame, design: Design) -> Grouping:
    """Clusters of the rows used, by label and so wherever their rows stand."""
    name = cluster if isinstance(cluster, str) else "cluster"
    parts = parts_of(cluster, data) if isinstance(cluster, str) else ()
    if len(parts) > 1:
        return combined_clusters(parts, data, design)
    labels = column_labels(cluster, data) if isinstance(cluster, str) else array_labels(cluster, design)
    codes = labels.codes[design.rows]
    refuse_missing(name, int((codes < 0).sum()))
    present = np.flatnonzero(np.bincount(codes, minlength=len(labels.levels)))
    renumbered = np.zeros(len(labels.levels), dtype=np.int32)
    renumbered[present] = np.arange(len(present), dtype=np.int32)
    return Grouping(name, renumbered[codes], tuple(str(labels.levels[k]) for k in present))


def combined_clusters(parts: Sequence[str], data: Frame, design: Design) -> Grouping:
    """Clusters of the rows used, one for each combination of labels that occurs."""
    labels = [labels_in_rows(column_labels(part, data), design.rows) for part in parts]
    for part, each in zip(parts, labels, strict=True):
        refuse_missing(part, int((each.codes < 0).sum()))
    return code_groups(parts, labels)[0]


def ordering(time: Clustering, data: Frame, design: Design) -> Array:
    """Numbers (n,) that put the rows used in the order of a column, or of values for the rows of the data."""
    labels = column_labels(time, data) if isinstance(time, str) else array_labels(time, design, "time")
    codes = labels.codes[design.rows]
    if (codes < 0).any():
        name = time if isinstance(time, str) else "time"
        raise DataError(f"'{name}' is missing in {int((codes < 0).sum())} of the rows used; fill it first.")
    return codes.astype(np.float64)


def column_labels(name: str, data: Frame) -> Categorical:
    """Labels in a column of the data."""
    return group_codes(read_table(data).column(name))


def array_labels(cluster: npt.ArrayLike, design: Design, argument: str = "cluster") -> Categorical:
    """Labels given apart from the data, one for each of its rows."""
    labels = np.asarray(cluster)
    if labels.shape != (design.dropped.n_total,):
        raise DataError(
            f"{argument}= needs the name of a column or one label for each of the "
            f"{design.dropped.n_total} rows of the data, got an array of shape {labels.shape}."
        )
    return group_codes(read_table({"cluster": labels}).column("cluster"))


def refuse_missing(name: str, count: int) -> None:
    """Rows of no known cluster cannot be used, and it is too late to drop them."""
    if count:
        raise DataError(
            f"'{name}' is missing in {count} of the rows used; fill it, or fit without these rows "
            "(ml.ols drops them itself if it is given the column as cluster=)."
        )
