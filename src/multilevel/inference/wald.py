"""How large is a coefficient beside its standard error? Wald statistics, p-values and limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from multilevel._options import checked_share
from multilevel._typing import Array
from multilevel.inference.coefficients import CoefficientInference


@dataclass(frozen=True, slots=True)
class CoefficientTable:
    """Coefficients beside their uncertainty; p-values by Student's t where there are `df`, else the normal.

    A table without p-values (`p_value` None) shows the statistic alone; its limits use the normal.
    """

    term: tuple[str, ...]  # (p,)
    estimate: Array  # (p,)
    std_error: Array  # (p,)
    statistic: Array  # (p,) estimate / std_error
    df: Array | None  # (p,) degrees of freedom of t; None for the normal
    p_value: Array | None  # (p,) two-sided; None where no test is made


def wald_table(
    term: tuple[str, ...], estimate: Array, std_error: Array, df: Array | None = None
) -> CoefficientTable:
    """Test each coefficient against zero: by t with `df` (p,), or by the normal when `df` is None."""
    statistic = estimate / std_error
    return CoefficientTable(term, estimate, std_error, statistic, df, two_sided_p(statistic, df))


def inferred_table(term: tuple[str, ...], inference: CoefficientInference) -> CoefficientTable:
    """Test each coefficient against zero, by what one method believes of it."""
    each = np.eye(len(inference.beta))
    df = inference.df(each)
    std_error = np.sqrt(np.diag(inference.covariance(each)))
    return wald_table(term, inference.beta, std_error, None if len(df) and np.isinf(df).all() else df)


def two_sided_p(statistic: Array, df: Array | None) -> Array:
    """Probability of a statistic at least as far from zero, under t with `df` or the normal."""
    distance = -np.abs(statistic)
    return np.asarray(2.0 * (ndtr(distance) if df is None else stdtr(df, distance)))


def wald_limits(table: CoefficientTable, level: float) -> tuple[Array, Array]:
    """Lower and upper confidence limits (p,), (p,): estimate -+ quantile * standard error."""
    half = critical_value(level, table.df) * table.std_error
    return table.estimate - half, table.estimate + half


def critical_value(level: float, df: Array | None) -> Array:
    """Quantile that leaves (1 - level) / 2 above it, of t with `df` or of the normal."""
    upper = 0.5 * (1.0 + checked_level(level))
    return np.asarray(ndtri(upper) if df is None else stdtrit(df, upper))


def checked_level(level: float) -> float:
    """Give a confidence level back, or say that it is none (95 instead of 0.95 is the usual slip)."""
    return checked_share("a confidence level", level, "level=0.95 for 95%")
