"""Intercepts of combinations of group and level, as coefficients of a factor that differ between groups.

Effects u of the L levels of a factor in a group are an intercept and coefficients of the factor's columns:
with C the columns of all levels beside a one, these are C^-1 u.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes


@dataclass(frozen=True, slots=True)
class CellLines:
    """What combinations add to the lines of J groups: an intercept and L - 1 coefficients of the factor."""

    coefficients: Array  # (J, L)
    variance: Array  # (L,) of these, for a variance of one of the combinations


def cell_lines(effects: Array, groups: Codes, cells: Codes, columns: Array) -> CellLines | None:
    """Coefficients from effects (K,) of combinations, with `columns` (n, L - 1) those of the factor.

    `groups` and `cells` (n,) are the codes of each row. A combination that no row has gets the effect zero,
    as a new one would. None where the columns do not tell the levels apart.
    """
    first = np.empty(len(effects), dtype=np.intp)
    first[cells[::-1]] = np.arange(len(cells))[::-1]
    levels, which = np.unique(columns[first], axis=0, return_inverse=True)
    C = np.column_stack([np.ones(len(levels)), levels])
    places = groups[first], which.ravel()
    taken = len(np.unique(np.column_stack(places), axis=0))
    if C.shape[0] != C.shape[1] or np.linalg.matrix_rank(C) < len(C) or taken < len(effects):
        return None
    by_level = np.zeros((int(groups.max()) + 1, len(levels)))
    by_level[places] = effects
    inverse = np.linalg.inv(C)
    return CellLines(by_level @ inverse.T, (inverse**2).sum(axis=1))
