"""By how much do clusters inflate variances? Kish's design effect, and Moulton's for predictors.

With a correlation rho of any two members of a cluster, the variance of a mean, and of the least-squares slope
of x, is that of independent observations times

    1 + (m - 1) rho rho_x,     m = sum m_j^2 / sum m_j,

where m_j are the sizes of the clusters and rho_x is the correlation of x over all pairs of members. rho_x is
1 for the mean, and for what is constant within clusters of equal size. What varies within clusters as it does
between them has rho_x near 0; what is balanced within each cluster has -1 / (m - 1): its variance is smaller.
For a slope, rho is the correlation of what x leaves of y.

Kish, L. (1965). Survey Sampling. Wiley.
Moulton, B. R. (1986). Random group effects and the precision of regression estimates. Journal of Econometrics
32, 385-397.
Henderson, C. R. (1953). Estimation of variance and covariance components. Biometrics 9, 226-252 (method 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.clusters.one_way import GroupMoments, group_moments

CONSTANT = 1e-12  # share of a sum of squares below which there is no variation within groups


@dataclass(frozen=True, slots=True)
class Inflation:
    """Design effects of K quantities; N observations in J clusters."""

    icc: Array  # (K,) of the response, given the predictor
    icc_x: Array  # (K,) of the predictor; 1 for the mean
    deff: Array  # (K,)

    @property
    def se_ratio(self) -> Array:
        """True standard error over the naive one (K,); NaN where a negative ICC leaves no variance."""
        return np.sqrt(np.where(self.deff >= 0.0, self.deff, np.nan))


def weighted_size(sizes: Array) -> float:
    """Mean size of the cluster of a member, sum m^2 / sum m, from sizes (J,)."""
    return float((sizes**2).sum() / sizes.sum())


def inflation(size: float, icc: Array, icc_x: Array) -> Inflation:
    """Design effects in clusters of this (weighted mean) size."""
    return Inflation(icc, icc_x, 1.0 + (size - 1.0) * icc * icc_x)


def predictor_icc(x: GroupMoments) -> float:
    """Moulton's rho_x: the correlation of x over all pairs of members, about its mean over all rows."""
    total = float((x.size * x.deviation**2).sum() + x.square.sum())
    pairs = float((x.size * (x.size - 1.0)).sum())
    products = float((x.size**2 * x.deviation**2).sum()) - total
    return products / (total / float(x.size.sum()) * pairs)


def icc_given(y: Array, x: Array, codes: Codes, counts: Array | None) -> float:
    """The intraclass correlation of what a straight line in x leaves of y, by fitting constants.

    Sums of squares are those of y given x, between groups and within them, equated to their expectations; it
    may be negative. NaN where too few groups or members are left.
    """
    of_y, of_x = group_moments(y, codes, counts), group_moments(x, codes, counts)
    n, n_groups = float(of_y.size.sum()), len(of_y.size)
    within_xy = products_within(y, x, of_y, of_x, codes, counts)
    within_x, within_y = float(of_x.square.sum()), float(of_y.square.sum())
    total_x = within_x + float((of_x.size * of_x.deviation**2).sum())
    total_y = within_y + float((of_y.size * of_y.deviation**2).sum())
    total_xy = within_xy + float((of_y.size * of_y.deviation * of_x.deviation).sum())
    varies = within_x > CONSTANT * total_x
    left = total_y - total_xy**2 / total_x
    left_within = within_y - within_xy**2 / within_x if varies else within_y
    df_between = n_groups - 1.0 if varies else n_groups - 2.0
    df_within = n - n_groups - 1.0 if varies else n - n_groups
    if df_between < 1.0 or df_within < 1.0 or left <= CONSTANT * total_y:
        return np.nan
    trace = n - weighted_size(of_y.size) - float(((of_x.size * of_x.deviation) ** 2).sum()) / total_x
    n0 = trace / df_between
    between, within = (left - left_within) / df_between, left_within / df_within
    return (between - within) / (between + (n0 - 1.0) * within)


def products_within(
    y: Array, x: Array, of_y: GroupMoments, of_x: GroupMoments, codes: Codes, counts: Array | None
) -> float:
    """Sum of products about the groups' own means."""
    products = (y - of_y.mean[codes]) * (x - of_x.mean[codes])
    return float(products.sum() if counts is None else products @ counts)
