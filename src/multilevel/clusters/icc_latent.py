"""How alike are members of a group on the scale where effects add: the log odds, or the logarithm of a rate?

binary  Values 0 and 1 with mean p and intraclass correlation rho are both 1, for two members of one group,
        with probability p^2 + rho p (1 - p). In the logistic model with a normal intercept of standard
        deviation sigma by group, p = E expit(a + sigma Z), and that probability is E expit(a + sigma Z)^2.
        The two equations give a and sigma, and the latent correlation is sigma^2 / (sigma^2 + pi^2 / 3).
counts  Counts with mean m, covariance c of two members of a group and variance w within groups: for
        log-normal effects of groups, their variance on the log scale is log(1 + c / m^2); an observation adds
        log(1 + 1 / m + kappa), where kappa >= 0 is what w has beyond a Poisson's, (w - m) / (m^2 + c).

These match moments and maximise no likelihood; a fitted generalised linear mixed model will differ a little.

Eldridge, S. M., Ukoumunne, O. C. and Carlin, J. B. (2009). The intra-cluster correlation coefficient in
cluster randomized trials: a review of definitions. International Statistical Review 77, 378-394.
Nakagawa, S., Johnson, P. C. D. and Schielzeth, H. (2017). The coefficient of determination R2 and intra-class
correlation coefficient from generalized linear mixed-effects models revisited and expanded. Journal of the
Royal Society Interface 14, 20170213.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from multilevel._typing import Array
from multilevel.clusters.icc_estimators import Sums

LOGISTIC_VARIANCE = np.pi**2 / 3.0
LARGEST_SD = 50.0  # of log odds between groups: its latent correlation is 0.9987
NODES = np.linspace(
    -8.5, 8.5, 2001
)  # the trapezoidal rule over them is exact to rounding for smooth functions
DENSITY = np.exp(-0.5 * NODES**2) / np.exp(-0.5 * NODES**2).sum()


def logistic_icc(mean: float, icc: float) -> float:
    """Latent correlation of the logistic model with this mean and this correlation of values 0 and 1.

    0 where the correlation is not positive, as no differences between groups give that; 1 at 1.

    >>> round(logistic_icc(mean=0.3, icc=0.1), 3)
    0.147
    """
    if np.isnan(icc):
        return np.nan
    wanted = mean**2 + icc * mean * (1.0 - mean)
    if icc <= 0.0 or both_one(mean, LARGEST_SD) <= wanted:
        return 0.0 if icc <= 0.0 else 1.0
    sd = brentq(lambda sd: both_one(mean, sd) - wanted, 0.0, LARGEST_SD, xtol=1e-12)
    return float(sd**2 / (sd**2 + LOGISTIC_VARIANCE))


def both_one(mean: float, sd: float) -> float:
    """Probability that two members of a group are both 1."""
    reach = 10.0 * (1.0 + sd)
    centre = brentq(
        lambda a: float(DENSITY @ expit(a + sd * NODES)) - mean,
        logit(mean) - reach,
        logit(mean) + reach,
        xtol=1e-13,
    )
    return float(DENSITY @ expit(centre + sd * NODES) ** 2)


def log_scale_icc(sums: Sums, centre: float) -> Array:
    """Latent correlation of counts on the log scale; `centre` is what deviations in the sums are from."""
    mean = centre + sums.mean_deviation
    within = sums.ms_within
    covariance = np.maximum((sums.ms_between - within) / sums.n0, 0.0)
    between = np.log1p(covariance / mean**2)
    overdispersion = np.maximum((within - mean) / (mean**2 + covariance), 0.0)
    return np.asarray(between / (between + np.log1p(1.0 / mean + overdispersion)))
