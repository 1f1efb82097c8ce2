"""The same bits on any number of threads, and many refits are the single ones."""

from __future__ import annotations

import numpy as np
import pytest

from gaussian_problems import FactorPlan, TermPlan, kernel_of, random_problem, some_theta
from multilevel.kernels.threads import use_threads

one, two = TermPlan(1), TermPlan(2)

# large enough that the work is split into several tasks
SHAPES = {
    "one factor": ([FactorPlan(1500, (two,))], 6000),
    "one factor, many columns": ([FactorPlan(300, (TermPlan(5, "diag"),))], 3000),
    "two crossed": ([FactorPlan(400, (one,)), FactorPlan(150, (two,))], 4000),
    "nested": ([FactorPlan(900, (one,)), FactorPlan(60, (two,), "nests")], 4000),
    "crossed within": (
        [FactorPlan(600, (one,)), FactorPlan(200, (one,), "within"), FactorPlan(100, (one,))],
        3000,
    ),
}


@pytest.fixture(params=SHAPES)
def problem(request):
    factors, n = SHAPES[request.param]
    return random_problem(factors, n=n, weighted=True, seed=3)


@pytest.fixture(autouse=True)
def threads_as_before():
    yield
    use_threads()


def everything(problem) -> list[np.ndarray]:
    kernel = kernel_of(problem)
    theta = some_theta(problem)
    solution = kernel.solution(theta)
    search = kernel.search(kernel.start(), reml=True, tolerance=1e-8, max_evaluations=50)
    return [
        *kernel.derivatives(theta, reml=True),
        kernel.start(),
        solution.beta,
        *solution.u,
        *kernel.inverse_blocks(theta, hold_fixed=False).own,
        search.theta,
        np.array([search.criterion, search.evaluations]),
    ]


def test_the_same_bits_on_any_number_of_threads(problem):
    use_threads(1)
    alone = everything(problem)
    for count in (2, 3):
        assert use_threads(count) == count
        for found, expected in zip(everything(problem), alone, strict=True):
            np.testing.assert_array_equal(found, expected)


REFITTED = {
    "one factor": [FactorPlan(30, (two,))],
    "two crossed": [FactorPlan(20, (one,)), FactorPlan(9, (two,))],
}


@pytest.fixture(params=REFITTED)
def refitted(request):
    """A model and other responses for it."""
    problem = random_problem(REFITTED[request.param], n=150, seed=4)
    return kernel_of(problem), problem.y[:, None] + np.random.default_rng(5).normal(size=(150, 21))


@pytest.mark.parametrize("reml", [False, True])
def test_many_refits_are_the_single_ones(refitted, reml):
    kernel, Y = refitted
    start, settings = kernel.start(), {"reml": reml, "tolerance": 1e-9, "max_evaluations": 200}
    many = kernel.refit_many(Y, start, **settings)
    for i in range(Y.shape[1]):
        kernel.set_response(np.ascontiguousarray(Y[:, i]), 0.0, 1.0)
        single = kernel.search(start, **settings)
        np.testing.assert_array_equal(many.theta[i], single.theta)
        assert many.criterion[i] == single.criterion
        assert many.converged[i] == single.converged
        np.testing.assert_allclose(many.beta[i], kernel.solution(single.theta).beta, rtol=1e-12)


def test_many_refits_are_the_same_bits_on_any_number_of_threads(refitted):
    kernel, Y = refitted
    found = []
    for count in (1, 3):
        use_threads(count)
        found.append(kernel.refit_many(Y, kernel.start(), reml=True, tolerance=1e-9, max_evaluations=200))
    np.testing.assert_array_equal(found[0].theta, found[1].theta)
    np.testing.assert_array_equal(found[0].criterion, found[1].criterion)


def test_refits_leave_the_model_as_it_was(refitted):
    kernel, Y = refitted
    before = kernel.derivatives(kernel.start(), reml=True)
    kernel.refit_many(Y, kernel.start(), reml=True, tolerance=1e-8, max_evaluations=50)
    for found, expected in zip(kernel.derivatives(kernel.start(), reml=True), before, strict=True):
        np.testing.assert_array_equal(found, expected)
