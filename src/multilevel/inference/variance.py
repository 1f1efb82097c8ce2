"""What is an estimate of the covariance of the coefficients, and what follows from it?

It is kept as the middle of a product, in the basis of the fit where X'WX is the identity (see `OLSRecord`),
and carried to coefficients, or to linear combinations of them, only when these are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.adjusted_clusters import AdjustedClusters
from multilevel.inference.robust_tests import without_rounding


@dataclass(frozen=True, slots=True)
class Variance:
    """An estimate of the covariance of the coefficients, in the basis of the fit."""

    kind: str  # "model", "HC3", "CR1", ...
    core: Array  # (p, p)
    df: float  # degrees of freedom of the t that goes with it
    cluster: str | None = None  # name of the clustering
    n_clusters: int | None = None  # the fewest, where clusters are in several ways
    adjusted: AdjustedClusters | None = None  # what CR2 and CR3 have, for Satterthwaite's df
    ways: tuple[tuple[str, int], ...] = ()  # name and number of clusters of each of several ways
    mended: bool = False  # negative eigenvalues of a difference of variances were put to zero

    @property
    def clusterings(self) -> tuple[tuple[str, int], ...]:
        """Name and number of clusters of every way of clustering."""
        if self.cluster is None or self.n_clusters is None:
            return ()
        return self.ways or ((self.cluster, self.n_clusters),)


def covariance(record: OLSRecord, variance: Variance) -> Array:
    """Covariance of the coefficients (p, p); NaN where a cluster-robust one is known to be rounding."""
    to_coefficients = record.to_coefficients
    V = np.asarray(to_coefficients @ variance.core @ to_coefficients.T)
    return V if variance.adjusted is None else without_rounding(variance.adjusted, to_coefficients, V)


def variance_of(record: OLSRecord, variance: Variance, L: Array) -> Array:
    """Variances of the linear combinations `L` beta-hat, with L (k, p): (k,)."""
    rows = record.in_basis(L)
    return np.asarray(((rows @ variance.core) * rows).sum(axis=1))


def model_variance(record: OLSRecord) -> Variance:
    """Sigma^2 (X'WX)^-1: right if errors are independent with the variances that the weights say."""
    return Variance("model", record.sigma**2 * np.eye(record.n_coefficients), record.df_residual)


def symmetric_root(core: Array) -> Array:
    """The symmetric S with S S = core, a positive semidefinite matrix (p, p)."""
    values, vectors = np.linalg.eigh(core)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)
