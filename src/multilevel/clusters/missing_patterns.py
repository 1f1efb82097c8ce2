"""Which combinations of values are there, who leaves when, and did those who left look different before?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Mask

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Patterns:
    """P combinations of observed and missing among T columns (times or variables), the commonest first."""

    observed: Mask  # (P, T)
    counts: Whole  # (P,) units that show each
    member: Whole  # (K,) pattern of each unit

    @property
    def monotone(self) -> Mask:
        """Whether nothing is observed after the first gap (P,), in the order of the columns."""
        return is_monotone(self.observed)

    @property
    def n_units(self) -> int:
        """Number of units K."""
        return len(self.member)


def patterns_of(observed: Mask) -> Patterns:
    """Combinations that occur in a table (K, T).

    >>> found = patterns_of(np.array([[True, True], [True, False], [True, True]]))
    >>> found.counts, found.member
    (array([2, 1]), array([0, 1, 0]))
    """
    packed = np.packbits(observed, axis=1)
    _, first, member, counts = np.unique(
        packed, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.lexsort((-np.arange(len(first)), -counts))  # of equally common ones the more complete leads
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    return Patterns(observed[first[order]], counts[order], rank[member.ravel()])


def is_monotone(observed: Mask) -> Mask:
    """Whether each row (K, T) has no value after a missing one."""
    return np.asarray(~(observed[:, 1:] & ~observed[:, :-1]).any(axis=1))


def monotone_order(observed: Mask) -> Whole | None:
    """An order of the columns of (K, T) in which missing values are monotone; None if there is none."""
    order = np.argsort(-observed.sum(axis=0), kind="stable")
    return order if bool(is_monotone(observed[:, order]).all()) else None


@dataclass(frozen=True, slots=True)
class DropoutCurve:
    """How many of n units are observed at each of T times, and how many have not left for good."""

    n: int
    observed: Whole  # (T,)
    still: Whole  # (T,) observed then or later

    @property
    def leave(self) -> Whole:
        """Units whose last observation is at each time but the last (T - 1,)."""
        return np.asarray(self.still[:-1] - self.still[1:])


def dropout_curve(observed: Mask) -> DropoutCurve:
    """The curve of a table (K, T)."""
    later = np.logical_or.accumulate(observed[:, ::-1], axis=1)[:, ::-1]
    return DropoutCurve(len(observed), observed.sum(axis=0), later.sum(axis=0))


@dataclass(frozen=True, slots=True)
class LeaversBefore:
    """The response of those who left after a time and of those who stayed, at each of T - 1 times."""

    n_leave: Whole  # (T - 1,)
    n_stay: Whole  # (T - 1,)
    mean_leave: Array  # (T - 1,) NaN for nobody
    mean_stay: Array  # (T - 1,)
    difference: float  # leavers less stayers, over times by inverse variance; NaN where not known
    std_error: float
    sd: float  # of the response at one time, pooled over times


def leavers_before(values: Array) -> LeaversBefore:
    """Compare leavers with stayers on responses (K, T), NaN where missing."""
    observed = ~np.isnan(values)
    later = np.logical_or.accumulate(observed[:, ::-1], axis=1)[:, ::-1]
    stays, leaves = observed[:, :-1] & later[:, 1:], observed[:, :-1] & ~later[:, 1:]
    means, sizes, squares = zip(*(moments(values[:, :-1], chosen) for chosen in (leaves, stays)), strict=True)
    df = np.maximum(sizes[0] - 1, 0) + np.maximum(sizes[1] - 1, 0)
    variance = (squares[0] + squares[1]).sum() / max(df.sum(), 1)
    both = (sizes[0] > 0) & (sizes[1] > 0)
    difference, std_error = np.nan, np.nan
    if both.any() and variance > 0.0:
        weight = 1.0 / (1.0 / sizes[0][both] + 1.0 / sizes[1][both])
        difference = float(weight @ (means[0] - means[1])[both] / weight.sum())
        std_error = float(np.sqrt(variance / weight.sum()))
    return LeaversBefore(
        n_leave=sizes[0],
        n_stay=sizes[1],
        mean_leave=means[0],
        mean_stay=means[1],
        difference=difference,
        std_error=std_error,
        sd=float(np.sqrt(variance)),
    )


def moments(values: Array, chosen: Mask) -> tuple[Array, Whole, Array]:
    """Mean, size and sum of squares of the chosen values of each column."""
    size = chosen.sum(axis=0)
    total = np.where(chosen, values, 0.0).sum(axis=0)
    mean = np.divide(total, size, out=np.full(len(size), np.nan), where=size > 0)
    return mean, size, np.where(chosen, (values - mean) ** 2, 0.0).sum(axis=0)
