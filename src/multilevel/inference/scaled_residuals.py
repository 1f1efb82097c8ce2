"""Where does each response stand among responses that the model would have given?

With many data sets simulated from the fit, the scaled residual of a row is the share of simulated
responses below the one observed, ties broken by a uniform number: the empirical form of the randomised
quantile residual of Dunn and Smyth (1996). Where the model holds these are uniform between 0 and 1,
whatever the family, which makes departures visible that residuals of counts and of 0/1 responses hide
(Gelman & Hill 2007, ch. 8). Random effects are drawn anew, so that what they should explain is tested
with the rest.

Dunn, P. K. & Smyth, G. K. (1996). Randomized quantile residuals. Journal of Computational and Graphical
Statistics 5, 236-244. Gelman, A. & Hill, J. (2007). Data Analysis Using Regression and
Multilevel/Hierarchical Models. Cambridge.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import kolmogorov, ndtri
from scipy.stats import binom, kstest, rankdata

from multilevel._typing import Array

MEAN_DISTANCE = np.sqrt(np.pi / 2.0) * np.log(2.0)  # of Kolmogorov's distribution


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """One question to the simulated responses and its answer."""

    name: str  # "uniformity", "dispersion", "zeros", "outliers"
    observed: float  # what was observed
    expected: float  # what the model leads one to expect
    p_value: float


def scaled_residuals(y: Array, simulated: Array, rng: np.random.Generator) -> Array:
    """Residuals (n,) in [0, 1] of responses (n,) among simulated ones (n, S)."""
    S = simulated.shape[1]
    below = (simulated < y[:, None]).sum(axis=1)
    ties = (simulated == y[:, None]).sum(axis=1)
    return np.asarray((below + rng.random(len(y)) * (ties + 1.0)) / (S + 1.0))


def normal_scores(residuals: Array) -> Array:
    """The same as standard normal numbers, never infinite."""
    edge = 1e-12
    return np.asarray(ndtri(np.clip(residuals, edge, 1.0 - edge)))


def uniformity(residuals: Array) -> ModelCheck:
    """Kolmogorov and Smirnov's distance from the uniform distribution."""
    test = kstest(residuals, "uniform")
    return ModelCheck("uniformity", float(test.statistic), 0.0, float(test.pvalue))


def simulated_uniformity(residuals: Array, distances: Array) -> ModelCheck:
    """The same where groups share their effects: as independent rows whose distance would be as large.

    Residuals of one group lie together, so that the distance of n rows is that of fewer. How many, the mean
    of the simulated `distances` (R,) says: of m independent rows it is sqrt(pi / 2) log 2 / sqrt(m).
    """
    test = kstest(residuals, "uniform")
    root_of_size = MEAN_DISTANCE / float(distances.mean())
    p_value = float(kolmogorov(root_of_size * test.statistic))
    return ModelCheck("uniformity", float(test.statistic), float(distances.mean()), p_value)


def drawn_distances(draws: Array, rng: np.random.Generator) -> Array:
    """Distances (R,) of the scaled residuals of each of R simulated responses (n, R) among the others."""
    n, R = draws.shape
    low, high = (rankdata(draws, method=method, axis=1) for method in ("min", "max"))
    scaled = np.sort((low - 1.0 + rng.random((n, R)) * (high - low + 1.0)) / R, axis=0)
    steps = np.arange(1, n + 1)[:, None] / n
    return np.asarray(np.maximum((steps - scaled).max(axis=0), (scaled - steps).max(axis=0) + 1.0 / n))


def dispersion(y: Array, simulated: Array, expected: Array) -> ModelCheck:
    """The spread of the responses about what is expected, against that of simulated ones."""
    observed = spread(y[:, None], expected)[0]
    drawn = spread(simulated, expected)
    centre = float(np.mean(drawn))
    return ModelCheck("dispersion", float(observed) / centre, 1.0, two_sided(observed, drawn))


def spread(values: Array, expected: Array) -> Array:
    """Sum of squares about the expectation (n,), of each column."""
    return np.asarray(((values - expected[:, None]) ** 2).sum(axis=0))


def zeros(y: Array, simulated: Array) -> ModelCheck:
    """How many zeros there are, against simulated responses."""
    observed = float((y == 0.0).sum())
    drawn = (simulated == 0.0).sum(axis=0).astype(float)
    return ModelCheck("zeros", observed, float(drawn.mean()), two_sided(observed, drawn))


def outliers(y: Array, simulated: Array) -> ModelCheck:
    """Responses outside of all simulated ones: by chance two in S + 1, of a continuous response."""
    n, S = simulated.shape
    observed = int(((y > simulated.max(axis=1)) | (y < simulated.min(axis=1))).sum())
    chance = 2.0 / (S + 1.0)
    return ModelCheck("outliers", float(observed), n * chance, float(binom.sf(observed - 1, n, chance)))


def two_sided(observed: float, drawn: Array) -> float:
    """Twice the smaller tail of the simulated values, the observed one counted among them."""
    S = len(drawn)
    upper = (1.0 + float((drawn >= observed).sum())) / (S + 1.0)
    lower = (1.0 + float((drawn <= observed).sum())) / (S + 1.0)
    return min(1.0, 2.0 * min(upper, lower))
