"""Between which limits does a new response lie? Quantiles of its distribution, estimates being uncertain.

The linear predictor is nearly normal about its estimate, and given it the response has the distribution of
the family, its dispersion taken as known: the distribution function of a new response is the average of the
family's over that normal variable. Limits are its quantiles, the least values up to which it has the shares
wanted, so that of counts no less than the level lies between them. Those of a Tweedie variable are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.fitted.glm import GLMRecord
from multilevel.inference.distributions import CONTINUOUS, cumulative
from multilevel.kernels.density import DensityCode
from multilevel.simulation.families import draw
from multilevel.simulation.glmm import density_of, shape_predictor

NODES, NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
DRAWS = 4000  # of a Tweedie response
MOST_HALVINGS = 50
MOST_DOUBLINGS = 200
Distribution = Callable[[Array], Array]  # values (k,) -> P(Y <= y) of each row


def prediction_limits(
    model: GLMMDesign,
    record: GLMRecord,
    eta: Array,
    sd: Array,
    trials: Array | None,
    weights: Array | None,
    level: float,
) -> tuple[Array, Array]:
    """Limits (k,) of a new response of each row; of a share where there are trials."""
    density, predictors = density_of(model, record), predictors_at(record, eta, weights)
    tails = 0.5 * (1.0 - level), 0.5 * (1.0 + level)
    if density.family == "tweedie":  # whose distribution function is a sum without a bound
        low, high = simulated_quantiles(density, predictors, sd, tails)
        return low, high
    distribution = averaged(density, predictors, sd, trials)
    find = continuous_quantile if density.family in CONTINUOUS else whole_quantile
    low, high = (find(distribution, record, eta, share) for share in tails)
    return (low, high) if trials is None else (low / trials, high / trials)


def simulated_quantiles(density: DensityCode, predictors: Array, sd: Array, shares: Sequence[float]) -> Array:
    """Quantiles (shares, k) of responses drawn with linear predictors drawn, always the same ones."""
    rng = np.random.default_rng(0)
    drawn = np.empty((DRAWS, predictors.shape[1]))
    for row in drawn:
        moved = np.vstack([predictors[:1] + sd * rng.standard_normal(len(sd)), predictors[1:]])
        row[:] = draw(density, moved, None, rng)
    return np.asarray(np.quantile(drawn, shares, axis=0, method="inverted_cdf"))


def category_probabilities(model: GLMMDesign, record: GLMRecord, eta: Array) -> Array:
    """Probabilities (k, C) of ordered categories at linear predictors (k,)."""
    cuts = record.thresholds[:, None] - eta
    ends = np.zeros((1, len(eta)))
    below = np.vstack([ends, record.family.link.inverse(cuts), ends + 1.0])
    assert len(below) == len(model.categories) + 1
    return np.asarray(np.diff(below, axis=0).T)


def predictors_at(record: GLMRecord, eta: Array, weights: Array | None) -> Array:
    """Predictors (K, k) in the order of the core: the dispersion over weights where these divide it."""
    rows = [eta]
    if record.dispersion is not None:
        phi = record.scale if record.free_scale else float(record.dispersion[0])
        divided = weights is not None and record.family.weights_divide_dispersion
        rows.append(np.log(phi / weights if divided and weights is not None else np.full_like(eta, phi)))
    if record.shape is not None:
        rows.append(np.full_like(eta, shape_predictor(record, record.shape)))
    return np.array(rows)


def averaged(density: DensityCode, predictors: Array, sd: Array, trials: Array | None) -> Distribution:
    """The distribution function of each row, averaged over the error of its linear predictor."""
    weights = NODE_WEIGHTS / NODE_WEIGHTS.sum()

    def below(y: Array) -> Array:
        total = np.zeros(len(y))
        for node, weight in zip(NODES, weights, strict=True):
            moved = np.vstack([predictors[:1] + node * sd, predictors[1:]])
            total += weight * cumulative(density, y, moved, trials)
        return total

    return below


def whole_quantile(
    distribution: Distribution,
    record: GLMRecord,  # noqa: ARG001
    eta: Array,
    share: float,
) -> Array:
    """The least whole number up to which a row has the share."""
    high = np.zeros(len(eta))
    for _ in range(MOST_DOUBLINGS):
        short = distribution(high) < share
        if not short.any():
            break
        high = np.where(short, 2.0 * high + 1.0, high)
    low = np.full(len(eta), -1.0)
    while ((high - low) > 1.0).any():
        middle = np.floor(0.5 * (low + high))
        enough = distribution(middle) >= share
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


def continuous_quantile(distribution: Distribution, record: GLMRecord, eta: Array, share: float) -> Array:
    """The value up to which a row has the share, by halving; zero where a zero alone has as much."""
    mean, bounded = record.family.link.inverse(eta), record.family.density not in ("gaussian", "student")
    unit = np.maximum(np.abs(mean), 1.0)
    low = np.zeros_like(mean) if bounded else mean - unit
    high = np.ones_like(mean) if record.family.density == "beta" else mean + unit
    at_zero = distribution(low) >= share if bounded else np.zeros(len(eta), dtype=np.bool_)
    for _ in range(MOST_DOUBLINGS):
        down = np.zeros(len(eta), dtype=np.bool_) if bounded else distribution(low) > share
        up = distribution(high) < share
        if not (down | up).any():
            break
        low, high = np.where(down, mean - 2.0 * (mean - low), low), np.where(up, 2.0 * high - mean, high)
    for _ in range(MOST_HALVINGS):
        middle = 0.5 * (low + high)
        enough = distribution(middle) >= share
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(at_zero, 0.0, 0.5 * (low + high))
