"""What would the estimates be without some of the rows? The same model fitted without each set of rows.

The model keeps the working coordinates of all rows, and the core takes the deleted rows out of the
cross-products, so that a deletion costs a warm search and no pass over the rows that stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from tqdm.auto import tqdm

from multilevel._typing import Array, Codes, Mask
from multilevel.design.design import Design
from multilevel.estimation.lmm import LARGE_TAIL, LARGE_TOLERANCE, MAX_EVALUATIONS, TOLERANCE, WorkingModel
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.refits import warm_start
from multilevel.estimation.working import effective_weights
from multilevel.kernels.gaussian import DeletionFits, RowSets, ScaledColumns

SETS_A_BLOCK = 64  # deletions between two looks at the keyboard
LONG = 2e7  # random effects times deletions from which a progress bar is shown unless told
RANK_LOST = 1e-9  # share of a direction of X that must stay for its coefficient to be estimable


def cluster_sets(design: Design, codes: Codes, n_clusters: int) -> RowSets:
    """Leave out one cluster at a time: all rows of it, with all their weight."""
    order = np.argsort(codes, kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=n_clusters))])
    weights = effective_weights(design)
    lost = np.ones(design.n_rows) if weights is None else weights[order]
    left = design.n_obs - np.bincount(codes, design.freq_weights, n_clusters)
    return RowSets(order.astype(np.int64), lost, start.astype(np.int64), np.asarray(left, dtype=np.float64))


def single_sets(design: Design) -> RowSets:
    """Leave out one observation at a time: one of those that a row stands for."""
    n = design.n_rows
    lost = np.ones(n) if design.weights is None else design.weights
    return RowSets(np.arange(n), np.ascontiguousarray(lost), np.arange(n + 1), np.full(n, design.n_obs - 1.0))


def fit_without_each(
    model: WorkingModel,
    optimum: Optimum,
    sets: RowSets,
    *,
    reml: bool,
    hold_theta: bool,
    progress: bool | None = None,
) -> DeletionFits:
    """Fit without each of G sets of rows, with theta held or searched for anew from the optimum."""
    start = optimum.theta if hold_theta else warm_start(model, optimum)
    large = model.kernel.tail_size >= LARGE_TAIL
    count = len(sets.n_obs)
    effects = sum(factor.n_levels for factor in model.kernel.factors)
    parts = []
    with tqdm(total=count, disable=not (effects * count > LONG if progress is None else progress)) as bar:
        for begin in range(0, max(count, 1), SETS_A_BLOCK):
            block = slice(begin, min(begin + SETS_A_BLOCK, count))
            found = model.kernel.fit_without(
                some_sets(sets, block),
                start,
                reml=reml,
                tolerance=LARGE_TOLERANCE if large else TOLERANCE,
                max_evaluations=0 if hold_theta else MAX_EVALUATIONS,
            )
            parts.append(found)
            bar.update(block.stop - block.start)
    return stacked(parts)


def stacked(parts: Sequence[DeletionFits]) -> DeletionFits:
    """Results of blocks of deletions, one after another."""
    columns = [[getattr(part, field.name) for part in parts] for field in fields(DeletionFits)]
    return DeletionFits(*(np.concatenate(column) for column in columns))


def some_sets(sets: RowSets, block: slice) -> RowSets:
    """Some of the sets, which follow each other."""
    first, last = sets.start[block.start], sets.start[block.stop]
    return RowSets(
        sets.rows[first:last],
        sets.weights[first:last],
        sets.start[block.start : block.stop + 1] - first,
        sets.n_obs[block],
    )


def sets_kept(sets: RowSets, which: Mask) -> RowSets:
    """The marked ones of the sets (G,)."""
    if which.all():
        return sets
    sizes = np.diff(sets.start)
    entries = np.repeat(which, sizes)
    start = np.concatenate([[0], np.cumsum(sizes[which])])
    return RowSets(sets.rows[entries], sets.weights[entries], start, sets.n_obs[which])


# ---- which deletions leave a model that can be estimated ----


def impossible(design: Design, model: WorkingModel, sets: RowSets) -> dict[int, str]:
    """Deletions after which the model cannot be estimated, with the reason."""
    reasons = {}
    for k in np.flatnonzero(lost_rank(design, model.fixed.columns, sets)):
        reasons[int(k)] = "the other rows do not identify all coefficients"
    for term in design.terms:
        factor = design.groupings[term.grouping]
        left = levels_left(design, factor.codes, factor.n_levels, sets)
        for k in np.flatnonzero(left < 2):
            reasons[int(k)] = f"the other rows have one level of {factor.name}"
        if term.structure in ("us", "diag"):
            for k in np.flatnonzero((left >= 2) & (left * term.n_columns >= sets.n_obs)):
                reasons[int(k)] = f"the other rows hold no more observations than ({term.label}) has effects"
    return reasons


def levels_left(design: Design, codes: Codes, n_levels: int, sets: RowSets) -> Array:
    """How many levels (G,) of a factor have rows left after each deletion."""
    which = np.repeat(np.arange(len(sets.n_obs)), np.diff(sets.start))
    gone = whole_rows(design, sets)
    pairs = which[gone].astype(np.int64) * n_levels + codes[sets.rows[gone]]
    pair, count = np.unique(pairs, return_counts=True)
    emptied = count == np.bincount(codes, minlength=n_levels)[pair % n_levels]
    return np.asarray(
        n_levels - np.bincount(pair[emptied] // n_levels, minlength=len(sets.n_obs)), dtype=float
    )


def whole_rows(design: Design, sets: RowSets) -> Mask:
    """Which entries of the sets take a row out altogether."""
    weights = effective_weights(design)
    return np.asarray(sets.weights == (1.0 if weights is None else weights[sets.rows]))


def lost_rank(design: Design, columns: ScaledColumns, sets: RowSets) -> Mask:
    """After which deletions (G,) X has no longer full column rank.

    In an orthonormal basis of X a set takes U'U from the identity; rank is lost where that has an
    eigenvalue of 1, which its trace, cheaper, rules out for nearly all sets.
    """
    G, p = len(sets.n_obs), design.X.shape[1]
    if p == 0:
        return np.zeros(G, dtype=bool)
    basis = orthonormal_basis(design, columns)[sets.rows]
    which = np.repeat(np.arange(G), np.diff(sets.start))
    trace = np.bincount(which, sets.weights * (basis * basis).sum(axis=1), G)
    lost = np.zeros(G, dtype=bool)
    for k in np.flatnonzero(trace > 1.0 - RANK_LOST):
        rows = slice(sets.start[k], sets.start[k + 1])
        U = np.sqrt(sets.weights[rows])[:, None] * basis[rows]
        lost[k] = np.linalg.eigvalsh(U.T @ U)[-1] > 1.0 - RANK_LOST
    return lost


def orthonormal_basis(design: Design, columns: ScaledColumns) -> Array:
    """Columns (n, p) that span X, with basis'W basis the identity."""
    X = (columns.values - columns.shift) * columns.scale
    weights = effective_weights(design)
    triangle = np.asarray(np.linalg.qr(X if weights is None else np.sqrt(weights)[:, None] * X, mode="r"))
    return np.asarray(np.linalg.solve(triangle.T, X.T).T)
