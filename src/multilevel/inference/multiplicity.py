"""What becomes of p-values and limits when several contrasts are looked at together?

Limits are adjusted with the p-values where the method says how (Tukey, Bonferroni, Sidak, and the largest
statistic of a multivariate t). Holm's method and the false discovery rate have no limits of their own; theirs
are Bonferroni's, which cover all contrasts at once and so are on the safe side.

References:
    Holm (1979), Scandinavian Journal of Statistics 6; Benjamini & Hochberg (1995), Journal of the Royal
    Statistical Society B 57; Sidak (1967), Journal of the American Statistical Association 62.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from multilevel._typing import Array
from multilevel.inference.max_t import MaxT, max_t, max_t_p, max_t_quantile
from multilevel.inference.studentized_range import range_p_values, range_quantile
from multilevel.inference.wald import two_sided_p

METHODS = ("tukey", "holm", "bonferroni", "sidak", "mvt", "fdr", "none")
WITHOUT_LIMITS = ("holm", "fdr")  # these p-values go with Bonferroni's limits
DIGITS = 10  # of df: what numerical derivatives leave apart is one family


@dataclass(frozen=True, slots=True)
class Family:
    """Contrasts that are looked at together: m of them, none without an answer."""

    estimate: Array  # (m,)
    std_error: Array  # (m,)
    df: Array  # (m,) infinite for the normal
    n_means: int  # how many means they compare, for Tukey's method
    covariance: Callable[[], Array]  # (m, m), made only for "mvt"
    seed: int | np.random.SeedSequence


@dataclass(frozen=True, slots=True)
class Adjusted:
    """P-values and half widths of the limits, adjusted for looking at the family."""

    p_value: Array  # (m,)
    half_width: Array  # (m,)


def adjust(family: Family, null: float, method: str, level: float) -> Adjusted:
    """Test each contrast against `null`, and give it limits, by a method of adjustment."""
    if not len(family.estimate):
        return Adjusted(np.empty(0), np.empty(0))
    statistic = (family.estimate - null) / family.std_error
    df = rounded(family.df)
    if method == "mvt":
        largest = max_t(family.covariance(), family.seed)
        p, critical = by_largest(largest, statistic, df, level)
    elif method == "tukey":
        p, critical = by_range(family.n_means, statistic, df, level)
    else:
        p = simple_p(method, two_sided_p(statistic, family.df))
        critical = simple_critical(method, len(p), family.df, level)
    return Adjusted(p, critical * family.std_error)


def rounded(df: Array) -> Array:
    """Df (m,) to ten significant digits, so that equal ones are equal."""
    return np.array([float(f"{value:.{DIGITS}g}") for value in df])


def by_range(k: int, statistic: Array, df: Array, level: float) -> tuple[Array, Array]:
    """Tukey's p-values and critical values (m,), with Kramer's extension to unequal variances."""
    alone = two_sided_p(statistic, df)
    p = range_p_values(np.abs(statistic) * np.sqrt(2.0), k, df)
    p = np.maximum(p, alone)  # beyond the range's table
    return p, np.array([range_quantile(level, k, float(each)) for each in df]) / np.sqrt(2.0)


def by_largest(family: MaxT, statistic: Array, df: Array, level: float) -> tuple[Array, Array]:
    """P-values and critical values (m,) from the largest of the family's statistics."""
    critical = {each: max_t_quantile(family, level, float(each)) for each in np.unique(df)}
    p = [max_t_p(family, float(t), float(each)) for t, each in zip(statistic, df, strict=True)]
    return np.array(p), np.array([critical[each] for each in df])


def simple_p(method: str, p: Array) -> Array:
    """P-values (m,) adjusted by rules that look at p-values alone."""
    m = len(p)
    match method:
        case "none":
            return p
        case "bonferroni":
            return np.minimum(m * p, 1.0)
        case "sidak":
            return np.asarray(-np.expm1(m * np.log1p(-p)))
        case "holm":
            return step(p, np.arange(m, 0, -1.0), np.maximum.accumulate)
        case "fdr":
            return step(p, m / np.arange(1.0, m + 1.0), lowest_from_above)
    raise ValueError(method)


def step(p: Array, factors: Array, monotone: Callable[[Array], Array]) -> Array:
    """P-values in increasing order times their factors, made monotone, in their own order again."""
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(monotone(p[order] * factors), 1.0)
    return adjusted


def lowest_from_above(values: Array) -> Array:
    """The least of each value and all that follow."""
    return np.asarray(np.minimum.accumulate(values[::-1])[::-1])


def simple_critical(method: str, m: int, df: Array, level: float) -> Array:
    """Critical values (m,) of t for limits that hold together."""
    match method:
        case "none":
            outside = 1.0 - level
        case "sidak":
            outside = -float(np.expm1(np.log(level) / m))
        case _:
            outside = (1.0 - level) / m
    return np.asarray(-stdtrit(df, 0.5 * outside))
