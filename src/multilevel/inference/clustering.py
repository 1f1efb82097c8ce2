"""Which cluster does each of the rows used belong to?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Frame
from multilevel.design.design import Design, Grouping
from multilevel.errors import DataError
from multilevel.frames.column import Categorical
from multilevel.frames.labels import group_codes
from multilevel.frames.table import read_table

Clustering = str | npt.ArrayLike  # the name of a column, or one label a row of the data


def read_clusters(cluster: Clustering, data: Frame, design: Design) -> Grouping:
    """Clusters of the rows used, by label and so wherever their rows stand."""
    name = cluster if isinstance(cluster, str) else "cluster"
    labels = column_labels(cluster, data) if isinstance(cluster, str) else array_labels(cluster, design)
    codes = labels.codes[design.rows]
    refuse_missing(name, int((codes < 0).sum()))
    present = np.flatnonzero(np.bincount(codes, minlength=len(labels.levels)))
    renumbered = np.zeros(len(labels.levels), dtype=np.int32)
    renumbered[present] = np.arange(len(present), dtype=np.int32)
    return Grouping(name, renumbered[codes], tuple(str(labels.levels[k]) for k in present))


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
            f"'{name}' is missing in {count} of the rows used; fill it, or give the column as cluster= "
            "to ml.ols, which drops these rows before it fits."
        )
