"""What do tests in simulated data sets tell of power, and how sure is it? Rates, limits, errors of estimates.

Gelman, A. & Carlin, J. (2014). Beyond power calculations: assessing type S (sign) and type M (magnitude)
errors. Perspectives on Psychological Science 9, 641-651. Clopper, C. J. & Pearson, E. S. (1934). The use of
confidence or fiducial limits illustrated in the case of the binomial. Biometrika 26, 404-413. Wilson, E. B.
(1927). Probable inference, the law of succession, and statistical inference. Journal of the American
Statistical Association 22, 209-212.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from scipy import special

from multilevel._typing import Array, Mask

RateLimits = Literal["exact", "wilson"]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """One test in each of B data sets; NaN where a data set could not be analysed."""

    estimate: Array  # (B,) of what is tested; NaN where several statements are tested together
    std_error: Array  # (B,)
    df: Array  # (B,) infinite for the normal
    p_value: Array  # (B,)
    converged: Mask  # (B,)
    singular: Mask  # (B,)

    @property
    def failed(self) -> Mask:
        """Data sets without a test."""
        return np.asarray(np.isnan(self.p_value))


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of simulated data sets, with the error that simulation leaves in it."""

    hits: int
    n: int

    @property
    def share(self) -> float:
        """Hits over n."""
        return self.hits / self.n if self.n else float("nan")

    @property
    def error(self) -> float:
        """Its standard deviation over simulations."""
        return float(np.sqrt(self.share * (1.0 - self.share) / self.n)) if self.n else float("nan")

    def limits(self, kind: RateLimits = "exact", level: float = 0.95) -> tuple[float, float]:
        """Confidence limits of the share that more and more data sets would tend to.

        >>> low, high = Rate(0, 100).limits()
        >>> low, round(high, 4)
        (0.0, 0.0362)
        """
        if not self.n:
            return float("nan"), float("nan")
        return (wilson if kind == "wilson" else clopper_pearson)(self.hits, self.n, 1.0 - level)


@dataclass(frozen=True, slots=True)
class Figures:
    """What B data sets tell of a test and its estimate."""

    rate: Rate  # of rejections among the data sets analysed
    n_failed: int
    n_not_converged: int
    n_singular: int
    estimate: float  # mean; NaN, as all below, where several statements are tested together
    bias: float
    coverage: Rate  # of the intervals that belong to the test
    width: float  # of these, on average
    wrong_sign: float  # share of rejections with the wrong sign (type S); NaN where the truth is zero
    exaggeration: float  # mean size of estimates that are significant, over the true size (type M)


def figures_of(outcomes: Outcomes, truth: float, alpha: float) -> Figures:
    """Sum up; `truth` is the true value of what is tested, NaN where it is not defined."""
    done = ~outcomes.failed
    p, estimate = outcomes.p_value[done], outcomes.estimate[done]
    significant = p < alpha
    half = critical(outcomes.df[done], alpha) * outcomes.std_error[done]
    known = np.isfinite(half) & np.isfinite(truth)
    hits = estimate[significant]
    effect = truth if np.isfinite(truth) and truth != 0.0 and len(hits) else float("nan")
    return Figures(
        rate=Rate(int(significant.sum()), len(p)),
        n_failed=int((~done).sum()),
        n_not_converged=int((~outcomes.converged[done]).sum()),
        n_singular=int(outcomes.singular[done].sum()),
        estimate=mean(estimate),
        bias=mean(estimate) - truth,
        coverage=Rate(int((np.abs(estimate - truth) <= half)[known].sum()), int(known.sum())),
        width=2.0 * mean(half),
        wrong_sign=float("nan") if np.isnan(effect) else float((hits * effect < 0.0).mean()),
        exaggeration=float(np.abs(hits).mean() / abs(effect)) if len(hits) else float("nan"),
    )


def critical(df: Array, alpha: float) -> Array:
    """Two-sided critical values of t (B,); NaN where there are no degrees of freedom."""
    normal = -special.ndtri(0.5 * alpha)
    finite = np.where(np.isfinite(df), df, 1.0)
    return np.asarray(
        np.where(np.isinf(df), normal, np.where(np.isnan(df), np.nan, -special.stdtrit(finite, 0.5 * alpha)))
    )


def mean(values: Array) -> float:
    """The mean of what there is; NaN of nothing."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")


def clopper_pearson(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """Exact limits of a share."""
    low = 0.0 if hits == 0 else float(special.betaincinv(hits, n - hits + 1, 0.5 * alpha))
    high = 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, 1.0 - 0.5 * alpha))
    return low, high


def wilson(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """Wilson's limits of a share."""
    z = float(-special.ndtri(0.5 * alpha))
    share, spread = hits / n, z * z / n
    middle = (share + 0.5 * spread) / (1.0 + spread)
    half = z / (1.0 + spread) * np.sqrt(share * (1.0 - share) / n + 0.25 * spread / n)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def joined_outcomes(parts: Sequence[Outcomes]) -> Outcomes:
    """Data sets of several blocks in one."""
    return Outcomes(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Outcomes)))


def t_outcomes(
    estimate: Array, std_error: Array, df: Array, converged: Mask | None = None, singular: Mask | None = None
) -> Outcomes:
    """Two-sided t tests (B,) that an estimate is zero."""
    B = len(estimate)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(estimate / std_error)
    p = np.where(
        np.isinf(df), 2.0 * special.ndtr(-t), 2.0 * special.stdtr(np.where(np.isinf(df), 1.0, df), -t)
    )
    return Outcomes(
        estimate,
        std_error,
        df,
        p,
        np.ones(B, dtype=np.bool_) if converged is None else converged,
        np.zeros(B, dtype=np.bool_) if singular is None else singular,
    )
