"""First-order autoregression: sums over all pairs of a cluster by one sweep over its rows.

A pair a time d apart has correlation alpha^d, so that the sums over all earlier rows, of alpha^d v and of its
derivatives, go from one row to the next by a factor alpha^gap. No pair is ever formed, and a cluster costs
what its rows say, whether times are whole numbers or not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.estimation.gee.structure import Structure, mean_square_by_cluster, refuse_no_pairs
from multilevel.kernels.gee import Indices, MarkovInverse, decaying_products

START = 0.5  # where the search for alpha begins: the correlation of rows the usual time apart
MOST_STEPS = 100
SETTLED = 1e-11  # of the usual time's correlation
EDGE = 1e-9  # how close to the ends of its range that may come while alpha is searched for


@dataclass(frozen=True, slots=True)
class MarkovPairs(Structure):
    """R = alpha^|t - s|."""

    start: Indices  # (K + 1,)
    gap: Array  # (n,) time since the row before; zero where a cluster begins
    weights: Array  # (n,)
    names: tuple[str, ...] = ("alpha",)

    @property
    def least(self) -> float:
        """Where the range of alpha begins: powers that are no whole numbers need a positive one."""
        return -1.0 if bool((self.gap == np.round(self.gap)).all()) else 0.0

    def reweighted(self, weights: Array) -> MarkovPairs:
        """The weights exchanged."""
        return replace(self, weights=weights)

    @property
    def usual_gap(self) -> float:
        """The median time between neighbours."""
        gaps = self.gap[self.gap > 0.0]
        return float(np.median(gaps[:1_000_000])) if len(gaps) else 1.0

    def inverse(self, alpha: Array) -> MarkovInverse:
        """Tridiagonal, from the correlations of neighbours."""
        rho = alpha[0] ** self.gap
        rho[self.start[:-1]] = 0.0
        return MarkovInverse(self.start, rho)

    def products(self, u: Array, v: Array, alpha: Array) -> Array:
        """E = d alpha^(d - 1)."""
        return self._sums(u, v, float(alpha[0]))[0][:, None]

    def expected(self, alpha: Array) -> Array:
        """E rho = alpha d (alpha^2)^(d - 1)."""
        a = float(alpha[0])
        return np.asarray(a * self._sums(self.weights, self.weights, a * a)[0][:, None])

    def grams(self, alpha: Array) -> Array:
        """E^2 = d^2 (alpha^2)^(d - 1)."""
        return self._sums(self.weights, self.weights, float(alpha[0]) ** 2)[1][:, None, None]

    def gram(self, alpha: Array) -> Array:
        """The same over all clusters."""
        return np.asarray(self.grams(alpha).sum(axis=0))

    def margin(self, alpha: Array) -> float:
        """Positive if and only if the correlation of the nearest neighbours is below one."""
        return float(1.0 - abs(alpha[0]))

    def estimate(self, z: Array, phi: float, alpha: Array) -> Array:
        """From all pairs: a scoring step in alpha, then secants."""
        refuse_no_pairs(self.names, np.array([[float(np.diff(self.start).max() - 1)]]))
        wz, usual = self.weights * z, self.usual_gap
        a = float(alpha[0]) or START ** (1.0 / usual)
        value, square = self._equation(wz, phi, a)
        step = value / square
        for _ in range(MOST_STEPS):
            before, a = a, min(max(a + step, self.least + EDGE), 1.0 - EDGE / max(usual, 1.0))
            last, (value, square) = value, self._equation(wz, phi, a)
            fall = (last - value) / (a - before) if a != before else 0.0
            step = value / (fall if fall > 0.0 else square)
            if abs(step) * usual < SETTLED:
                break
        return np.array([a])

    def _equation(self, wz: Array, phi: float, a: float) -> tuple[float, float]:
        """The estimating function of alpha, and minus its expected derivative."""
        total = float(self._sums(wz, wz, a)[0].sum()) / phi
        known, square = (float(each.sum()) for each in self._sums(self.weights, self.weights, a * a))
        return total - a * known, square

    def estimate_as_gee(self, z: Array, phi: float, p: int) -> Array:  # noqa: ARG002
        """From neighbours one unit of time apart: the mean over clusters of their mean products."""
        near = self.gap == 1.0
        products = np.zeros(len(z))
        products[1:] = np.where(near[1:], z[1:] * z[:-1], 0.0)
        pairs = np.add.reduceat(near.astype(np.float64), self.start[:-1])
        if not pairs.any():
            raise ModelError(
                "moments='gee' estimates alpha from visits one unit of time apart, and there are none; "
                "use moments='geepack', which takes all pairs."
            )
        mean = (np.add.reduceat(products, self.start[:-1])[pairs > 0.0] / pairs[pairs > 0.0]).mean()
        return np.array([float(mean) / mean_square_by_cluster(z, self.start)])

    def _sums(self, u: Array, v: Array, a: float) -> tuple[Array, Array]:
        return decaying_products(self.start, u, v, self.gap, a)


def markov_pairs(start: Indices, time: Array, weights: Array) -> MarkovPairs:
    """The structure for clusters whose rows are in order of time."""
    gap = np.diff(time, prepend=time[0])
    gap[start[:-1]] = 0.0
    return MarkovPairs(start, gap, weights)
