"""Design effects against the variance of least squares under exchangeable correlation, by matrices."""

from __future__ import annotations

import numpy as np
import pytest

import multilevel as ml
from multilevel.clusters.moulton import icc_given, inflation, predictor_icc, weighted_size
from multilevel.clusters.one_way import group_moments

SIZES = np.array([1, 2, 4, 7, 9])
CODES = np.repeat(np.arange(5, dtype=np.int32), SIZES)
SAME = CODES[:, None] == CODES
RNG = np.random.default_rng(2)
PREDICTORS = {
    "varies": RNG.standard_normal(23),
    "varies between too": RNG.standard_normal(23) + CODES,
    "constant within": 1.0 * (CODES % 2),
    "far from zero": 1e8 + RNG.standard_normal(23),
}


def correlation(rho: float) -> np.ndarray:
    return (1.0 - rho) * np.eye(len(CODES)) + rho * SAME


@pytest.mark.parametrize("name", PREDICTORS)
@pytest.mark.parametrize("rho", [0.3, -0.05])
def test_the_slope_of_least_squares_has_moultons_variance(name: str, rho: float) -> None:
    x = PREDICTORS[name] - PREDICTORS[name].mean()
    truth = x @ correlation(rho) @ x / (x @ x)  # of sigma^2 / x'x
    own = predictor_icc(group_moments(PREDICTORS[name], CODES))
    found = inflation(weighted_size(SIZES * 1.0), np.array([rho]), np.array([own]))
    # the mean of x is known to 1e-8 of its standard deviation where x lies at 1e8
    assert found.deff[0] == pytest.approx(truth, rel=1e-7)
    assert found.se_ratio[0] == pytest.approx(np.sqrt(truth), rel=1e-7)


def test_the_mean_has_kishs_variance() -> None:
    ones = np.ones(len(CODES))
    truth = ones @ correlation(0.3) @ ones / len(CODES)
    assert inflation(weighted_size(SIZES * 1.0), np.array([0.3]), np.ones(1)).deff[0] == pytest.approx(truth)


def test_what_is_balanced_within_groups_has_the_least_icc() -> None:
    codes, x = np.repeat(np.arange(6, dtype=np.int32), 10), np.tile(np.arange(10.0), 6)
    assert predictor_icc(group_moments(x, codes)) == pytest.approx(-1.0 / 9.0)


@pytest.mark.parametrize("name", PREDICTORS)
def test_mean_squares_given_a_predictor_have_their_expectations(name: str) -> None:
    """With y's covariance put in the place of y y', the estimator is exact for either component alone."""
    x = PREDICTORS[name] - PREDICTORS[name].mean()
    X = np.column_stack([np.ones(len(x)), x])
    Z = (CODES[:, None] == np.arange(5)) * 1.0
    reduced, full = (np.eye(len(x)) - A @ np.linalg.pinv(A) for A in (X, np.hstack([X, Z])))
    between, within = reduced - full, full
    r, f = np.trace(between), np.trace(within)
    n0 = np.trace(Z.T @ between @ Z) / r
    y = np.random.default_rng(5).standard_normal(len(x)) + Z @ np.array([1.0, -1.0, 0.0, 2.0, 0.5])
    msb, msw = y @ between @ y / r, y @ within @ y / f
    found = icc_given(y, PREDICTORS[name], CODES, None)
    assert found == pytest.approx((msb - msw) / (msb + (n0 - 1.0) * msw), rel=1e-6)


@pytest.mark.parametrize(
    ("data", "y", "x", "groups"),
    [
        (ml.datasets.sleepstudy(), "Reaction", "Days", "Subject"),
        (ml.datasets.course_demo_10x30(), "y", "treatment", "school"),
    ],
)
def test_in_balanced_data_it_is_that_of_reml(data: object, y: str, x: str, groups: str) -> None:
    reml = ml.lmm(f"{y} ~ {x} + (1 | {groups})", data).icc()["icc"][0]
    table = ml.design_effect(data, y, groups=groups, x=x)
    assert table["icc"][1] == pytest.approx(reml, rel=1e-6)  # where the search for REML's stopped


def test_too_little_left_gives_no_number() -> None:
    codes = np.array([0, 0, 1, 1], dtype=np.int32)
    y, x = np.array([1.0, 2.0, 3.0, 5.0]), np.array([0.0, 0.0, 1.0, 1.0])
    assert np.isnan(icc_given(y, x, codes, None))
    assert np.isnan(icc_given(y, y, codes, None))
