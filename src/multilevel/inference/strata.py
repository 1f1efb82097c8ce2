"""At which level of a nested or blocked experiment is each treatment compared? The classical analysis.

Blocks and plots split the variation into strata: between blocks, between plots within blocks, and within
plots. In a design whose blocks are alike, errors within one stratum are independent with one variance, so
that treatments are tested in each stratum against that stratum's residual, exactly and without estimating
variances.

References:
    Nelder, J. A. (1965). The analysis of randomized experiments with orthogonal block structure. Proceedings
    of the Royal Society A 283, 147-178.
    Tjur, T. (1984). Analysis of variance models in orthogonal designs. International Statistical Review 52,
    33-65.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import fdtrc

from multilevel._typing import Array, Codes
from multilevel.design.design import Design, Grouping
from multilevel.design.fixed_terms import FixedTerm, fixed_terms
from multilevel.errors import ModelError
from multilevel.estimation.ols import triangularise
from multilevel.inference.nesting import same_groups
from multilevel.inference.term_contrasts import lengths, orthonormal

IN_STRATUM = 1e-7  # share of a column's length that must lie in a stratum to be compared there
WITHIN = "Within"
INSTEAD = 'use anova() with df="satterthwaite" or "kenward-roger"'


@dataclass(frozen=True, slots=True)
class StratumRow:
    """A term, or the residuals, in one stratum."""

    stratum: str
    term: str
    df: int
    sum_sq: float
    statistic: float  # F against the stratum's residuals; NaN for these and where there are none
    p_value: float


@dataclass(frozen=True, slots=True)
class Stratum:
    """Columns and response as they vary in one stratum: rows that stand for all of it."""

    name: str
    df: int
    values: Array  # (r, p + 1) the columns of X, then y; sums of squares over r are those over all rows


def strata_tests(design: Design) -> list[StratumRow]:
    """Each term in each stratum where it varies, term after term, with the stratum's residuals."""
    factors = block_factors(design)
    terms = fixed_terms(design)
    counts = np.ones(design.n_rows) if design.freq_weights is None else design.freq_weights
    require_orthogonal(factors, counts)
    y = design.y if design.offset is None else design.y - design.offset
    values = np.column_stack([design.X, y])
    values = values - counts @ values / counts.sum()
    size = lengths(np.sqrt(counts)[:, None] * values)
    return [row for stratum in split(values, factors, counts) for row in tests_in(stratum, terms, size)]


# ---- the strata ----


def block_factors(design: Design) -> list[Grouping]:
    """The grouping factors of random intercepts, each once, the coarsest first."""
    if design.weights is not None:
        raise ModelError("error strata need equal precision in all rows; this fit has weights=.")
    for term in design.terms:
        if term.n_columns > 1 or not (term.Z == 1.0).all():
            raise ModelError(
                f"({term.label}) is no random intercept, and error strata are made by these alone; {INSTEAD}."
            )
    factors: list[Grouping] = []
    for term in design.terms:
        factor = design.groupings[term.grouping]
        if not any(same_groups(factor.codes, other.codes) for other in factors):
            factors.append(factor)
    return sorted(factors, key=lambda factor: factor.n_levels)


def require_orthogonal(factors: Sequence[Grouping], counts: Array) -> None:
    """Levels of one factor must be alike in size, and factors nested or balanced against each other."""
    for factor in factors:
        sizes = np.bincount(factor.codes, counts, factor.n_levels)
        if sizes.max() != sizes.min():
            raise ModelError(
                f"the levels of '{factor.name}' have {sizes.min():g} to {sizes.max():g} rows, and "
                f"exact tests by strata need the same number in each; {INSTEAD}."
            )
    for number, factor in enumerate(factors):
        for finer in factors[number + 1 :]:
            if not is_coarser(factor, finer):
                require_balanced_crossing(factor, finer, factors, counts)


def require_balanced_crossing(
    one: Grouping, other: Grouping, factors: Sequence[Grouping], counts: Array
) -> None:
    """Where two factors cross, each level of one must meet each of the other, equally often."""
    table = coo_array((counts, (one.codes, other.codes)), (one.n_levels, other.n_levels)).tocsr()
    n_blocks, labels = connected_components(
        coo_array((counts, (one.codes, other.codes + one.n_levels)), (one.n_levels + other.n_levels,) * 2),
        directed=False,
    )
    meetings = sum(
        int((labels[: one.n_levels] == block).sum()) * int((labels[one.n_levels :] == block).sum())
        for block in range(n_blocks)
    )
    together = labels[one.codes].astype(np.int32)
    is_known = n_blocks == 1 or any(same_groups(together, factor.codes) for factor in factors)
    if table.nnz != meetings or table.data.max() != table.data.min() or not is_known:
        raise ModelError(
            f"'{one.name}' and '{other.name}' are neither nested nor crossed in a balanced way, so "
            f"the variation does not split into strata; {INSTEAD}."
        )


