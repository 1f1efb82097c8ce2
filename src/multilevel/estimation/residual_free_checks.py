"""Can this model do without a residual? Refusals before the search, and the one after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from multilevel.design.design import Design, Grouping
from multilevel.errors import MemoryNeedError, ModelError
from multilevel.estimation.lmm import memory_limit
from multilevel.estimation.row_blocks import Rows

DENSE_COPIES = 6  # matrices as large as V alive at once: V, its factor, inverse and slope, and two products
UNBOUNDED = 1e-9  # pivot of V to which only a likelihood without a maximum leads


def refuse_weights(design: Design) -> None:
    """Weights speak of a residual that is not there."""
    if design.weights is not None:
        raise ModelError(
            "weights= scale the residual variance of each row, but residual='none' leaves no residual; "
            "drop the weights, or keep the residual."
        )
    if design.freq_weights is not None:
        raise ModelError(
            "freq_weights= count rows that differ by their residuals only, but residual='none' leaves no "
            "residual, so no row can stand twice; drop the counts, or keep the residual."
        )


def require_dense_memory(stacks: Sequence[Rows], n_terms: int) -> None:
    """Refuse blocks whose dense matrices would not fit, before they are formed."""
    entries = sum(float(rows.shape[0]) * float(rows.shape[1]) ** 2 for rows in stacks)
    need = entries * (8 * DENSE_COPIES + n_terms)
    if need > memory_limit():
        raise MemoryNeedError(
            f"residual='none' would need {need / 1e9:,.0f} GB, more than this machine's memory allows: "
            f"without a residual the covariance of rows that share a level is formed densely, and up to "
            f"{stacks[-1].shape[1]:,} rows hang together. Keep the residual, or group by a factor with "
            "smaller groups."
        )


def refuse_unexplained_rows(design: Design) -> NoReturn:
    """Rows that the random effects cannot tell apart would need a residual."""
    terms = ", ".join(f"({term.label})" for term in design.terms)
    raise ModelError(
        f"residual='none': the random effects {terms} cannot explain every row, because "
        f"{not_told_apart(design)}. Without a residual each row needs variation of its own: add a term that "
        f"tells the rows of a group apart, such as ar1(0 + time | group), or keep the residual."
    )


def not_told_apart(design: Design) -> str:
    """What the random effects lack, in words: twins among the rows, or too few effects."""
    twins = first_twins(design)
    if len(twins):
        level = ", ".join(f"{g.name} {g.levels[g.codes[twins[0]]]!r}" for g in used_groupings(design))
        rows = ", ".join(map(str, np.flatnonzero(design.rows)[twins[:3]]))
        more = f" and {len(twins) - 3} more" if len(twins) > 3 else ""
        return f"rows {rows}{more} (from 0; {level}) are alike in them"
    effects = sum(design.groupings[t.grouping].n_levels * t.n_columns for t in design.terms)
    if effects < design.n_rows:
        return f"{design.n_rows} rows cannot vary freely with {effects} random effects"
    return "in some groups there are fewer random effects than rows"


def used_groupings(design: Design) -> list[Grouping]:
    """The grouping factors that terms act on."""
    return [design.groupings[k] for k in sorted({term.grouping for term in design.terms})]


def first_twins(design: Design) -> Rows:
    """Rows equal to each other in every level and random-effect column: the first such set, or none."""
    codes = [g.codes[:, None].astype(float) for g in used_groupings(design)]
    key = np.hstack([*codes, *(term.Z for term in design.terms)])
    _, kind, count = np.unique(key, axis=0, return_inverse=True, return_counts=True)
    repeated = np.flatnonzero(count[kind.ravel()] > 1)
    return np.flatnonzero(kind.ravel() == kind.ravel()[repeated[0]]) if len(repeated) else repeated


def refuse_unbounded(design: Design, least_pivot: float) -> None:
    """A likelihood that grows without limit has no maximum."""
    if least_pivot > UNBOUNDED:
        return
    sizes = ", ".join(
        f"({t.label}) has {t.n_columns} columns and {design.groupings[t.grouping].n_levels} groups"
        for t in design.terms
    )
    raise ModelError(
        "residual='none': the likelihood grows without limit as the covariance of the responses loses its "
        f"rank, so it has no maximum: {sizes}. Use a simpler structure (cs, ar1, diag), fewer columns, or "
        "keep the residual."
    )
