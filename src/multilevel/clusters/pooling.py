"""What line does each group have: its own, the mixed model's, or the one of all groups?

A line is an intercept and coefficients of the predictors that vary within groups. What is constant within
groups moves the intercept; a product of a predictor with something constant, as in a cross-level interaction,
moves that predictor's coefficient.

Gelman, A. and Hill, J. (2007). Data Analysis Using Regression and Multilevel/Hierarchical Models, chapter 12.
Cambridge University Press.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes, Mask
from multilevel.clusters.shrinkage import RELATIVE_RANK, sums_by_level
from multilevel.clusters.within import varying_within, within_groups

INTERCEPT = "Intercept"
PRODUCT = 1e-9  # relative size of what rounding leaves of a product
TOLD = 1e-12  # squared relative length of what rounding leaves of a coefficient outside what the rows tell


@dataclass(frozen=True, slots=True)
class Share:
    """What one column of X adds to the lines of J groups, for each unit of its coefficient."""

    place: int  # in the line: 0 for the intercept
    amount: Array  # (J,)


@dataclass(frozen=True, slots=True)
class LineTerms:
    """How the columns of X (n, p) make lines of an intercept and q - 1 columns."""

    names: tuple[str, ...]  # (q,) the intercept first
    columns: tuple[int, ...]  # (q - 1,) of X
    shares: tuple[tuple[Share, ...], ...]  # (p,)

    def lines(self, beta: Array) -> Array:
        """Coefficients (J, q) of each group's line under coefficients (p,) of X."""
        return sum_of_shares(self.shares, beta, len(self.names))


@dataclass(frozen=True, slots=True)
class OwnLines:
    """Least squares within each of J groups; NaN for coefficients that a group's rows do not tell."""

    coefficients: Array  # (J, q)
    std_error: Array  # (J, q) with the residual variance of all groups together
    sigma: float  # NaN if no observations are left to tell it
    df_residual: float


@dataclass(frozen=True, slots=True)
class ThreeLines:
    """Lines of J groups in three ways, q coefficients each."""

    names: tuple[str, ...]  # (q,)
    own: OwnLines  # no pooling
    partial: Array  # (J, q) by the mixed model
    average: Array  # (J, q) its average line for the predictors of each group: partial less random effects
    complete: Array  # (J, q) by least squares that knows no groups
    sd: Array  # (q,) between groups, by the mixed model; 0 where it has no random effect
    reliability: Array  # (J, q) weight that the mixed model gives to the group's own data; NaN if not known


def line_terms(X: Array, names: Sequence[str], codes: Codes) -> LineTerms:
    """Which columns of X make the lines of groups, and what the others do to them."""
    varies = varying_within(X, within_groups(X, codes, np.ones(len(X))))
    size = np.bincount(codes)
    has_intercept = bool((X == 1.0).all(axis=0).any())
    columns: list[int] = []
    shares: list[tuple[Share, ...]] = []
    for j, name in enumerate(names):
        if not varies[j]:
            shares.append((Share(0, np.bincount(codes, weights=X[:, j]) / size),))
            continue
        found = product_of(X, j, columns, codes) if ":" in name else ()
        if not found and not has_intercept:
            found = combination_of(X, j, columns, len(size))
        if not found:
            columns.append(j)
            found = (Share(len(columns), np.ones(len(size))),)
        shares.append(found)
    return LineTerms((INTERCEPT, *(names[j] for j in columns)), tuple(columns), tuple(shares))


def product_of(X: Array, j: int, columns: Sequence[int], codes: Codes) -> tuple[Share, ...]:
    """Column j of X as one of `columns` times something constant within groups; nothing if it is not."""
    for place, column in enumerate(columns, start=1):
        amount = by_group(X[:, j], X[:, column], codes)
        if amount is not None:
            return (Share(place, amount),)
    return ()


def combination_of(X: Array, j: int, columns: Sequence[int], n_groups: int) -> tuple[Share, ...]:
    """Column j of X as a combination of an intercept and `columns`, as the last level of a factor is."""
    basis = np.column_stack([np.ones(len(X)), X[:, columns]])
    amounts = np.linalg.lstsq(basis, X[:, j], rcond=None)[0]
    if np.abs(X[:, j] - basis @ amounts).max() > PRODUCT * np.abs(X[:, j]).max():
        return ()
    return tuple(Share(place, np.full(n_groups, amount)) for place, amount in enumerate(amounts))


