"""Where does the search for a generalized model's coefficients begin?

The mean by least squares of the response on the link's scale, a dispersion by the moments of what that
leaves, thresholds from the shares of the categories, an excess of zeros from their number.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import logit

from multilevel._typing import Array
from multilevel.estimation.fixed_newton import FixedFit, newton, one_predictor
from multilevel.estimation.glmm_rows import Part, WorkingRows, plain_columns
from multilevel.estimation.thresholds import threshold_map
from multilevel.families.family import Family
from multilevel.families.ordinal import Ordinal
from multilevel.kernels.marginal import PriorPenalty, RowPredictor

WIDE, NARROW = 1e4, 1e-4  # limits of a dispersion found by moments
EXCESS_SHARE = 0.5  # of the zeros beyond none, at first
STUDENT_DF = 6.0


def fit_without_random_effects(
    rows: WorkingRows, family: Family, prior: PriorPenalty | None = None
) -> FixedFit:
    """The best fit of the fixed effects alone, from the first start where the likelihood is finite."""
    for start in starting_points(rows, family):
        found = newton(rows, start, prior)
        if np.isfinite(found.loglik):
            break
    return found


def starting_points(rows: WorkingRows, family: Family) -> Iterator[Array]:
    """Working coefficients (G,) to climb from, the likely ones first."""
    gamma = np.zeros(rows.parts[-1].places.stop)
    if isinstance(family, Ordinal):
        fill_thresholds(gamma, rows, family)
        yield gamma
        return
    means = starting_means(rows, family)
    yield coefficients_for(gamma, rows, family, means)
    yield coefficients_for(gamma, rows, family, np.full(len(rows.y), means.mean()))


def coefficients_for(gamma: Array, rows: WorkingRows, family: Family, means: Array) -> Array:
    """Coefficients that give each row about this mean (n,), and moments for what else there is."""
    found = gamma.copy()
    fill_mean(found, rows, family, means)
    fill_dispersion(found, rows, family)
    fill_zeros(found, rows, family)
    if family.density == "student":
        found[rows.parts[2].places] = np.log(STUDENT_DF)
    return found


def starting_means(rows: WorkingRows, family: Family) -> Array:
    """A mean for each row inside its range: (n,)."""
    y = rows.y if rows.trials is None else rows.y / rows.trials
    if family.density.startswith("truncated"):
        y = np.where(y > 0.0, y, y[y > 0.0].mean() if (y > 0.0).any() else 1.0)
    return family.start(y)


def fill_mean(gamma: Array, rows: WorkingRows, family: Family, means: Array) -> None:
    """Coefficients of the mean, by least squares on the link's scale."""
    predictor = rows.predictors[0]
    target = family.link.link(means)
    if predictor.offset is not None:
        target = target - predictor.offset
    gamma[rows.parts[0].places] = least_squares(predictor, target)


def least_squares(predictor: RowPredictor, target: Array) -> Array:
    """Coefficients (p,) of working columns for a target (n,)."""
    columns = predictor.columns
    X = (columns.values - columns.shift) * columns.scale
    if X.shape[1] == 0:
        return np.zeros(0)
    return np.asarray(np.linalg.lstsq(X.T @ X, X.T @ target, rcond=None)[0])


def fill_dispersion(gamma: Array, rows: WorkingRows, family: Family) -> None:
    """A dispersion by moments, the same for all rows."""
    part = rows.part("disp")
    if part is None:
        return
    mu = family.link.inverse(one_predictor(rows.predictors[0], gamma))
    size = np.ones_like(mu) if rows.trials is None else rows.trials
    with np.errstate(all="ignore"):
        phi = moment_dispersion(family.density, (rows.y / size - mu) ** 2, mu, size)
    phi = min(max(phi, NARROW), WIDE) if np.isfinite(phi) else 1.0
    fill_constant(gamma, rows, part, float(np.log(phi)))


def moment_dispersion(density: str, square: Array, mu: Array, size: Array) -> float:
    """A dispersion that gives squared deviations (n,) their average."""
    match density.removeprefix("truncated_"):
        case "gaussian":
            phi = square.mean()
        case "student":
            phi = 0.5 * square.mean()
        case "gamma":
            phi = (square / mu**2).mean()
        case "inverse_gaussian":
            phi = (square / mu**3).mean()
        case "nbinom2":
            phi = (mu**2).sum() / max((square - mu).sum(), NARROW)
        case "nbinom1":
            phi = max((square / mu).mean() - 1.0, 0.1)
        case "beta":
            phi = (mu * (1.0 - mu)).sum() / square.sum() - 1.0
        case "beta_binomial":
            phi = overdispersed_precision(square, mu, size)
        case _:  # Tweedie
            phi = (square / mu**1.5).mean()
    return float(phi)


def overdispersed_precision(square: Array, mu: Array, size: Array) -> float:
    """Of a beta-binomial: from how far squares exceed the binomial variance."""
    binomial = mu * (1.0 - mu) / size
    excess = float((square - binomial).sum()) / float((mu * (1.0 - mu) * (1.0 - 1.0 / size)).sum() + NARROW)
    return 1.0 / min(max(excess, 0.01), 0.9) - 1.0


def fill_zeros(gamma: Array, rows: WorkingRows, family: Family) -> None:
    """The logit of an excess of zeros."""
    part = rows.part("zi")
    if part is None:
        return
    share = float((rows.y == 0.0).mean())
    if not family.density.startswith("truncated"):
        share *= EXCESS_SHARE
    fill_constant(gamma, rows, part, float(logit(min(max(share, 0.01), 0.99))))


def fill_constant(gamma: Array, rows: WorkingRows, part: Part, value: float) -> None:
    """Coefficients that make a part's predictor about `value` in each row."""
    assert part.fixed is not None
    predictor = RowPredictor(None, part.fixed.columns, np.arange(0, dtype=np.int32))
    gamma[part.places] = least_squares(predictor, np.full(len(rows.y), value))


def fill_thresholds(gamma: Array, rows: WorkingRows, family: Ordinal) -> None:
    """Thresholds that give each category its share."""
    K = rows.density.categories
    weights = None if rows.power is None else rows.power
    counts = np.bincount(rows.y.astype(np.int64), weights=weights, minlength=K) + 0.5
    below = np.cumsum(counts)[:-1] / counts.sum()
    J = threshold_map(K, family.thresholds)
    part = rows.part("threshold")
    assert part is not None
    gamma[part.places] = least_squares(
        RowPredictor(None, plain_columns(J), np.arange(0, dtype=np.int32)), family.link.link(below)
    )
