"""Autoregression of the first order, over whole-numbered or any times: each row given the one before it.

With a_t = alpha^(time since the row before) and s_t^2 = 1 - a_t^2, the whitened row is
(e_t - a_t e_(t-1)) / s_t, whatever the gaps; the first row of a cluster has a = 0. Over whole numbers alpha
may be negative; over any times, and where all distances are even, alpha = exp(-1 / range) is positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.residual.chart import CORRELATION, Limits
from multilevel.covariance.residual.chart import bounded as from_line
from multilevel.covariance.working.specification import Indices

START_CORRELATIONS = (0.2, 0.8, -0.3)
STRONGEST_START = 0.95
FARTHEST = 700.0  # |log range| beyond which its exponential is none


@dataclass(frozen=True, slots=True)
class SignedDecay:
    """Correlation alpha^d over whole distances d; eta is twice Fisher's z of alpha."""

    names: tuple[str, ...] = ("alpha",)
    limits: tuple[Limits, ...] = (CORRELATION,)

    def natural(self, eta: Array) -> Array:
        """Alpha (1,)."""
        return from_line(eta, self.limits)

    def near(self, correlation: float, distance: float) -> Array:
        """Eta (1,) with a correlation at a distance."""
        size = min(abs(correlation), STRONGEST_START) ** (1.0 / distance)
        even = round(distance) % 2 == 0
        return np.array([2.0 * np.arctanh(size if even or correlation >= 0.0 else -size)])

    def decay(self, eta: Array, distance: Array) -> tuple[Array, Array, Array]:
        """a, da / d eta and 1 - a^2 at distances (d,)."""
        alpha = float(self.natural(eta)[0])
        if not abs(alpha) < 1.0:
            raise np.linalg.LinAlgError("the correlation is at an end of its range")
        a = alpha**distance
        slope = distance * alpha ** (distance - 1.0) * (0.5 * (1.0 - alpha * alpha))
        if alpha == 0.0:
            return a, slope, 1.0 - a * a
        return a, slope, -np.expm1(2.0 * distance * np.log(abs(alpha)))


@dataclass(frozen=True, slots=True)
class Decay:
    """Correlation exp(-d / range) over any distances; eta is log range, alpha the correlation at d = 1."""

    names: tuple[str, ...] = ("alpha",)
    limits: tuple[Limits, ...] = ((0.0, 1.0),)

    def natural(self, eta: Array) -> Array:
        """Alpha (1,)."""
        return np.exp(-np.exp(-eta))

    def near(self, correlation: float, distance: float) -> Array:
        """Eta (1,) with a correlation at a distance."""
        size = float(np.clip(correlation, 0.05, STRONGEST_START))
        return np.array([np.log(distance) - np.log(-np.log(size))])

    def decay(self, eta: Array, distance: Array) -> tuple[Array, Array, Array]:
        """a, da / d eta and 1 - a^2 at distances (d,)."""
        if not abs(eta[0]) < FARTHEST:
            raise np.linalg.LinAlgError("the correlation is at an end of its range")
        share = distance * np.exp(-eta[0])
        a = np.exp(-share)
        return a, a * share, -np.expm1(-2.0 * share)


@dataclass(frozen=True)
class MarkovRows:
    """All clusters: which rows have one before them, and how long ago that was."""

    chart: SignedDecay | Decay
    later: Indices  # (l,) rows that have one before them, which is the row above
    distance: Array  # (d,) distinct distances, increasing
    which: Indices  # (l,) distance of each later row
    n_rows: int

    def at(self, eta: Array) -> MarkovWhitening:
        """Whitening by the row before."""
        a, slope, rest = self.chart.decay(eta, self.distance)
        if not (rest > 0.0).all():
            raise np.linalg.LinAlgError("the correlation is at an end of its range")
        return MarkovWhitening(self, a, slope, np.sqrt(rest))

    def starts(self, z: Array) -> list[Array]:
        """The correlation of neighbours at their usual distance, then given correlations."""
        usual = float(np.median(self.distance[self.which]))
        near = np.abs(self.distance[self.which] - usual) <= 0.5 * usual
        later = self.later[near]
        product = float((z[later] * z[later - 1]).sum())
        size = float(np.sqrt((z[later] ** 2).sum() * (z[later - 1] ** 2).sum()))
        guess = product / size if size > 0.0 else 0.0
        return [self.chart.near(value, usual) for value in (guess, *START_CORRELATIONS)]


def markov_rows(start: Indices, time: Array) -> MarkovRows:
    """Rows by cluster, with start (K + 1,), and their times (n,).

    >>> rows = markov_rows(np.array([0, 2, 3]), np.array([1.0, 4.0, 1.0]))
    >>> rows.later, rows.distance, type(rows.chart).__name__
    (array([1]), array([3.]), 'SignedDecay')
    """
    first = np.zeros(len(time), dtype=np.bool_)
    first[start[:-1]] = True
    later = np.flatnonzero(~first)
    distance, which = np.unique(time[later] - time[later - 1], return_inverse=True)
    whole = bool((distance == np.round(distance)).all())
    odd = bool((distance % 2.0 == 1.0).any())  # else the sign of alpha makes no difference
    chart = SignedDecay() if whole and odd else Decay()
    return MarkovRows(chart, later, distance, which.ravel().astype(np.int64), len(time))


@dataclass(frozen=True)
class MarkovWhitening:
    """At one alpha."""

    rows: MarkovRows
    a: Array  # (d,)
    slope: Array  # (d,) da / d eta
    s: Array  # (d,) root of 1 - a^2

    @property
    def log_det(self) -> float:
        """Sum of log s^2."""
        return 2.0 * float(self.counts @ np.log(self.s))

    @property
    def least_pivot(self) -> float:
        """The least s^2."""
        return float(self.s.min()) ** 2

    @cached_property
    def counts(self) -> Array:
        """How many rows have each distance (d,)."""
        return np.bincount(self.rows.which, minlength=len(self.a)).astype(np.float64)

    @cached_property
    def of_rows(self) -> tuple[Array, Array]:
        """a / s and 1 / s of each row (n, 1), zero and one in the first row of a cluster."""
        later, which = self.rows.later, self.rows.which
        before, own = np.zeros((self.rows.n_rows, 1)), np.ones((self.rows.n_rows, 1))
        before[later, 0] = (self.a / self.s)[which]
        own[later, 0] = (1.0 / self.s)[which]
        return before, own

    def whiten(self, rows: Array) -> Array:
        """Each row, without what the one before it says."""
        before, own = self.of_rows
        white = rows * own
        white[1:] -= before[1:] * rows[:-1]
        return white

    def whiten_back(self, rows: Array) -> Array:
        """The transpose."""
        before, own = self.of_rows
        back = rows * own
        back[:-1] -= before[1:] * rows[1:]
        return back

    def slopes(self, rows: Array, whitened: Array, solved: Array) -> Array:  # noqa: ARG002
        """From products of later rows with those before."""
        later, which, d = self.rows.later, self.rows.which, len(self.a)
        of_squares = np.einsum("ij,ij->i", whitened, whitened)[later]
        of_products = np.einsum("ij,ij->i", whitened[1:], rows[:-1])[later - 1]
        squares = np.bincount(which, of_squares, minlength=d)
        products = np.bincount(which, of_products, minlength=d)
        rate = self.a * self.slope / self.s**2
        by_distance = 2.0 * rate * (squares - self.counts) - 2.0 * self.slope / self.s * products
        return np.array([by_distance.sum()])
