"""Constrained searches and samples of clusters at the border of the core: what agrees, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import multilevel as ml
from multilevel.estimation.lmm import WorkingModel, working_model
from multilevel.kernels.gaussian import Constraint, Held

SETTINGS = {"tolerance": 1e-10, "max_evaluations": 500}


@pytest.fixture(scope="module")
def model() -> WorkingModel:
    return working_model(ml.lmm("Reaction ~ Days + (Days | Subject)", ml.datasets.sleepstudy()).design)


def test_the_same_columns_give_the_same_fit(model: WorkingModel) -> None:
    kernel = model.kernel
    found = kernel.fit_with_tail(np.eye(3), kernel.start(), **SETTINGS)
    plain = kernel.search(kernel.start(), reml=False, **SETTINGS)
    assert found.criterion == pytest.approx(plain.criterion, rel=1e-14)
    np.testing.assert_allclose(found.beta, kernel.solution(plain.theta).beta, rtol=1e-8, atol=1e-12)


def test_each_cluster_once_is_the_model_itself(model: WorkingModel) -> None:
    kernel = model.kernel
    ones = np.ones((18, 2), dtype=np.int32)
    found = kernel.refit_cases(
        kernel.factors[0].codes, ones, np.full(2, 180.0), kernel.start()[:, None], reml=True, **SETTINGS
    )
    plain = kernel.search(kernel.start(), reml=True, **SETTINGS)
    np.testing.assert_allclose(found.searches.criterion, plain.criterion, rtol=1e-14)
    np.testing.assert_allclose(found.fixed_factors[1], kernel.solution(plain.theta).fixed_factor, rtol=1e-7)


def test_a_constraint_at_the_optimum_costs_nothing(model: WorkingModel) -> None:
    kernel = model.kernel
    optimum = kernel.search(kernel.start(), reml=False, **SETTINGS)
    T = kernel.term_factors(optimum.theta)[0]
    log_sigma = 0.5 * np.log(optimum.pwrss / 180.0)
    rho = T[0] @ T[1] / np.sqrt((T[0] @ T[0]) * (T[1] @ T[1]))
    held = [
        (Constraint(Held.residual, -1, np.zeros((1, 1))), log_sigma),
        (Constraint(Held.deviation, 0, np.eye(2)[:, [1]]), np.exp(log_sigma) * np.hypot(*T[1])),
        (Constraint(Held.correlation, 0, np.eye(2)), np.arccos(rho)),
    ]
    for constraint, coordinate in held:
        start = kernel.profile_start(constraint, optimum.theta, log_sigma)[:, None]
        point = kernel.profile_point(constraint, coordinate, start, np.zeros((0, 0)))
        assert point.converged
        assert point.deviance == pytest.approx(optimum.criterion, abs=1e-8)
        assert point.slope == pytest.approx(0.0, abs=1e-3)
        np.testing.assert_allclose(point.factors[0] @ point.factors[0].T, T @ T.T, atol=1e-4)


def test_a_start_that_cannot_be_evaluated_is_said_to_have_failed(model: WorkingModel) -> None:
    constraint = Constraint(Held.residual, -1, np.zeros((1, 1)))
    point = model.kernel.profile_point(constraint, 0.0, np.full((3, 1), np.nan), np.zeros((0, 0)))
    assert not point.converged
    assert np.isnan(point.deviance)


def test_wrong_sizes_are_refused(model: WorkingModel) -> None:
    kernel = model.kernel
    start = kernel.start()
    with pytest.raises(ValueError, match="no such term"):
        kernel.profile_start(Constraint(Held.deviation, 1, np.ones((2, 1))), start, 0.0)
    with pytest.raises(ValueError, match="one entry a column"):
        kernel.profile_start(Constraint(Held.deviation, 0, np.ones((3, 1))), start, 0.0)
    with pytest.raises(ValueError, match="one direction"):
        kernel.profile_start(Constraint(Held.correlation, 0, np.ones((2, 1))), start, 0.0)
    with pytest.raises(ValueError, match="a parameter"):
        kernel.profile_point(
            Constraint(Held.residual, -1, np.zeros((1, 1))), 0.0, np.ones((2, 1)), np.zeros((0, 0))
        )
    with pytest.raises(ValueError, match="row each"):
        kernel.fit_with_tail(np.eye(2), start, **SETTINGS)
    codes = kernel.factors[0].codes
    for times, n_obs, message in [
        (np.ones((17, 1)), np.ones(1), "out of range"),
        (np.ones((18, 2)), np.ones(1), "one number of observations"),
        (-np.ones((18, 1)), np.ones(1), "not negative"),
    ]:
        with pytest.raises(ValueError, match=message):
            kernel.refit_cases(codes, times.astype(np.int32), n_obs, start[:, None], reml=True, **SETTINGS)
