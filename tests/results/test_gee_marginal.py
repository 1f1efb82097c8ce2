"""Population-averaged coefficients two ways: by estimating equations, and from a mixed model."""

from __future__ import annotations

import numpy as np
import pytest

import multilevel as ml

SD = 2.0  # of the random intercepts
TRUTH = {"Intercept": -0.5, "x": 1.0, "t": -0.6}  # within a group


@pytest.fixture(scope="module")
def fits():
    rng = np.random.default_rng(4)
    K, m = 1000, 6
    g, x, t = np.repeat(np.arange(K), m), rng.normal(size=K * m), np.tile(np.arange(m) / 3.0, K)
    eta = TRUTH["Intercept"] + TRUTH["x"] * x + TRUTH["t"] * t + SD * rng.normal(size=K)[g]
    data = {"y": (rng.random(K * m) < 1.0 / (1.0 + np.exp(-eta))).astype(float), "x": x, "t": t, "g": g}
    gee = ml.gee("y ~ x + t", data, groups="g", family="binomial", corr="exchangeable")
    return gee, ml.glmm("y ~ x + t + (1 | g)", data, family="binomial", nagq=15)


def test_both_ways_agree(fits):
    gee, glmm = fits
    marginal = np.asarray(glmm.marginal()["estimate"])
    # of the same data: what is between them is far less than what either knows
    assert (np.abs(gee.fixef - marginal) < 0.5 * gee.se).all()


def test_coefficients_are_attenuated_as_the_formula_says(fits):
    gee, _ = fits
    c = 16.0 * np.sqrt(3.0) / (15.0 * np.pi)
    expected = np.array(list(TRUTH.values())) / np.sqrt(1.0 + (c * SD) ** 2)
    # the formula is an approximation, off by some 3% at this variance
    assert (np.abs(gee.fixef - expected) < 4.0 * gee.se + 0.03 * np.abs(expected)).all()
    within = np.array([TRUTH["x"], TRUTH["t"]])
    assert (np.abs(gee.fixef[1:] - within) > 4.0 * gee.se[1:]).all()
