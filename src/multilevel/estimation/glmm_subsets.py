"""The same generalized mixed model over some of its rows, or over rows drawn more than once.

Working coordinates stay those of the whole data, so that psi means the same: criteria, gradients and
Hessians of parts can be added and subtracted, and searches begin at the optimum of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Codes
from multilevel.estimation.glmm import WorkingGLMM
from multilevel.estimation.lmm import memory_limit
from multilevel.kernels.gaussian import ScaledColumns
from multilevel.kernels.marginal import MarginalKernel, RandomColumns, RowPredictor

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class SomeRows:
    """m rows of the data; a row may come several times, in copies that share no level."""

    rows: Indices  # (m,)
    copies: Indices | None = None  # (m,) number of the copy that each belongs to; None where all are one
    power: Array | None = None  # (m,) what multiplies their log-densities; None for that of the whole


def kernel_of(model: WorkingGLMM, some: SomeRows, *, prior: bool) -> MarginalKernel:
    """A kernel over some of the rows, with the prior of the whole or without any."""
    rows, which = model.rows, some.rows
    power = some.power if some.power is not None else taken(rows.power, which)
    factors = [columns_of(factor, some) for factor in model.kernel.factors]
    order = sorted(range(len(factors)), key=lambda k: -factors[k].n_levels)  # as the kernel wants them
    place = {old: new for new, old in enumerate(order)}
    return MarginalKernel(
        rows.density,
        np.ascontiguousarray(rows.y[which]),
        taken(rows.trials, which),
        power,
        [predictor_of(predictor, which) for predictor in rows.predictors],
        [factors[k] for k in order],
        [replace(layout, factor=place[layout.factor]) for layout in model.layouts],
        len(rows.constant),
        nodes=model.kernel.nodes,
        prior=model.prior if prior else None,
        memory_limit=memory_limit(),
    )


def taken(values: Array | None, which: Indices) -> Array | None:
    """Some of the values, if there are any."""
    return None if values is None else np.ascontiguousarray(values[which])


def predictor_of(predictor: RowPredictor, which: Indices) -> RowPredictor:
    """A linear predictor of some rows."""
    columns = taken_columns(predictor.columns, which)
    return RowPredictor(taken(predictor.offset, which), columns, predictor.coefficients)


def taken_columns(columns: ScaledColumns, which: Indices) -> ScaledColumns:
    """Columns of some rows, moved and scaled as those of the whole."""
    return ScaledColumns(np.asfortranarray(columns.values[which]), columns.shift, columns.scale)


def columns_of(factor: RandomColumns, some: SomeRows) -> RandomColumns:
    """A grouping factor over some rows, each copy of a level a level of its own."""
    codes, n_levels = renumbered(factor.codes[some.rows], factor.n_levels, some.copies)
    return RandomColumns(codes, n_levels, taken_columns(factor.columns, some.rows), factor.predictors)


def renumbered(codes: Codes, n_levels: int, copies: Indices | None) -> tuple[Codes, int]:
    """Codes 0 .. J-1 for the pairs of a level and a copy that are there, and J."""
    pairs = codes.astype(np.int64) if copies is None else copies.astype(np.int64) * n_levels + codes
    distinct, found = np.unique(pairs, return_inverse=True)
    return found.astype(np.int32).ravel(), len(distinct)


# ---- parts of the criterion ----


def rows_by_cluster(codes: Codes, n_clusters: int) -> list[Indices]:
    """The rows of each cluster, in their order."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes, minlength=n_clusters))[:-1])


def cluster_scores(model: WorkingGLMM, psi: Array, codes: Codes, n_clusters: int) -> Array:
    """Scores (G, k) of the log-likelihood of each cluster, which holds whole levels of all factors.

    They are exact: with one grouping factor the core has those of its levels, else each cluster is
    evaluated alone. A prior does not count.
    """
    kernel = model.kernel
    if kernel.has_group_scores:
        factor = kernel.factors[0]
        home = np.empty(factor.n_levels, dtype=np.intp)
        home[factor.codes] = codes
        scores = np.zeros((n_clusters, len(psi)))
        np.add.at(scores, home, kernel.group_scores(psi))
        return scores
    parts = [kernel_of(model, SomeRows(rows), prior=False) for rows in rows_by_cluster(codes, n_clusters)]
    return np.array([-0.5 * part.derivatives(psi)[1] for part in parts])
