"""What does each cluster contribute to the coefficients, and how do contributions depend on each other?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.inference.cluster_stacks import Index


@dataclass(frozen=True, slots=True)
class AdjustedRows:
    """B clusters of r rows each after their adjustment: what they contribute to beta-hat is Y'errors."""

    clusters: Index  # (B,)
    Y: Array  # (B, r, p) A_j'W_j X_j
    PhiY: Array  # (B, r, p) times the working model's covariance
    carriers: Array  # (B, r, c) the rows of X, and of Phi W X where that is something else


@dataclass(frozen=True, slots=True)
class AdjustedClusters:
    """J clusters, and how the contributions of two of them depend on each other under the working model.

    With g_j'errors what cluster j contributes to c'beta-hat, and y_j = Y_j c,

        g_j'Phi g_k = [j = k] y_j'Phi y_j - (y_j'carriers_j) link (y_k'carriers_k)',

    since the residuals of two clusters have nothing in common but the coefficients.
    """

    scores: Array  # (J, p) sums of the adjusted residuals, Y_j'e_j
    pieces: tuple[AdjustedRows, ...]
    link: Array | None  # (c, c); None where it is I
    lone: Array  # (k, p) unit directions of the coefficients that one cluster determines alone

    @property
    def n_clusters(self) -> int:
        """Number of clusters J."""
        return len(self.scores)

    @property
    def n_carriers(self) -> int:
        """Columns c by which clusters are linked."""
        return self.scores.shape[1] if self.link is None else len(self.link)


def linked(clusters: AdjustedClusters, values: Array) -> Array:
    """Values (..., c) times the link."""
    return values if clusters.link is None else values @ clusters.link


def own_variances(clusters: AdjustedClusters, C: Array) -> Array:
    """y_j'Phi y_j of each cluster, for k functions C (k, p): (J, k)."""
    own = np.empty((clusters.n_clusters, len(C)))
    for piece in clusters.pieces:
        own[piece.clusters] = ((piece.Y @ C.T) * (piece.PhiY @ C.T)).sum(axis=1)
    return own


def own_covariances(clusters: AdjustedClusters, C: Array) -> Array:
    """The same between q functions C (q, p): (J, q, q)."""
    own = np.empty((clusters.n_clusters, len(C), len(C)))
    for piece in clusters.pieces:
        own[piece.clusters] = (piece.Y @ C.T).transpose(0, 2, 1) @ (piece.PhiY @ C.T)
    return own


def by_way_of_coefficients(clusters: AdjustedClusters, C: Array) -> Array:
    """y_j'carriers_j of each cluster, for k functions C (k, p): (J, k, c)."""
    through = np.empty((clusters.n_clusters, len(C), clusters.n_carriers))
    for piece in clusters.pieces:
        through[piece.clusters] = (piece.Y @ C.T).transpose(0, 2, 1) @ piece.carriers
    return through
