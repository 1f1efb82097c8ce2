"""Degrees of freedom by counting groups: rules that are exact in balanced designs, and simple everywhere.

- "residual": observations less coefficients, as if there were no groups.
- "containment" (as nlme counts): a coefficient whose column varies within the groups of level i - 1 but not
  within those of level i is estimated at level i, with df = m_i - (m_(i-1) + p_i), where m_i counts the
  groups of level i and p_i the coefficients estimated there. Observations are the last level; the intercept
  is given theirs.
- "between-within" (as SAS has it): the residual degrees of freedom are split between the outermost groups and
  what varies within them; a coefficient has one or the other.

A combination of coefficients has the smallest degrees of freedom of those that take part.

Pinheiro, J. C. & Bates, D. M. (2000). Mixed-Effects Models in S and S-PLUS, section 2.4. Springer.
Schluchter, M. D. & Elashoff, J. D. (1990). Small-sample adjustments to tests with unbalanced repeated
measures assuming several covariance structures. Journal of Statistical Computation and Simulation 37, 69-87.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from multilevel._typing import Array, Codes, Mask
from multilevel.design.design import Design, Grouping
from multilevel.errors import ModelError
from multilevel.estimation.centring import constant_column
from multilevel.inference.coefficients import FTest, difference, f_result
from multilevel.inference.information import FixedBasis
from multilevel.inference.satterthwaite import mean_square

TAKES_PART = (
    1e-10  # of a combination, in standard errors, below which a coefficient is in it by rounding only
)


@dataclass(frozen=True, slots=True)
class CountedDf:
    """The model's covariance of the coefficients, with degrees of freedom counted for each."""

    method: str
    beta: Array  # (p,)
    basis: FixedBasis
    std_error: Array  # (p,)
    counted: Array  # (p,) degrees of freedom of each coefficient

    def covariance(self, L: Array) -> Array:
        """Covariance (k, k) of L beta-hat."""
        rows = self.basis.rows(L)
        return np.asarray(rows @ rows.T)

    def df(self, L: Array) -> Array:
        """The smallest degrees of freedom (k,) of the coefficients in each row of L (k, p)."""
        size = np.abs(L) * self.std_error
        takes_part = size > TAKES_PART * size.max(axis=1, keepdims=True, initial=0.0)
        return np.asarray(np.min(np.where(takes_part, self.counted, np.inf), axis=1, initial=np.inf))

    def f_test(self, L: Array, at: Array | None = None) -> FTest:
        """Wald's test as F, with the smallest degrees of freedom of all rows below."""
        statistic, rank = mean_square(self.basis.rows(L), difference(self.beta, L, at))
        return f_result(statistic, float(rank), float(self.df(L).min(initial=np.inf)))


def same_df(design: Design, df: float) -> Array:
    """One number for every coefficient (p,)."""
    return np.full(design.X.shape[1], df)


def residual_df(design: Design) -> Array:
    """Observations less coefficients, for each coefficient (p,)."""
    return same_df(design, design.n_obs - design.X.shape[1])


def containment_df(design: Design) -> Array:
    """Degrees of freedom (p,) of the level at which each coefficient is estimated."""
    levels = nested_levels(design, "containment")
    intercept = constant_column(design.X)
    estimated_at = np.zeros(design.X.shape[1], dtype=int)
    for grouping in levels:
        estimated_at += varies_within(design.X, grouping.codes)
    groups = np.array([0.0 if intercept is None else 1.0, *(g.n_levels for g in levels), design.n_obs])
    counted = np.delete(estimated_at, intercept) if intercept is not None else estimated_at
    coefficients = np.bincount(counted, minlength=len(levels) + 1)
    df = groups[1:] - groups[:-1] - coefficients
    if intercept is not None:
        estimated_at[intercept] = len(levels)
    return refuse_none(df[estimated_at], design, "containment")


def between_within_df(design: Design) -> Array:
    """Degrees of freedom (p,) between the outermost groups, or within them."""
    outermost = nested_levels(design, "between-within")[0]
    within = varies_within(design.X, outermost.codes)
    between = outermost.n_levels - np.count_nonzero(~within)
    rest = design.n_obs - design.X.shape[1] - between
    return refuse_none(np.where(within, rest, between).astype(float), design, "between-within")


def varies_within(X: Array, codes: Codes) -> Mask:
    """Whether each column (p,) takes several values within some group."""
    last = np.empty((int(codes.max()) + 1, X.shape[1]))
    last[codes] = X
    return np.asarray((last[codes] != X).any(axis=0))


def nested_levels(design: Design, method: str) -> list[Grouping]:
    """The grouping factors, outermost first, each nested in the one before."""
    used = {term.grouping for term in design.terms}
    levels = sorted((design.groupings[k] for k in used), key=lambda grouping: grouping.n_levels)
    for outer, inner in pairwise(levels):
        if not is_nested(inner, outer):
            raise ModelError(
                f'df="{method}" counts groups within groups, but {inner.name} and {outer.name} are crossed; '
                'use df="satterthwaite".'
            )
    return levels


def is_nested(inner: Grouping, outer: Grouping) -> bool:
    """Whether all rows of an inner group lie in one outer group."""
    home = np.empty(inner.n_levels, dtype=outer.codes.dtype)
    home[inner.codes] = outer.codes
    return bool((home[inner.codes] == outer.codes).all())


def refuse_none(df: Array, design: Design, method: str) -> Array:
    """Degrees of freedom that are there."""
    short: Sequence[str] = [name for name, value in zip(design.coef_names, df, strict=True) if value <= 0.0]
    if short:
        raise ModelError(
            f'df="{method}" leaves no degrees of freedom for {", ".join(short)}: there are no more groups '
            'than coefficients estimated between them. Use df="satterthwaite", or fewer coefficients.'
        )
    return df
