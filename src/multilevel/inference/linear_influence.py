"""What happens to least-squares estimates without a row, or without a cluster? Algebra, exact.

Rows are taken in the basis U of the fit, in which U'WU is the identity. As in Belsley, Kuh & Welsch (1980)
(and R), dfbetas divide by the standard error with sigma estimated without the rows and X'WX of all of them.
"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design, Grouping
from multilevel.estimation.deletions import RANK_LOST
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.case_deletion import gram_by_level
from multilevel.inference.influence import Influence
from multilevel.inference.leverage import residual_share
from multilevel.inference.sandwich import ScoredRows, leverage


def linear_influence_of_rows(record: OLSRecord, rows: ScoredRows) -> Influence:
    """Leave out one observation of each row: n deletions."""
    weights = 1.0 if rows.precision is None else rows.precision
    left = weights / residual_share(leverage(rows))
    pull, e, p = rows.basis, rows.residuals, rows.n_coefficients
    size = (pull * pull).sum(axis=1)
    sigma = without(record.rss - left * e * e, rows.n_obs - 1.0 - p)
    return Influence(
        dfbeta=(left * e)[:, None] * (pull @ record.to_coefficients.T),
        std_error=standard_errors(record, sigma),
        cooks_distance=(left * e) ** 2 * size / (p * record.sigma**2),
        covratio=(sigma / record.sigma) ** (2 * p) * (1.0 + left * size),
        sigma=sigma,
    )


def linear_influence_of_groups(
    design: Design, record: OLSRecord, rows: ScoredRows, clusters: Grouping
) -> tuple[Influence, dict[int, str]]:
    """Leave out each cluster; and those without which the model cannot be estimated, with the reason."""
    p, n_clusters = rows.n_coefficients, clusters.n_levels
    weights = weights_of(rows)
    gram = gram_by_level(np.column_stack([rows.basis, rows.residuals]), weights, clusters.codes, n_clusters)
    left = np.eye(p) - gram[:, :p, :p]
    n_left = rows.n_obs - np.bincount(clusters.codes, design.freq_weights, n_clusters)
    lost = (np.linalg.eigvalsh(left)[:, 0] < RANK_LOST) | (n_left <= p)
    left[lost] = np.eye(p)  # any matrix that can be solved: there is no answer
    shift = np.where(lost[:, None], np.nan, np.linalg.solve(left, gram[:, :p, p:])[:, :, 0])
    rss = record.rss - gram[:, p, p] - (gram[:, :p, p] * shift).sum(axis=1)
    sigma = without(rss, np.where(lost, np.nan, n_left - p))
    found = Influence(
        dfbeta=shift @ record.to_coefficients.T,
        std_error=standard_errors(record, sigma),
        cooks_distance=(shift * shift).sum(axis=1) / (p * record.sigma**2),
        covratio=(sigma / record.sigma) ** (2 * p) / np.linalg.det(left),
        sigma=sigma,
    )
    reason = "the other rows do not identify all coefficients"
    return found, {int(k): reason for k in np.flatnonzero(lost)}


def without(rss: Array, df: float | Array) -> Array:
    """Residual standard deviation without the rows."""
    return np.sqrt(np.maximum(rss, 0.0) / df)


def standard_errors(record: OLSRecord, sigma: Array) -> Array:
    """Standard errors (G, p) at G values of sigma."""
    return np.outer(sigma, np.sqrt((record.to_coefficients**2).sum(axis=1)))


def weights_of(rows: ScoredRows) -> Array | None:
    """Precision times count of each row."""
    if rows.precision is None or rows.counts is None:
        return rows.counts if rows.precision is None else rows.precision
    return rows.precision * rows.counts
