"""Size, mean and spread of a variable in each cluster, and in each arm of a cluster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.clusters.one_way import GroupMoments, group_moments
from multilevel.design.pairs import distinct_pairs


@dataclass(frozen=True, slots=True)
class ClusterCells:
    """Moments of C cells: clusters, or combinations of clusters and arms that occur."""

    cluster: Codes  # (C,)
    arm: Codes | None  # (C,)
    moments: GroupMoments  # of the cells; deviations are from the mean of all rows


def cluster_cells(
    y: Array, clusters: Codes, n_clusters: int, arms: Codes | None, n_arms: int, counts: Array | None
) -> ClusterCells:
    """Cells in the order of clusters, then arms."""
    if arms is None:
        return ClusterCells(np.arange(n_clusters, dtype=np.int32), None, group_moments(y, clusters, counts))
    keys, cells = distinct_pairs(clusters, arms, n_clusters, n_arms)
    cluster, arm = np.divmod(keys, n_arms)
    return ClusterCells(cluster.astype(np.int32), arm.astype(np.int32), group_moments(y, cells, counts))
