"""Is the larger of two models better by more than chance? Likelihood-ratio tests between fits.

Where the test adds a variance, its null value lies on the boundary of what is possible, and the likelihood
ratio follows a mixture of chi-squares rather than one.

Self, S. G. and Liang, K.-Y. (1987). Journal of the American Statistical Association 82, 605-610.
Stram, D. O. and Lee, J. W. (1994). Biometrics 50, 1171-1177.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import chdtrc

from multilevel._typing import Array
from multilevel.inference.boundary import Mixture, mixture_between
from multilevel.inference.chi_bar import mixture_tail
from multilevel.inference.smaller_models import Candidate

ROUNDING = 1e-8  # of a log-likelihood, relative: a gain below it is none, and its boundary p is one


@dataclass(frozen=True, slots=True)
class LikelihoodRatio:
    """A test of one model against a larger one; NaN where there is none."""

    chisq: float = np.nan  # twice the gain in log-likelihood
    df: float = np.nan  # parameters added
    p_value: float = np.nan  # by one chi-square with `df`
    p_boundary: float = np.nan  # by the mixture, where a variance is tested and the mixture is known


NO_TEST = LikelihoodRatio()


@dataclass(frozen=True, slots=True)
class LikelihoodRatios:
    """Each model against the one before it; K models by number of parameters, NaN where no test is."""

    chisq: Array  # (K,)
    df: Array  # (K,)
    p_value: Array  # (K,)
    p_boundary: Array  # (K,)


def likelihood_ratios(models: Sequence[Candidate], nested: Sequence[bool]) -> LikelihoodRatios:
    """Test each of K models, sorted by their number of parameters, against the one before it.

    `nested` (K - 1) says which of these pairs are nested: a likelihood ratio tests no others.
    """
    tests = [
        tested(small, large) if is_nested else NO_TEST
        for (small, large), is_nested in zip(pairwise(models), nested, strict=True)
    ]
    return gathered(tests)


def gathered(tests: Sequence[LikelihoodRatio]) -> LikelihoodRatios:
    """Tests of neighbours (K - 1) as columns (K,), the first of which tests nothing."""
    rows = [(test.chisq, test.df, test.p_value, test.p_boundary) for test in (NO_TEST, *tests)]
    return LikelihoodRatios(*np.array(rows).T)


def tested(small: Candidate, large: Candidate) -> LikelihoodRatio:
    """The test of a nested pair."""
    df = large.n_parameters - small.n_parameters
    if df < 1:
        return NO_TEST
    return likelihood_ratio(small.loglik, large.loglik, df, mixture_between(small, large))


def likelihood_ratio(small: float, large: float, df: int, mixture: Mixture | None) -> LikelihoodRatio:
    """Chi-square, df and both p-values from two log-likelihoods."""
    gain = 2.0 * (large - small)
    chisq = gain if gain > ROUNDING * (1.0 + abs(large)) else 0.0
    p_boundary = np.nan if mixture is None else mixture_tail(chisq, mixture.weights, mixture.free)
    return LikelihoodRatio(chisq, float(df), float(chdtrc(df, chisq)), p_boundary)


def mixture_p(chisq: float, df: int) -> float:
    """P(X >= chisq) for the equal mixture of chi-squares with `df` and `df + 1` degrees of freedom.

    So a likelihood ratio for one variance is distributed; `df` counts what is tested with it and free of a
    bound: covariances and fixed effects.
    """
    return mixture_tail(chisq, np.array([0.5, 0.5]), df)
