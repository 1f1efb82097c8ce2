"""Is the larger of two models better by more than chance? Likelihood-ratio tests between fits.

Where the test adds a variance, its null value lies on the boundary of what is possible, and the likelihood
ratio follows a mixture of chi-squares rather than one.

Self, S. G. and Liang, K.-Y. (1987). Journal of the American Statistical Association 82, 605-610.
Stram, D. O. and Lee, J. W. (1994). Biometrics 50, 1171-1177.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import chdtrc

from multilevel._typing import Array
from multilevel.fitted.lmm import TermCovariance

ROUNDING = 1e-8  # of a log-likelihood, relative: a gain below it is none, and its boundary p is one
NO_TEST = (np.nan, np.nan, np.nan, np.nan)  # chi-square, df and both p-values where nothing is tested


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a comparison needs to know of one fit."""

    loglik: float  # maximised log-likelihood (not restricted)
    n_parameters: int
    n_coefficients: int
    terms: tuple[TermCovariance, ...]  # empty for a model without random effects


@dataclass(frozen=True, slots=True)
class LikelihoodRatios:
    """Each model against the one before it; K models by number of parameters, NaN where no test is."""

    chisq: Array  # (K,) twice the gain in log-likelihood
    df: Array  # (K,) parameters added
    p_value: Array  # (K,) by one chi-square with `df`
    p_boundary: Array  # (K,) by the mixture, where one variance is tested


def likelihood_ratios(models: Sequence[Candidate], nested: Sequence[bool]) -> LikelihoodRatios:
    """Test each of K models, sorted by their number of parameters, against the one before it.

    `nested` (K - 1) says which of these pairs are nested: a likelihood ratio tests no others.
    """
    rows = [
        likelihood_ratio(small, large) if is_nested else NO_TEST
        for (small, large), is_nested in zip(pairwise(models), nested, strict=True)
    ]
    columns = np.array([NO_TEST, *rows]).T
    return LikelihoodRatios(*columns)


def likelihood_ratio(small: Candidate, large: Candidate) -> tuple[float, float, float, float]:
    """Chi-square, df, its p-value and the boundary p-value; all NaN for models of one size."""
    df = large.n_parameters - small.n_parameters
    if df == 0:
        return NO_TEST
    gain = 2.0 * (large.loglik - small.loglik)
    chisq = gain if gain > ROUNDING * (1.0 + abs(large.loglik)) else 0.0
    covariances = added_covariances(small, large)
    p_boundary = np.nan if covariances is None else mixture_p(chisq, df - 1)
    return chisq, float(df), float(chdtrc(df, chisq)), p_boundary


def added_covariances(small: Candidate, large: Candidate) -> int | None:
    """How many covariances come with the one variance that the larger model adds.

    None if it does not add just one: for several variances at once no mixture is free of the design, so no
    p-value is given then.
    """
    if (variance_count(large) - variance_count(small)) != 1 or not columns_of(small) <= columns_of(large):
        return None
    fixed = large.n_coefficients - small.n_coefficients
    covariances = large.n_parameters - small.n_parameters - fixed - 1
    return covariances if covariances >= 0 and fixed >= 0 else None


def variance_count(model: Candidate) -> int:
    """Number of variances among the covariance parameters of the random effects."""
    return sum(1 if term.hom else len(term.names) for term in model.terms)


def columns_of(model: Candidate) -> Counter[tuple[str, str]]:
    """The random-effect columns by grouping factor."""
    return Counter((term.group, name) for term in model.terms for name in term.names)


def mixture_p(chisq: float, df: int) -> float:
    """P(X >= chisq) for the equal mixture of chi-squares with `df` and `df + 1` degrees of freedom.

    `df` counts the parameters that come free of a boundary: covariances and fixed effects; with none it is a
    point mass at zero.
    """
    lower = chdtrc(df, chisq) if df > 0 else float(chisq <= 0.0)
    return float(0.5 * (lower + chdtrc(df + 1, chisq)))
