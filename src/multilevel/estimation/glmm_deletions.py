"""Where would a generalized mixed model's optimum be without some of its rows, searched for anew?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from tqdm.auto import tqdm

from multilevel._typing import Array, Codes, Mask
from multilevel.design.glmm import GLMMDesign
from multilevel.estimation.deletions import cluster_sets, levels_left, lost_rank, single_sets
from multilevel.estimation.glmm import WorkingGLMM, search_from
from multilevel.estimation.glmm_refits import off_the_boundary
from multilevel.estimation.glmm_subsets import Indices, SomeRows, kernel_of, rows_by_cluster
from multilevel.kernels.gaussian import RowSets

DELAY = 1.0  # seconds before a progress bar is shown unless told
NOT_CONVERGED = "the search did not converge"
NOT_DEFINED = "the likelihood of the other rows is not defined at the estimates"


@dataclass(frozen=True, slots=True)
class Deletion:
    """Rows that are left out."""

    rows: Indices  # all that are touched
    left: Array  # of each, the share that stays: zero where it is left out altogether


@dataclass(frozen=True, slots=True)
class WithoutRows:
    """An optimum without some rows, k parameters in working coordinates."""

    psi: Array  # (k,)
    hessian: Array  # (k, k) of the criterion without the rows
    note: str | None = None  # why it is not to be trusted


NOTHING = np.zeros(0)


def group_deletions(codes: Codes, n_groups: int) -> list[Deletion]:
    """Leave out one group at a time."""
    return [Deletion(rows, np.zeros(len(rows))) for rows in rows_by_cluster(codes, n_groups)]


def single_deletions(counts: Array | None, n_rows: int) -> list[Deletion]:
    """Leave out one observation at a time: one of those that a row stands for."""
    left = np.zeros(n_rows) if counts is None else np.maximum(1.0 - 1.0 / counts, 0.0)
    return [Deletion(np.array([row]), left[row : row + 1]) for row in range(n_rows)]


def refitted(
    model: WorkingGLMM, psi: Array, deletions: Sequence[Deletion], progress: bool | None
) -> list[WithoutRows]:
    """Search without each set of rows, from the optimum of the whole."""
    start = off_the_boundary(model, psi)
    everything = np.arange(len(model.rows.y))

    def refit(deletion: Deletion) -> WithoutRows:
        rest = replace(model, kernel=kernel_of(model, kept(model, everything, deletion), prior=True))
        try:
            found = search_from(rest, start)
            hessian = rest.kernel.hessian(found.psi)
        except ValueError:  # the core's: the criterion is not defined there
            return WithoutRows(NOTHING, NOTHING, NOT_DEFINED)
        return WithoutRows(found.psi, hessian, None if found.converged else NOT_CONVERGED)

    return [refit(deletion) for deletion in shown(deletions, progress)]


def kept(model: WorkingGLMM, among: Indices, deletion: Deletion) -> SomeRows:
    """What stays of some rows, in increasing order, which hold those of the deletion."""
    share = np.ones(len(among))
    share[np.searchsorted(among, deletion.rows)] = deletion.left
    stays = share > 0.0
    rows = among[stays]
    if not deletion.left.any():
        return SomeRows(rows)
    power = np.ones(len(rows)) if model.rows.power is None else model.rows.power[rows]
    return SomeRows(rows, power=power * share[stays])


def shown(deletions: Sequence[Deletion], progress: bool | None) -> Sequence[Deletion]:
    """The deletions one by one, with a progress bar when it turns out long."""
    bar: Sequence[Deletion] = tqdm(
        deletions,
        desc="deletions",
        disable=progress is False,
        delay=0.0 if progress else DELAY,
        leave=False,
    )
    return bar


# ---- which deletions leave a model that can be estimated ----


def impossible(design: GLMMDesign, model: WorkingGLMM, codes: Codes | None, n_groups: int) -> dict[int, str]:
    """Deletions (of groups, or of single rows without codes) that leave no model, with the reason."""
    main = design.main
    sets = single_sets(main) if codes is None else cluster_sets(main, codes, n_groups)
    columns = model.rows.parts[0].fixed
    reasons: dict[int, str] = {}
    if columns is not None:
        for k in np.flatnonzero(lost_rank(main, columns.columns, sets)):
            reasons[int(k)] = "the other rows do not identify all coefficients"
    for factor in model.factors:
        for k in np.flatnonzero(few_left(design, sets, factor.codes, factor.n_levels)):
            reasons[int(k)] = f"the other rows have one level of {factor.name}"
    return reasons


def few_left(design: GLMMDesign, sets: RowSets, codes: Codes, n_levels: int) -> Mask:
    """After which deletions fewer than two levels have rows."""
    return np.asarray(levels_left(design.main, codes, n_levels, sets) < 2)
