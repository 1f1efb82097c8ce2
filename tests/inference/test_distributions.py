"""Distribution functions add up the core's densities."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from multilevel.errors import ModelError
from multilevel.inference.distributions import cumulative, cumulative_below
from multilevel.inference.response_moments import moments
from multilevel.kernels.density import DensityCode, log_density

COUNTS = {
    "poisson": (1.0,),
    "nbinom2": (1.0, 0.2),
    "nbinom1": (1.0, 0.2),
    "truncated_poisson": (1.0,),
    "truncated_nbinom2": (1.0, 0.2),
    "truncated_nbinom1": (1.0, 0.2),
}
MEASUREMENTS = {
    "gaussian": ("identity", (0.4, 0.2)),
    "student": ("identity", (0.4, 0.2, 1.0)),
    "gamma": ("log", (0.4, -0.7)),
    "inverse_gaussian": ("log", (0.4, -0.7)),
    "beta": ("logit", (0.4, 1.7)),
}


def repeated(row: tuple[float, ...], n: int) -> np.ndarray:
    return np.repeat(np.array(row)[:, None], n, axis=1)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("family", COUNTS)
def test_counts_add_up(family: str, zeros: bool) -> None:
    density = DensityCode(family, "log", extra_zeros=zeros)
    y = np.arange(400.0)
    predictors = repeated((*COUNTS[family], *((-0.4,) if zeros else ())), len(y))
    probability = np.exp(log_density(density, y, None, None, predictors)[0])
    assert cumulative(density, y, predictors, None) == pytest.approx(np.cumsum(probability), abs=1e-13)
    assert cumulative_below(density, y, predictors, None)[1:] == pytest.approx(
        np.cumsum(probability)[:-1], abs=1e-13
    )
    assert probability.sum() == pytest.approx(1.0, abs=1e-13)
    both = moments(density, predictors, None)
    assert both.mean[0] == pytest.approx(probability @ y, rel=1e-11)
    assert both.variance[0] == pytest.approx(probability @ (y - both.mean[0]) ** 2, rel=1e-11)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(("family", "row"), [("binomial", (0.4,)), ("beta_binomial", (0.4, 0.9))])
def test_successes_add_up(family: str, row: tuple[float, ...], zeros: bool) -> None:
    density = DensityCode(family, "cloglog", extra_zeros=zeros)
    y, trials = np.arange(13.0), np.full(13, 12.0)
    predictors = repeated((*row, *((-0.4,) if zeros else ())), len(y))
    probability = np.exp(log_density(density, y, trials, None, predictors)[0])
    assert cumulative(density, y, predictors, trials) == pytest.approx(np.cumsum(probability), abs=1e-14)
    assert probability.sum() == pytest.approx(1.0, abs=1e-14)
    both = moments(density, predictors, trials)
    assert both.mean[0] == pytest.approx(probability @ y, rel=1e-12)
    assert both.variance[0] == pytest.approx(probability @ (y - both.mean[0]) ** 2, rel=1e-12)


@pytest.mark.parametrize("family", MEASUREMENTS)
def test_densities_integrate_to_the_distribution_function(family: str) -> None:
    link, row = MEASUREMENTS[family]
    density = DensityCode(family, link)
    start = -np.inf if family in ("gaussian", "student") else 0.0
    point = repeated(row, 1)

    def f(y: float) -> float:
        return float(np.exp(log_density(density, np.array([y]), None, None, point)[0, 0]))

    for y in (0.2, 0.7):
        area = quad(f, start, y, epsabs=1e-11, epsrel=1e-11)[0]
        assert cumulative(density, np.array([y]), point, None)[0] == pytest.approx(area, abs=1e-9)


@pytest.mark.parametrize("shape", [-2.0, 0.0, 1.5])
def test_tweedie_integrates_to_its_distribution_function(shape: float) -> None:
    density, point = DensityCode("tweedie", "log"), np.array([[0.5], [-0.2], [shape]])
    grid, weights = np.polynomial.legendre.leggauss(200)
    none = np.exp(log_density(density, np.zeros(1), None, None, point)[0, 0])
    assert cumulative(density, np.zeros(1), point, None)[0] == pytest.approx(none, rel=1e-13)
    assert cumulative_below(density, np.zeros(1), point, None)[0] == 0.0
    lower, upper = np.array([0.3]), np.array([9.0])
    y = lower + (upper - lower) * (grid + 1.0) / 2.0
    inside = np.exp(log_density(density, y, None, None, np.repeat(point, 200, axis=1))[0])
    area = float(weights @ inside) * (upper - lower)[0] / 2.0
    rise = cumulative(density, upper, point, None) - cumulative(density, lower, point, None)
    assert rise[0] == pytest.approx(area, rel=1e-10)


def test_against_scipy() -> None:
    y, predictors = np.array([0.0, 3.0, 40.0]), np.array([[1.0, 2.0, 3.0], [0.3, 14.0, 30.0]])
    mu, size = np.exp(predictors)
    got = cumulative(DensityCode("nbinom2", "log"), y, predictors, None)
    assert got[:2] == pytest.approx(stats.nbinom.cdf(y, size, size / (size + mu))[:2], rel=1e-9)
    assert got[2] == pytest.approx(stats.poisson.cdf(40.0, mu[2]), rel=1e-9)  # no dispersion is left
    got = cumulative(DensityCode("student", "identity"), y, np.vstack([predictors, np.ones(3)]), None)
    assert got == pytest.approx(stats.t.cdf(y, np.e, predictors[0], np.sqrt(size)), rel=1e-12)


def test_below_and_beyond_the_support() -> None:
    two = np.array([-1.0, 1e9])
    for family, row in COUNTS.items():
        got = cumulative(DensityCode(family, "log"), two, repeated(row, 2), None)
        assert got == pytest.approx([0.0, 1.0], abs=1e-12)
    binomial = DensityCode("binomial", "logit")
    assert cumulative(binomial, np.array([-1.0, 4.0]), np.zeros((1, 2)), np.full(2, 4.0)).tolist() == [
        0.0,
        1.0,
    ]


def test_ordered_categories_have_no_moments() -> None:
    with pytest.raises(ModelError, match="no mean"):
        moments(DensityCode("ordinal", "logit", categories=3), np.zeros((3, 1)), None)


def test_a_heavy_tail_has_no_variance() -> None:
    density = DensityCode("student", "identity")
    assert moments(density, np.array([[0.0], [0.0], [0.5]]), None).variance[0] == np.inf
