"""How do the slopes within groups and between groups compare?

Fixed effects (a mean for each group) use what lies within groups alone; a random-intercept model with one
slope mixes both. If the slopes are one, the two estimates differ by chance only, which is Hausman's test.
Mundlak's is the same question inside one model that holds the group means.

Means of few members are noisy, so that a slope on them falls short. With mean squares MSB and MSW of the
columns, the contextual slopes on the means that very large groups would have are

    (MSB - MSW)^-1 MSB c,      and with one column c / reliability,   reliability = (MSB - MSW) / MSB.

References:
    Mundlak, Y. (1978). On the pooling of time series and cross section data. Econometrica 46, 69-85.
    Hausman, J. A. (1978). Specification tests in econometrics. Econometrica 46, 1251-1271.
    Lüdtke, O. et al. (2008). The multilevel latent covariate model. Psychological Methods 13, 203-229.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from multilevel._typing import Array, Mask
from multilevel.clusters.within_between import Split, mean_square_matrices, split_columns
from multilevel.estimation.ols import least_squares
from multilevel.inference.coefficients import KnownDf

LEAST_EIGENVALUE = 1e-8  # of a difference of variances, relative to the larger, that is more than rounding


@dataclass(frozen=True, slots=True)
class Hausman:
    """Fixed-effects against random-effects estimates of k slopes; NaN where the test does not exist."""

    difference: Array  # (k,) fixed less random
    statistic: float  # a chi-square
    df: int
    p_value: float

    @property
    def exists(self) -> bool:
        """Whether the variance of the difference could be formed."""
        return not np.isnan(self.statistic)


@dataclass(frozen=True, slots=True)
class Reliability:
    """How well the group means of k columns are known, and contextual slopes without that noise."""

    group_size: float  # that stands for sizes that differ: n0 of the analysis of variance
    reliability: Array  # (k,) share of the variance of observed means that is not sampling of members
    contextual: Array  # (k,) NaN where the means say no more than chance


def fixed_effects(y: Array, split: Split, columns: Mask, counts: Array | None) -> KnownDf:
    """Slopes within groups of y (n,) on some columns: those beside an indicator for each group."""
    X, deviations = split.within[:, columns], split_columns(y[:, None], split.codes, counts).within[:, 0]
    fit = least_squares(X, deviations, counts)
    df = float(split.sizes.sum()) - split.n_groups - X.shape[1]
    sigma2 = fit.rss / df if df > 0.0 else np.nan
    root = np.sqrt(sigma2) * fit.centring.contrasts(np.eye(X.shape[1])) @ fit.root
    return KnownDf("fixed effects", fit.beta, root, df)


def hausman(fixed: Array, fixed_vcov: Array, random: Array, random_vcov: Array) -> Hausman:
    """Hausman's test that k slopes (k,) of both kinds estimate the same; covariances are (k, k)."""
    difference, variance = fixed - random, fixed_vcov - random_vcov
    sd = np.sqrt(fixed_vcov.diagonal())
    unit = variance / np.outer(sd, sd)  # free of the units of the columns
    if not np.linalg.eigvalsh(unit).min() > LEAST_EIGENVALUE:
        return Hausman(difference, np.nan, len(sd), np.nan)
    scaled = difference / sd
    statistic = float(scaled @ np.linalg.solve(unit, scaled))
    return Hausman(difference, statistic, len(sd), float(chdtrc(len(sd), statistic)))


def reliability_of_means(
    split: Split, contextual: Array, both: Mask, constant: Mask, counts: Array | None
) -> Reliability:
    """Reliability of group means, and contextual slopes (k,) corrected for what it lacks.

    `both` marks the k columns with two slopes, `constant` those that do not vary within groups; `contextual`
    has the slopes of the former and then of the latter on the group means. Groups count by their size here.
    """
    chosen = np.flatnonzero(both).tolist() + np.flatnonzero(constant).tolist()
    between, within = mean_square_matrices(split, counts)
    between, within = between[np.ix_(chosen, chosen)], within[np.ix_(chosen, chosen)]
    k = int(both.sum())
    noise = np.zeros_like(between)
    noise[:k, :k] = within[:k, :k]
    share = 1.0 - noise.diagonal()[:k] / between.diagonal()[:k]
    return Reliability(anova_size(split.sizes), share, corrected(between, noise, contextual)[:k])


def corrected(between: Array, noise: Array, contextual: Array) -> Array:
    """(between - noise)^-1 between c, or NaN if what is left is no covariance."""
    sd = np.sqrt(between.diagonal())
    left = (between - noise) / np.outer(sd, sd)
    if not np.linalg.eigvalsh(left).min() > LEAST_EIGENVALUE:
        return np.full(len(contextual), np.nan)
    return np.asarray(np.linalg.solve(left, (between / np.outer(sd, sd)) @ (sd * contextual)) / sd)


def anova_size(sizes: Array) -> float:
    """n0 = (N - sum n_j^2 / N) / (J - 1): the size of equal groups with the same expected mean squares."""
    total = float(sizes.sum())
    return float((total - (sizes @ sizes) / total) / (len(sizes) - 1))
