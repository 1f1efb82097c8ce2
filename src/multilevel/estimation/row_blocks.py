"""Which rows depend on each other? Rows that share a level, directly or through other rows, form a block."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.sparse import csgraph

from multilevel._typing import Codes

Rows = npt.NDArray[np.intp]


def row_blocks(codes: Sequence[Codes]) -> list[Rows]:
    """Independent blocks of rows, equally large ones stacked: each item is (B, m), m rows in B blocks.

    `codes` holds a grouping factor each. Two levels are linked when a row has both; the connected components
    of that graph are the blocks. Row order is kept within a block.

    >>> row_blocks([np.array([0, 1, 0, 1], np.int32)])
    [array([[0, 2],
           [1, 3]])]
    """
    component = _connected(codes)
    order = np.argsort(component, kind="stable")
    first, size = np.unique(component[order], return_index=True, return_counts=True)[1:]
    return [order[first[size == m][:, None] + np.arange(m)] for m in np.unique(size)]


def _connected(codes: Sequence[Codes]) -> npt.NDArray[np.int32]:
    """Number of the component that each row is in: (n,)."""
    n_levels = [int(c.max()) + 1 for c in codes]
    start = np.concatenate([[0], np.cumsum(n_levels)])
    anchor = codes[0].astype(np.intp)
    edges = [(anchor, first + c) for first, c in zip(start[:-1], codes, strict=True)]
    left, right = (np.concatenate(ends) for ends in zip(*edges, strict=True))
    links = sparse.coo_array((np.ones(len(left)), (left, right)), shape=(start[-1], start[-1]))
    component: npt.NDArray[np.int32] = csgraph.connected_components(links, directed=False)[1]
    return component[anchor]
