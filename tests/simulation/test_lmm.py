"""Simulated responses have the moments of the model, and streams that do not depend on how many are drawn."""

import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import DataError


@pytest.fixture(scope="module")
def slopes(sleepstudy):
    return ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleepstudy)


def test_the_same_seed_gives_the_same_draws(slopes):
    np.testing.assert_array_equal(slopes.simulate(3, seed=7), slopes.simulate(3, seed=7))
    assert (slopes.simulate(1, seed=7) != slopes.simulate(1, seed=8)).all()


def test_each_replicate_has_a_stream_of_its_own(slopes):
    np.testing.assert_array_equal(slopes.simulate(5, seed=7)[:, :2], slopes.simulate(2, seed=7))


def test_new_effects_have_the_marginal_moments(slopes):
    draws = slopes.simulate(4000, seed=1)
    rows = np.flatnonzero(slopes.design.groupings[0].codes == 0)
    V = slopes.marginal_cov("308")
    mean_error = np.abs(draws.mean(axis=1) - slopes.record.fitted_fixed)[rows] / np.sqrt(np.diag(V) / 4000)
    assert mean_error.max() < 5
    spread = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / 4000)  # of a covariance of normals
    assert (np.abs(np.cov(draws[rows]) - V) / spread).max() < 5


def test_groups_are_independent(slopes):
    draws = slopes.simulate(2000, seed=2)
    assert abs(np.corrcoef(draws[9], draws[19])[0, 1]) < 5 / np.sqrt(2000)


def test_kept_effects_vary_by_the_residual_only(slopes):
    draws = slopes.simulate(3000, seed=3, re="keep")
    errors = draws - slopes.fitted[:, None]
    assert errors.std() == pytest.approx(slopes.sigma, rel=0.01)
    assert abs(np.corrcoef(errors[0], errors[1])[0, 1]) < 5 / np.sqrt(3000)


def test_weights_scale_the_residual(sleepstudy):
    w = np.where(np.arange(180) % 2 == 0, 4.0, 1.0)
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", sleepstudy, weights=w)
    errors = fit.simulate(500, seed=4, re="keep") - fit.fitted[:, None]
    assert errors[w == 4.0].std() == pytest.approx(fit.sigma / 2, rel=0.02)


def test_other_effects_are_refused(slopes):
    with pytest.raises(DataError, match="'keep'"):
        slopes.simulate(1, re="old")


def test_a_model_without_residual_draws_its_effects():
    data = {"t": np.tile(list("abc"), 40), "g": np.repeat(np.arange(40), 3)}
    data["y"] = (
        10.0 + np.random.default_rng(1).standard_normal(40)[data["g"]] + np.tile([0.3, -0.1, -0.2], 40)
    )
    data["y"] = data["y"] + 0.5 * np.random.default_rng(2).standard_normal(120)
    fit = ml.lmm("y ~ 1 + ar1(0 + t | g)", data, residual="none")
    draws = fit.simulate(2000, seed=1)
    V = fit.marginal_cov("0")
    spread = np.sqrt((np.outer(np.diag(V), np.diag(V)) + V**2) / 2000)
    assert (np.abs(np.cov(draws[:3]) - V) / spread).max() < 5
