"""What whitens each cluster, as a matrix: for questions that need the covariance of a cluster itself."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array
from multilevel.errors import MemoryNeedError
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.estimation.residual.structure import Whitening

Rows = npt.NDArray[np.int64]
MOST_NUMBERS = 100_000_000  # of rows times places in the largest cluster


def row_stacks(rows: ResidualRows) -> list[Rows]:
    """The rows of all clusters, those of one size together: (K, m) each."""
    if rows.layout is None:
        return [np.arange(rows.n_rows, dtype=np.int64)[:, None]]
    start, sizes = rows.layout.start, rows.layout.sizes
    return [start[:-1][sizes == m][:, None] + np.arange(m) for m in np.unique(sizes)]


def whitened_units(whitening: Whitening, log_sd: Array, stacks: list[Rows]) -> list[Array]:
    """T D^-1 of every cluster (K, m, m): all unit vectors of one place are whitened together."""
    widest = max(stack.shape[1] for stack in stacks)
    if len(log_sd) * widest > MOST_NUMBERS:
        raise MemoryNeedError(
            f"covariance matrices of groups of up to {widest} rows would need "
            f"{8e-9 * len(log_sd) * widest:.0f} GB at once; use fewer rows, or smaller groups."
        )
    units = np.zeros((len(log_sd), widest))
    for stack in stacks:
        units[stack, np.arange(stack.shape[1])] = 1.0
    white = whitening.whiten(units * np.exp(-log_sd)[:, None])
    return [white[stack][:, :, : stack.shape[1]] for stack in stacks]


def coloured(rows: ResidualRows, whitening: Whitening, log_sd: Array, white: Array) -> Array:
    """Numbers with the covariance V, from uncorrelated ones (n, B), both in the order of estimation."""
    stacks = row_stacks(rows)
    errors = np.empty_like(white)
    for stack, half in zip(stacks, whitened_units(whitening, log_sd, stacks), strict=True):
        errors[stack] = np.linalg.solve(half, white[stack])
    return errors
