"""Which rows make up each cluster? Clusters of one size are stacked, so that one call serves them all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Codes

Index = npt.NDArray[np.intp]
ENTRIES = 4_000_000  # numbers a stack may hold in one of its arrays, whatever the number of clusters


@dataclass(frozen=True, slots=True)
class Stack:
    """B clusters of m rows each."""

    clusters: Index  # (B,)
    rows: Index  # (B, m)


def stacks(codes: Codes, n_clusters: int, width: int | None, alike: Index | None = None) -> Iterator[Stack]:
    """The clusters in stacks of equal size; `width` numbers will be kept a row, as many as rows if None.

    Only clusters with the same number in `alike` (J,) share a stack. Row order is kept within a cluster.

    >>> [stack.rows for stack in stacks(np.array([0, 1, 0, 2], np.int32), 3, 1)]
    [array([[1],
           [3]]), array([[0, 2]])]
    """
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes, minlength=n_clusters)
    first = np.cumsum(sizes) - sizes
    kinds = sizes if alike is None else sizes + (int(sizes.max()) + 1) * alike
    sorted_clusters = np.argsort(kinds, kind="stable")
    boundaries = np.flatnonzero(np.diff(kinds[sorted_clusters])) + 1
    for clusters in np.split(sorted_clusters, boundaries):
        m = int(sizes[clusters[0]])
        step = max(1, ENTRIES // (m * (m if width is None else width)))
        for begin in range(0, len(clusters), step):
            some = clusters[begin : begin + step]
            yield Stack(some, order[first[some][:, None] + np.arange(m)])
