"""One correlation for any two rows of a cluster, without a matrix however large the cluster is.

R = (1 - rho) I + rho J has the eigenvalues 1 - rho, and 1 + (m - 1) rho for the mean of the m rows: whitening
shrinks deviations from the mean and the mean each by the root of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.residual.chart import Limits, bounded, unbounded
from multilevel.covariance.working.specification import Indices

START_CORRELATIONS = (0.1, 0.6, -0.1)
WITHIN = 0.02  # share of the range that a start keeps from its ends


@dataclass(frozen=True, slots=True)
class BoundedCorrelation:
    """One parameter alpha between limits; eta is its place between them on the line."""

    ends: Limits
    name: str = "alpha"

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameter."""
        return (self.name,)

    @property
    def limits(self) -> tuple[Limits, ...]:
        """Its ends."""
        return (self.ends,)

    def natural(self, eta: Array) -> Array:
        """Alpha (1,)."""
        return bounded(eta, self.limits)

    def near(self, alpha: float) -> Array:
        """Eta (1,) of a correlation, moved into the range if it is at its ends or beyond."""
        low, high = self.ends
        margin = WITHIN * (high - low)
        return unbounded(np.clip([alpha], low + margin, high - margin), self.limits)

    def slope(self, alpha: float) -> float:
        """d alpha / d eta."""
        low, high = self.ends
        return (alpha - low) * (high - alpha) / (high - low)


@dataclass(frozen=True)
class ExchangeableRows:
    """All clusters, with start (K + 1,) the rows where they begin."""

    start: Indices

    @cached_property
    def sizes(self) -> Array:
        """Rows of each cluster (K,)."""
        return np.diff(self.start).astype(np.float64)

    @cached_property
    def chart(self) -> BoundedCorrelation:
        """The largest cluster says how negative the correlation can be."""
        return BoundedCorrelation((-1.0 / (float(self.sizes.max()) - 1.0), 1.0))

    def at(self, eta: Array) -> ExchangeableWhitening:
        """Whitening by means and deviations."""
        alpha = float(self.chart.natural(eta)[0])
        within, mean = 1.0 - alpha, 1.0 + (self.sizes - 1.0) * alpha
        if not (within > 0.0 and (mean > 0.0).all()):
            raise np.linalg.LinAlgError("the correlation is at an end of its range")
        return ExchangeableWhitening(self, alpha, within, mean)

    def starts(self, z: Array) -> list[Array]:
        """The mean product of two residuals of a cluster, then given correlations."""
        sums = np.add.reduceat(z, self.start[:-1])
        pairs = (self.sizes * (self.sizes - 1.0)).sum()
        alpha = float(((sums**2).sum() - (z * z).sum()) / pairs / np.mean(z * z))
        return [self.chart.near(value) for value in (alpha, *START_CORRELATIONS)]

    def means(self, rows: Array) -> Array:
        """Means of each cluster (K, k)."""
        return np.asarray(np.add.reduceat(rows, self.start[:-1], axis=0) / self.sizes[:, None])

    def spread(self, values: Array) -> Array:
        """Values of clusters (K, k) in each of their rows (n, k)."""
        return np.repeat(values, np.diff(self.start), axis=0)


@dataclass(frozen=True)
class ExchangeableWhitening:
    """At one correlation."""

    rows: ExchangeableRows
    alpha: float
    within: float  # 1 - alpha
    mean: Array  # (K,) 1 + (m - 1) alpha

    @property
    def log_det(self) -> float:
        """Sum over eigenvalues."""
        return float(((self.rows.sizes - 1.0) * np.log(self.within) + np.log(self.mean)).sum())

    @property
    def least_pivot(self) -> float:
        """The least eigenvalue."""
        return min(self.within, float(self.mean.min()))

    def whiten(self, rows: Array) -> Array:
        """The symmetric root of R^-1."""
        shrunk = (1.0 - np.sqrt(self.within / self.mean))[:, None] * self.rows.means(rows)
        return np.asarray((rows - self.rows.spread(shrunk)) / np.sqrt(self.within))

    def whiten_back(self, rows: Array) -> Array:
        """The same: the root is symmetric."""
        return self.whiten(rows)

    def slopes(self, rows: Array, whitened: Array, solved: Array) -> Array:  # noqa: ARG002
        """From sums of squares of means and of deviations."""
        m = self.rows.sizes
        means = self.rows.means(rows)
        between = m * (means * means).sum(axis=1)
        deviations = rows - self.rows.spread(means)
        of_deviations = (
            float((deviations * deviations).sum()) / self.within**2 - (m - 1.0).sum() / self.within
        )
        of_means = ((m - 1.0) * (1.0 / self.mean - between / self.mean**2)).sum()
        return np.array([(of_deviations + of_means) * self.rows.chart.slope(self.alpha)])
