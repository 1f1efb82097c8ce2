"""Correlations that depend on the lag alone, through partial autocorrelations of any size below one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.lags import (
    Numbers,
    arma_correlations,
    coefficients_of_partial,
    correlations_of_partial,
    jacobian,
)
from multilevel.covariance.residual.chart import CORRELATION, NUMBER, Limits
from multilevel.covariance.working.specification import Indices

LARGEST_START = 0.9  # partial autocorrelation that a search begins from


@dataclass(frozen=True, slots=True)
class StationaryCorrelation:
    """All lags free (`order` None), or an autoregressive moving average of order (p, q).

    eta are arctanh of partial autocorrelations: of the series, or of its autoregression and, with the sign
    turned, of its moving average, which is thereby invertible.

    >>> chart = StationaryCorrelation(("phi[1]",), np.array([0, 1, 3]), (1, 0))
    >>> chart.matrix(np.arctanh([0.5]))
    array([[1.   , 0.5  , 0.125],
           [0.5  , 1.   , 0.25 ],
           [0.125, 0.25 , 1.   ]])
    """

    names: tuple[str, ...]  # (k,)
    place: Indices  # (T,) visits as whole numbers whose differences are lags
    order: tuple[int, int] | None = None

    @property
    def limits(self) -> tuple[Limits, ...]:
        """Correlations by lag; coefficients beyond the first order may be any numbers."""
        if self.order is None or self.order == (1, 0):
            return (CORRELATION,) * len(self.names)
        p, q = self.order
        return (*((CORRELATION if p == 1 else NUMBER),) * p, *((CORRELATION if q == 1 else NUMBER),) * q)

    def natural(self, eta: Array) -> Array:
        """Correlations at lags 1, 2, ..., or the coefficients phi and theta."""
        if self.order is None:
            return np.asarray(correlations_of_partial(np.tanh(eta))[1:])
        return np.concatenate(self._coefficients(eta))

    def matrix(self, eta: Array) -> Array:
        """R (T, T)."""
        return np.asarray(self._correlations(eta)[self._lags()])

    def slopes(self, eta: Array, G: Array) -> Array:
        """Sums of G over pairs of one lag, times the derivative of that lag's correlation."""
        lags = self._lags()
        by_lag = np.bincount(lags.ravel(), G.ravel(), minlength=int(lags.max(initial=0)) + 1)
        return np.asarray(jacobian(self._correlations, eta)[:, : len(by_lag)] @ by_lag)

    def near(self, R: Array) -> Array:
        """By Levinson's recursion on the mean correlation of each lag, as far as the order goes."""
        lags = self._lags()
        count = np.bincount(lags.ravel())
        rho = np.bincount(lags.ravel(), R.ravel()) / np.maximum(count, 1)
        if self.order is None:
            return np.arctanh(partial_of_correlations(rho, len(self.names)))
        first = 1 if len(rho) > 1 and count[1] > 0 else int(np.flatnonzero(count)[-1])
        size = min(abs(float(rho[first])), LARGEST_START) ** (1.0 / max(first, 1))
        value = size if rho[first] >= 0.0 or first > 1 else -size
        eta = np.zeros(len(self.names))
        eta[:1] = np.arctanh(value) * (1.0 if self.order[0] else -0.5)
        return eta

    def elsewhere(self) -> list[Array]:
        """Autoregression and moving average of one sign or two: what one takes off the other can put on."""
        if self.order is None:
            return []
        p, q = self.order
        signs = [(1.0, -0.6), (1.0, 0.4), (-0.5, 0.5), (-0.5, -0.5), (2.0, -1.2)]
        found = []
        for of_series, of_average in signs if p and q else [(1.0, 0.6), (-0.6, -0.6)]:
            eta = np.zeros(p + q)
            eta[:1] = of_series if p else -of_average
            if p and q:
                eta[p] = -of_average
            found.append(eta)
        return found

    def _coefficients(self, eta: Numbers) -> tuple[Numbers, Numbers]:
        assert self.order is not None
        partial = np.tanh(eta)
        p = self.order[0]
        return coefficients_of_partial(partial[:p]), -coefficients_of_partial(partial[p:])

    def _correlations(self, eta: Numbers) -> Numbers:
        if self.order is None:
            return correlations_of_partial(np.tanh(eta))
        return arma_correlations(*self._coefficients(eta), int(self.place.max() - self.place.min()))

    def _lags(self) -> Indices:
        return np.asarray(np.abs(self.place[:, None] - self.place), dtype=np.int64)


def partial_of_correlations(rho: Array, order: int) -> Array:
    """Partial autocorrelations (order,) of correlations at lags 0, 1, ..., kept away from one.

    >>> partial_of_correlations(np.array([1.0, 0.5, 0.4]), 2).round(3)
    array([0.5, 0.2])
    """
    phi, rest, partial = np.empty(0), 1.0, []
    for lag in range(1, order + 1):
        new = (rho[lag] - phi @ rho[lag - 1 : 0 : -1]) / rest
        new = float(np.clip(new, -LARGEST_START, LARGEST_START))
        partial.append(new)
        phi = np.append(phi - new * phi[::-1], new)
        rest *= 1.0 - new * new
    return np.array(partial)
