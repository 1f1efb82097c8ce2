"""The search of a marginal likelihood: from anywhere, onto boundaries, and the same over threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dense_laplace import Array, Crossed, crossed_problem, dense_laplace
from multilevel.kernels.marginal import MarginalKernel, MarginalOutcome
from multilevel.kernels.threads import use_threads


def anywhere(model: Crossed, seed: int = 1, size: float = 0.2) -> Array:
    """Parameters near nothing in particular; thresholds in order."""
    rng = np.random.default_rng(seed)
    gamma = rng.normal(0.0, size, model.n_coefficients)
    if model.density.family == "ordinal":
        gamma[2:] = [-1.0, 0.4, 1.3]
    return np.concatenate([np.full(model.n_theta, 0.7), gamma])


def searched(kernel: MarginalKernel, start: Array, most: int = 400) -> MarginalOutcome:
    return kernel.search(start, tolerance=1e-10, max_evaluations=most)


MODELS = {
    "cloglog": crossed_problem("binomial", "cloglog", seed=6),
    "counts with slopes": crossed_problem("poisson", "log", widths=(2, 1), seed=7),
    "gamma": crossed_problem("gamma", "log", seed=8),
    "three factors": crossed_problem("poisson", "log", levels=(12, 6, 4), widths=(1, 1, 1), seed=9),
    "a dense remainder": crossed_problem("poisson", "log", levels=(70, 60), seed=10),
}


@pytest.mark.parametrize("name", MODELS)
def test_no_point_nearby_is_better_for_the_twin(name):
    model = MODELS[name]
    found = searched(model.kernel(), anywhere(model))
    assert found.converged
    best = dense_laplace(model, found.psi).criterion
    assert found.criterion == pytest.approx(best, rel=1e-10)
    rng = np.random.default_rng(1)
    for _ in range(8):
        near = found.psi + 0.02 * rng.normal(size=len(found.psi))
        assert dense_laplace(model, near).criterion > best


@pytest.mark.parametrize("name", MODELS)
def test_a_start_far_off_ends_in_the_same_place(name):
    model = MODELS[name]
    best = searched(model.kernel(), anywhere(model))
    for seed, theta in ((2, 0.05), (3, 3.0)):
        start = anywhere(model, seed, size=0.8)
        start[: model.n_theta] = theta
        again = searched(model.kernel(), start)
        assert again.converged
        assert again.criterion == pytest.approx(best.criterion, abs=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_searches_and_hessians_are_bit_equal_over_threads(name):
    model = MODELS[name]
    outcomes, hessians = [], []
    for threads in (1, 2):
        use_threads(threads)
        kernel = model.kernel()
        outcomes.append(searched(kernel, anywhere(model)))
        hessians.append(kernel.hessian(outcomes[-1].psi))
    use_threads()
    np.testing.assert_array_equal(outcomes[0].psi, outcomes[1].psi)
    assert outcomes[0].criterion == outcomes[1].criterion
    assert outcomes[0].evaluations == outcomes[1].evaluations
    np.testing.assert_array_equal(hessians[0], hessians[1])


def test_the_hessian_of_many_rows_is_that_of_gradients_and_the_same_over_threads():
    """Each gradient then has a model of its own, and a thread."""
    model = crossed_problem("poisson", "log", widths=(2, 1), levels=(120, 15), rows=3000, seed=11)
    psi, hessians = anywhere(model), []
    for threads in (1, 2, 3):
        use_threads(threads)
        kernel = model.kernel()
        hessians.append(kernel.hessian(psi))
        np.testing.assert_array_equal(hessians[-1], hessians[0])
        # the model stands where it stood
        np.testing.assert_allclose(kernel.modes(psi)[0][0], model.kernel().modes(psi)[0][0], atol=1e-9)
    use_threads()
    h = 1e-3  # rounding of the gradients over h, and h^2, are both below 1e-5 of the largest entry
    for j, step in enumerate(h * np.eye(len(psi))):
        column = (kernel.derivatives(psi + step)[1] - kernel.derivatives(psi - step)[1]) / (2.0 * h)
        np.testing.assert_allclose(hessians[0][:, j], column, atol=1e-5 * np.abs(hessians[0]).max())


def test_replicates_are_bit_equal_over_threads():
    model = MODELS["three factors"]
    Y = np.random.default_rng(3).poisson(2.0, (len(model.y), 6)).astype(float)
    results = []
    for threads in (1, 2):
        use_threads(threads)
        results.append(model.kernel().refit_many(Y, anywhere(model), tolerance=1e-10, max_evaluations=400))
    use_threads()
    np.testing.assert_array_equal(results[0].psi, results[1].psi)
    np.testing.assert_array_equal(results[0].criterion, results[1].criterion)


def test_a_singular_covariance_is_reached_and_counted():
    """Slopes that repeat the intercepts: the covariance has one direction and no more."""
    rng = np.random.default_rng(4)
    model = crossed_problem("poisson", "log", widths=(2, 1), levels=(30, 5), seed=4)
    Z, u = model.columns[0], rng.normal(0.0, 0.5, 30)
    eta = 0.5 + u[model.codes[0]] * (Z[:, 0] + Z[:, 1])
    model = replace(model, y=rng.poisson(np.exp(np.clip(eta, -4.0, 4.0))).astype(float))
    kernel = model.kernel()
    found = searched(kernel, anywhere(model))
    assert found.converged
    T = kernel.term_factors(found.psi)
    assert found.rank[0] == 1
    assert found.rank == tuple(np.linalg.matrix_rank(each, tol=1e-12) for each in T)
    assert found.criterion <= searched(kernel, anywhere(model, 5)).criterion + 1e-6


def test_a_search_out_of_evaluations_says_so():
    model = MODELS["counts with slopes"]
    found = searched(model.kernel(), anywhere(model), most=2)
    assert not found.converged
    assert np.isfinite(found.criterion)


def test_parameters_held_fixed_have_no_curvature():
    model = MODELS["cloglog"]
    kernel, psi = model.kernel(), anywhere(model)
    free = np.ones(len(psi), dtype=bool)
    free[1] = False
    H, whole = kernel.hessian(psi, free), kernel.hessian(psi)
    assert not H[1].any()
    assert not H[:, 1].any()
    np.testing.assert_allclose(H[np.ix_(free, free)], whole[np.ix_(free, free)], rtol=1e-6, atol=1e-5)


def test_where_the_kernel_was_before_does_not_matter():
    model = MODELS["three factors"]
    fresh = searched(model.kernel(), anywhere(model))
    kernel = model.kernel()
    kernel.value(anywhere(model, 9, size=2.0))
    again = searched(kernel, anywhere(model))
    assert again.criterion == pytest.approx(fresh.criterion, abs=1e-8)
