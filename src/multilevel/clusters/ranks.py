"""Which place does a cluster have among all, and how certain is it?

Clusters are known with error, unequally, and their conditional modes (BLUPs) are drawn to the mean unequally:
modes in order are no ranking. The expected rank counts how many others a cluster is likely to exceed,

    ER_j = 1 + sum over k != j of Phi((b_j - b_k) / sqrt(v_j + v_k)),

which draws the places of poorly known clusters to the middle. The v_j are conditional variances, and levels
are taken as independent given the data: what they share through beta-hat and through other factors is left
out.

Laird, N. M. and Louis, T. A. (1989). Empirical Bayes ranking methods. Journal of Educational Statistics 14,
29-46.
Lingsma, H. F. et al. (2010). Comparing and ranking hospitals based on outcome. Quarterly Journal of Medicine
103, 99-108.
Goldstein, H. and Spiegelhalter, D. J. (1996). League tables and their limitations. Journal of the Royal
Statistical Society A 159, 385-443.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr
from scipy.stats import rankdata

from multilevel._options import Seed
from multilevel._typing import Array
from multilevel.simulation.streams import random_streams

BLOCK = 256  # levels compared with all others at a time
CERTAIN = 8.3  # standard deviations beyond which the normal probability is 0 or 1 to rounding


@dataclass(frozen=True, slots=True)
class Ranks:
    """Places of J levels in each of Q columns: 1 for the smallest effect, J for the largest."""

    expected: Array  # (J, Q)
    percentile: Array  # (J, Q) 100 (ER - 1/2) / J
    low: Array  # (J, Q)
    high: Array  # (J, Q)


def rank_effects(value: Array, std_error: Array, level: float, n: int, seed: Seed) -> Ranks:
    """Expected ranks, and limits from `n` draws of all effects, from modes and their SDs (J, Q)."""
    expected = expected_ranks(value, std_error)
    low, high = rank_limits(value, std_error, level, n, seed)
    return Ranks(expected, 100.0 * (expected - 0.5) / len(value), low, high)


def expected_ranks(value: Array, std_error: Array) -> Array:
    """Expected rank of each level, column by column: (J, Q)."""
    columns = zip(value.T, std_error.T, strict=True)
    return np.column_stack([expected_rank(b, sd**2) for b, sd in columns])


def expected_rank(b: Array, variance: Array) -> Array:
    """1 + the sum over others of the probability to exceed them: (J,), from modes and variances (J,).

    >>> expected_rank(np.array([-1.0, 0.0, 1.0]), np.array([0.5, 0.5, 0.5])).round(3)
    array([1.181, 2.   , 2.819])

    Levels are compared in the order of their modes, so that each pair is looked at once, and not at all where
    the answer is certain to rounding.
    """
    order = np.argsort(b, kind="stable")
    b, variance = b[order], variance[order]
    reach = CERTAIN * np.sqrt(variance + variance.max(initial=0.0))
    end = np.searchsorted(b, b + reach, side="right")  # beyond it, all others are certain to be larger
    rank = np.arange(1.0, len(b) + 1.0)  # with every smaller mode exceeded
    for first in range(0, len(b), BLOCK):
        block = slice(first, min(first + BLOCK, len(b)))
        exceeded_by_smaller(b, variance, block, int(end[block].max()), rank)
    expected = np.empty_like(rank)
    expected[order] = rank
    return expected


def exceeded_by_smaller(b: Array, variance: Array, block: slice, end: int, rank: Array) -> None:
    """Move what is uncertain of each pair from the larger mode's rank to the smaller one's.

    Pairs are those of the levels in `block` with later ones before `end`; `rank` (J,) is changed in place.
    """
    later = slice(block.start, end)
    chance = chance_to_exceed(b[block, None] - b[None, later], variance[block, None] + variance[None, later])
    chance = np.triu(chance, 1)
    rank[block] += chance.sum(axis=1)
    rank[later] -= chance.sum(axis=0)


def chance_to_exceed(difference: Array, variance: Array) -> Array:
    """Phi(difference / sd); for two effects that are known, 1/2 if they are equal and else 0 or 1."""
    sd = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = ndtr(difference / sd)
    return np.where((sd == 0.0) & (difference == 0.0), 0.5, chance)


def places_by_column(values: Array) -> Array:
    """The place of each value in its column (J, Q), 1 for the smallest; quick, and right without ties."""
    order = np.argsort(values, axis=0)
    places = np.empty(values.shape)
    np.put_along_axis(places, order, np.arange(1.0, len(values) + 1.0)[:, None], axis=0)
    return places


def rankdata_by_column(values: Array) -> Array:
    """The same, equal values sharing their places."""
    return np.asarray(rankdata(values, axis=0))


def rank_limits(value: Array, std_error: Array, level: float, n: int, seed: Seed) -> tuple[Array, Array]:
    """Quantiles of the rank of each level over `n` draws of all effects: (J, Q) each."""
    drawn = np.empty((n, *value.shape), dtype=np.float32)
    rank = rankdata_by_column if (std_error == 0.0).any() else places_by_column  # only known effects can tie
    for draw, rng in zip(drawn, random_streams(n, seed), strict=True):
        draw[:] = rank(value + std_error * rng.standard_normal(value.shape))
    tails = [0.5 * (1.0 - level), 0.5 * (1.0 + level)]
    places = [max(int(np.ceil(tail * n)) - 1, 0) for tail in tails]
    drawn.partition(places, axis=0)
    low, high = drawn[places].astype(np.float64)
    return low, high
