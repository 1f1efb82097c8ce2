"""What is a mean over a reference grid, and what does each cell count in it?"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from multilevel._typing import Array
from multilevel.inference.reference_grid import Axis, Population, ReferenceGrid

WEIGHTS = ("equal", "proportional", "outer", "cells", "flat")


def averaged(
    grid: ReferenceGrid, names: Sequence[str], weights: str, counts: Array | None
) -> tuple[Array, Array]:
    """Rows (S, p + d) and offsets (S,) of the means over all axes but `names`, the first varying fastest.

    A mean all of whose cells have no weight is NaN.
    """
    order = [axis.name for axis in grid.axes]
    kept = [order.index(name) for name in names]
    others = tuple(k for k in range(len(order)) if k not in kept)
    weight = np.broadcast_to(cell_weights(grid, kept, weights, counts), grid.offset.shape)
    total = weight.sum(axis=others)
    with np.errstate(invalid="ignore"):
        X = (grid.X * weight[..., None]).sum(axis=others) / total[..., None]
        offset = (grid.offset * weight).sum(axis=others) / total
    turned = np.argsort(np.argsort(kept))  # where each name's axis is now
    backwards = [int(k) for k in turned[::-1]]
    return (
        X.transpose(*backwards, len(kept)).reshape(-1, X.shape[-1]),
        offset.transpose(backwards).ravel(),
    )


def cell_weights(grid: ReferenceGrid, kept: Sequence[int], weights: str, counts: Array | None) -> Array:
    """What cells count in a mean, up to a factor; broadcasts to (d1, ..., dm)."""
    if weights == "equal" or counts is None:
        return np.ones(grid.offset.shape)
    others = [k for k in range(counts.ndim) if k not in kept]
    match weights:
        case "proportional":
            return np.asarray(counts.sum(axis=tuple(kept), keepdims=True))
        case "outer":
            margins = [
                counts.sum(axis=tuple(j for j in range(counts.ndim) if j != k), keepdims=True) for k in others
            ]
            return np.asarray(prod(margins, start=np.ones((1,) * counts.ndim)))
        case "flat":
            return np.asarray(counts > 0.0, dtype=np.float64)
    return counts


def cell_counts(source: Population, axes: Sequence[Axis]) -> Array:
    """Observations in each cell; one value stands for all of a covariate's. Broadcasts to (d1, ..., dm)."""
    sizes = tuple(1 if axis.observed is None else axis.size for axis in axes)
    cell = np.zeros(source.design.n_rows, dtype=np.int64)
    inside = np.ones(source.design.n_rows, dtype=np.bool_)
    for axis, size in zip(axes, sizes, strict=True):
        if axis.observed is not None:
            inside &= axis.observed >= 0
            cell = cell * size + axis.observed
    given = source.design.freq_weights
    counted = None if given is None else given[inside]
    return np.asarray(np.bincount(cell[inside], counted, prod(sizes)), dtype=np.float64).reshape(sizes)