def by_group(product: Array, column: Array, codes: Codes) -> Array | None:
    """What a column is multiplied by in each group (J,) to give `product` (n,); None where nothing does.

    NaN in groups where the column is zero and nothing can be seen.
    """
    squares = np.bincount(codes, weights=column**2)
    moment = np.bincount(codes, weights=product * column)
    values = np.divide(moment, squares, out=np.full(len(squares), np.nan), where=squares > 0.0)
    rest = product - np.nan_to_num(values)[codes] * column
    return values if np.abs(rest).max() <= PRODUCT * np.abs(product).max() else None


def sum_of_shares(shares: Sequence[tuple[Share, ...]], beta: Array, q: int) -> Array:
    """Lines (J, q) from what each column of X adds to them."""
    lines = np.zeros((len(shares[0][0].amount), q))
    for of_column, coefficient in zip(shares, beta, strict=True):
        for share in of_column:
            lines[:, share.place] += coefficient * share.amount
    return lines


def own_lines(
    V: Array, residual: Array, common: Array, codes: Codes, weights: Array, counts: Array
) -> OwnLines:
    """Weighted least squares within groups on an intercept and V (n, q - 1).

    They are found as deviations from lines in `common` (J, q), which leave `residual` (n,) of the response.
    `counts` (n,) says how many observations a row is, and is part of its weight.
    """
    shift = V.mean(axis=0)
    columns = np.column_stack([np.ones(len(V)), V - shift])
    gram = sums_by_level(weights[:, None, None] * columns[:, :, None] * columns[:, None, :], codes)
    moment = sums_by_level((weights * residual)[:, None] * columns, codes)
    solved = solve_groups(gram)
    deviation = (solved.inverse @ moment[:, :, None])[:, :, 0]
    rest = residual - (columns * deviation[codes]).sum(axis=1)
    df = float(counts.sum() - solved.rank.sum())
    sigma = float(np.sqrt((weights * rest**2).sum() / df)) if df > 0 else np.nan
    at_zero = np.eye(columns.shape[1])  # from the intercept at the means of V to the one at its zero
    at_zero[0, 1:] = -shift
    told = solved.tells(at_zero)
    variance = np.maximum(np.einsum("qr,jrs,qs->jq", at_zero, solved.inverse, at_zero), 0.0)
    return OwnLines(
        coefficients=np.where(told, common + deviation @ at_zero.T, np.nan),
        std_error=np.where(told, sigma * np.sqrt(variance), np.nan),
        sigma=sigma,
        df_residual=df,
    )


@dataclass(frozen=True, slots=True)
class SolvedGroups:
    """The normal equations of J groups, of which some may be singular."""

    inverse: Array  # (J, q, q) generalised
    rank: Array  # (J,)
    scale: Array  # (J, q) of the columns
    projector: Array  # (J, q, q) on what the rows tell, of scaled coefficients

    def tells(self, L: Array) -> Mask:
        """Which combinations L (q, q), a row each, of the coefficients each group tells: (J, q)."""
        scaled = L / self.scale[:, None, :]
        left = scaled - scaled @ self.projector
        return np.asarray((left**2).sum(axis=2) <= TOLD * (scaled**2).sum(axis=2))


def solve_groups(gram: Array) -> SolvedGroups:
    """Generalised inverses of J cross-products (J, q, q)."""
    lengths = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
    scale = np.where(lengths > 0.0, lengths, 1.0)
    between = scale[:, :, None] * scale[:, None, :]
    values, vectors = np.linalg.eigh(gram / between)
    kept = values > RELATIVE_RANK
    inverse = vectors * np.divide(1.0, values, out=np.zeros_like(values), where=kept)[:, None, :]
    transposed = np.swapaxes(vectors, 1, 2)
    projector = (vectors * kept[:, None, :]) @ transposed
    return SolvedGroups(inverse @ transposed / between, kept.sum(axis=1), scale, projector)


def in_places(values: Array, names: Sequence[str], value_names: Sequence[str]) -> Array:
    """Columns (J, Q) by name in the order of `names` (q,); zero for the others."""
    placed = np.zeros((len(values), len(names)))
    placed[:, [names.index(name) for name in value_names]] = values
    return placed