def is_coarser(one: Grouping, other: Grouping) -> bool:
    """Whether each level of the other factor lies in one level of this."""
    home = np.empty(other.n_levels, dtype=np.int32)
    home[other.codes] = one.codes
    return bool((home[other.codes] == one.codes).all())


def split(values: Array, factors: Sequence[Grouping], counts: Array) -> list[Stratum]:
    """The variation of the columns (n, k), of mean zero, between the levels of each factor and within all.

    A factor's stratum is what its level means show beyond the strata of the factors coarser than it.
    """
    effects: list[Array] = []  # (J, k) a factor's own part of its level means
    strata: list[Stratum] = []
    df_of: list[int] = []
    within = values
    for factor in factors:
        sizes, rows = np.bincount(factor.codes, counts, factor.n_levels), first_rows(factor)
        means = level_sums(values * counts[:, None], factor.codes, factor.n_levels) / sizes[:, None]
        df = factor.n_levels - 1
        for coarse, effect, coarse_df in zip(factors, effects, df_of, strict=False):
            if is_coarser(coarse, factor):
                means = means - effect[coarse.codes[rows]]
                df -= coarse_df
        effects.append(means)
        df_of.append(df)
        within = within - means[factor.codes]
        strata.append(Stratum(factor.name, df, np.sqrt(sizes)[:, None] * means))
    df = round(float(counts.sum())) - 1 - sum(df_of)
    return [*strata, Stratum(WITHIN, df, np.sqrt(counts)[:, None] * within)]


def first_rows(factor: Grouping) -> Codes:
    """A row of each level: (J,)."""
    rows = np.empty(factor.n_levels, dtype=np.int32)
    rows[factor.codes] = np.arange(len(factor.codes), dtype=np.int32)
    return rows


def level_sums(values: Array, codes: Codes, n_levels: int) -> Array:
    """Sums of each column over the rows of each level: (J, k)."""
    return np.column_stack([np.bincount(codes, column, n_levels) for column in values.T])


# ---- tests in a stratum ----


def tests_in(stratum: Stratum, terms: Sequence[FixedTerm], size: Array) -> list[StratumRow]:
    """Terms in turn, each by what it adds to those before it, then what is left; `size` of all columns."""
    if stratum.df == 0:
        return []
    varying = lengths(stratum.values) > IN_STRATUM * np.append(size[:-1], 0.0)
    tested = [(term, j) for term in terms if not term.is_constant for j in term.columns if varying[j]]
    columns = [j for _, j in tested]
    gains, taken, rest = sequential_gains(stratum.values[:, columns], stratum.values[:, -1], size[columns])
    names = [tested[k][0].name for k in taken]
    df, left = stratum.df - len(taken), float(rest @ rest)
    error = left / df if df > 0 else np.nan
    rows = []
    for name in dict.fromkeys(names):
        mine = np.array([each == name for each in names])
        rows.append(term_row(stratum.name, name, int(mine.sum()), float(gains[mine].sum()), error, df))
    residuals = StratumRow(stratum.name, "Residuals", df, left, np.nan, np.nan)
    return [*rows, residuals] if df > 0 else rows


def sequential_gains(X: Array, y: Array, size: Array) -> tuple[Array, list[int], Array]:
    """What each column of X (r, m) adds to the fit of y (r,), which columns do add, and what is left of y."""
    if 0 < X.shape[1] <= X.shape[0]:
        triangle = triangularise(X, y)
        if (np.abs(triangle.R.diagonal()) > IN_STRATUM * size).all():
            return triangle.z**2, list(range(X.shape[1])), y - X @ np.linalg.solve(triangle.R, triangle.z)
    basis, taken = orthonormal(X, size, IN_STRATUM)
    gains = basis.T @ y
    return gains**2, taken, y - basis @ gains


def term_row(stratum: str, term: str, df: int, sum_sq: float, error: float, df_error: int) -> StratumRow:
    """A term's sum of squares, and F against the mean square of the residuals."""
    statistic = sum_sq / df / error
    return StratumRow(stratum, term, df, sum_sq, statistic, float(fdtrc(df, df_error, statistic)))
