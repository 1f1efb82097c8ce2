"""The compiled mixed model against its plain NumPy twins, on every shape that it eliminates differently."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gaussian_problems import (
    Dense,
    FactorPlan,
    Problem,
    TermPlan,
    kernel_of,
    random_problem,
    some_theta,
)
from multilevel.kernels import reference
from multilevel.kernels.gaussian import GaussianKernel
from multilevel.kernels.threads import SMALLEST_LARGE_TAIL

one, two, three = TermPlan(1), TermPlan(2), TermPlan(3)

SHAPES = {
    "one factor": ([FactorPlan(12, (one,))], 60),
    "one factor, three columns": ([FactorPlan(12, (three,))], 80),
    "one factor, several terms": ([FactorPlan(12, (one, two, TermPlan(3, "diag")))], 90),
    "one factor, seven columns": ([FactorPlan(9, (TermPlan(7, "diag", hom=True),))], 90),
    "cs and ar1": ([FactorPlan(12, (TermPlan(3, "cs"), TermPlan(4, "ar1", hom=True)))], 90),
    "cs and ar1, otherwise": ([FactorPlan(12, (TermPlan(3, "cs", hom=True), TermPlan(4, "ar1")))], 90),
    "one level a row": ([FactorPlan(60, (one,))], 60),
    "two crossed": ([FactorPlan(30, (two,)), FactorPlan(7, (one,))], 120),
    "as many levels": ([FactorPlan(25, (one,)), FactorPlan(25, (two,))], 120),
    "structures crossed": ([FactorPlan(12, (TermPlan(3, "cs"),)), FactorPlan(5, (TermPlan(4, "ar1"),))], 90),
    "three crossed": ([FactorPlan(40, (two,)), FactorPlan(30, (one,)), FactorPlan(6, (two,))], 150),
    "four crossed": ([FactorPlan(J, (one,)) for J in (20, 9, 8, 3)], 90),
    "a large dense remainder": ([FactorPlan(70, (one,)), FactorPlan(60, (one,)), FactorPlan(8, (one,))], 600),
    "half of all pairs": ([FactorPlan(60, (one,)), FactorPlan(50, (one,))], 1800),
    "half of all pairs, with slopes": ([FactorPlan(30, (two,)), FactorPlan(26, (two,))], 600),
    "sparsely crossed": ([FactorPlan(70, (one,)), FactorPlan(60, (one,)), FactorPlan(8, (one,))], 120),
    "each level meets all others": (
        [FactorPlan(17, (three,)), FactorPlan(5, (one, TermPlan(9, "diag")))],
        800,
    ),
    "some levels meet all others": (
        [FactorPlan(17, (three,)), FactorPlan(5, (one, TermPlan(9, "diag")))],
        250,
    ),
    "nested": ([FactorPlan(30, (two,)), FactorPlan(6, (one, one), "nests")], 120),
    "nested thrice": (
        [FactorPlan(48, (one,)), FactorPlan(24, (two,), "nests"), FactorPlan(6, (one,), "nests")],
        150,
    ),
    "nested, and a third crossed": (
        [FactorPlan(90, (one,)), FactorPlan(45, (two,), "nests"), FactorPlan(4, (one,))],
        180,
    ),
    "crossed within": (
        [FactorPlan(90, (two,)), FactorPlan(36, (one,), "within"), FactorPlan(18, (two,))],
        240,
    ),
}


def shaped_problem(shape: str, **options) -> Problem:
    factors, n = SHAPES[shape]
    return random_problem(factors, n=n, seed=list(SHAPES).index(shape), **options)


def without_some(theta: np.ndarray, problem: Problem) -> np.ndarray:
    """Every other parameter exactly zero: singular covariances, whole terms absent.

    Not those of cs and ar1, whose size counts: there the criterion has a kink at zero, and no slope.
    """
    smooth = np.concatenate(
        [
            np.full(term.n_parameters, term.structure in {"us", "diag"})
            for terms in problem.terms
            for term in terms
        ]
    )
    return np.where((np.arange(len(theta)) % 2 == 0) & smooth, 0.0, theta)


@pytest.fixture(scope="module", params=[{"p": 0}, {"p": 2, "weighted": True}], ids=["no X", "weights"])
def options(request) -> dict[str, object]:
    return request.param


@pytest.fixture(scope="module", params=SHAPES)
def problem(request, options) -> Problem:
    return shaped_problem(request.param, **options)


@pytest.fixture(scope="module")
def kernel(problem) -> GaussianKernel:
    return kernel_of(problem)


@pytest.fixture(
    scope="module",
    params=[(False, False), (True, False), (True, True)],
    ids=["ML", "REML", "REML, zeros in theta"],
)
def dense(request, problem) -> Dense:
    reml, zeros = request.param
    theta = some_theta(problem)
    return Dense(problem, without_some(theta, problem) if zeros else theta, reml)


def test_shapes_meet_every_way_of_elimination():
    ways = set()
    for shape in SHAPES:
        problem = shaped_problem(shape)
        kernel = kernel_of(problem)
        nodes_one_by_one = kernel._native.elimination()[0]
        remainder = kernel.tail_size > problem.X.shape[1] + 1
        ways.add((nodes_one_by_one > problem.n_levels[0], remainder, kernel.tail_size >= SMALLEST_LARGE_TAIL))
    assert ways >= {
        (False, False, False),  # one factor
        (False, True, False),  # a dense remainder, small
        (False, True, True),  # a dense remainder, given to BLAS
        (True, True, False),  # a sparse remainder, then a dense one
    }


def assert_close(actual, expected, digits: float = 1e-9) -> None:
    """Equal relative to the largest entry: dense inverses of a few hundred rows keep about ten digits."""
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=digits * scale)


class TestAgainstTwins:
    def test_criterion(self, kernel, dense):
        assert_close(kernel.criterion(dense.theta, reml=dense.reml), dense.criterion(), 1e-11)

    def test_gradient(self, kernel, dense):
        value, gradient, _ = kernel.derivatives(dense.theta, reml=dense.reml)
        assert_close(value, dense.criterion(), 1e-11)
        assert_close(gradient, dense.gradient(), 1e-8)  # A is differenced with a step of 1e-5

    def test_gradient_is_the_slope_of_the_criterion(self, kernel, dense):
        gradient = kernel.derivatives(dense.theta, reml=dense.reml)[1]
        numerical = [
            (kernel.criterion(up, reml=dense.reml) - kernel.criterion(down, reml=dense.reml)) / 2e-6
            for up, down in dense.around(1e-6)
        ]
        assert_close(gradient, numerical, 1e-6)  # seven digits are left of a criterion near 500

    def test_average_information(self, kernel, dense):
        information = kernel.derivatives(dense.theta, reml=dense.reml)[2]
        assert_close(information, dense.average_information(), 1e-7)
        np.testing.assert_allclose(information, information.T, rtol=1e-10, atol=1e-10)

    def test_term_factors(self, kernel, dense):
        found = kernel.term_factors(dense.theta)
        terms = [term for terms in dense.problem.terms for term in terms]
        at = 0
        for term, T in zip(terms, found, strict=True):
            part = dense.theta[at : at + term.n_parameters]
            at += term.n_parameters
            assert_close(T, reference.term_factor(term.structure, term.hom, term.width, part), 1e-13)

    def test_solution(self, kernel, dense):
        solution = kernel.solution(dense.theta)
        lower = np.linalg.cholesky(dense.A)
        q, p = dense.q, dense.p
        estimates = np.linalg.solve(lower[:-1, :-1].T, lower[-1, :-1])
        assert_close(solution.beta, estimates[q:])
        for u, expected in zip(solution.u, dense.by_level(estimates[:q]), strict=True):
            assert_close(u, expected)
        assert_close(solution.pwrss, lower[-1, -1] ** 2)
        assert_close(solution.log_det_random, 2.0 * np.log(np.diag(lower)[:q]).sum())
        assert_close(solution.log_det_fixed, 2.0 * np.log(np.diag(lower)[q : q + p]).sum())
        assert_close(solution.fixed_factor, lower[q : q + p, q : q + p])

    @pytest.mark.parametrize("hold_fixed", [False, True])
    def test_inverse_blocks(self, kernel, dense, hold_fixed):
        blocks = kernel.inverse_blocks(dense.theta, hold_fixed=hold_fixed)
        q = dense.q
        kept = q if hold_fixed else q + dense.p
        inverse = np.linalg.inv(dense.A[:kept, :kept])
        own = dense.by_level(inverse[:q, :q])
        for k, (found, rows) in enumerate(zip(blocks.own, own, strict=True)):
            J, Q = found.shape[:2]
            first = sum(f.n_levels * f.columns.values.shape[1] for f in kernel.factors[:k])
            levels = [rows[j][:, first + j * Q : first + (j + 1) * Q] for j in range(J)]
            assert_close(found, np.array(levels))
        if not hold_fixed:
            assert_close(blocks.fixed, inverse[q:, q:])
            for found, expected in zip(blocks.against_fixed, dense.by_level(inverse[:q, q:]), strict=True):
                assert_close(found, expected)

    def test_forward_solve(self, kernel, dense):
        """The order of elimination is the core's own, so only inner products can be compared."""
        b = np.random.default_rng(5).normal(size=(dense.q + dense.p, 3))
        solved = kernel.forward_solve(dense.theta, b)
        assert_close(solved.T @ solved, b.T @ np.linalg.solve(dense.A[:-1, :-1], b))

    def test_another_response(self, kernel, dense):
        problem = dense.problem
        y = np.random.default_rng(6).normal(size=len(problem.y)) + problem.codes[0] % 5
        kernel.set_response(y, 0.5, 2.0)
        other = Dense(replace(problem, y=2.0 * (y - 0.5)), dense.theta, dense.reml)
        try:
            assert_close(kernel.criterion(dense.theta, reml=dense.reml), other.criterion(), 1e-11)
            assert_close(kernel.derivatives(dense.theta, reml=dense.reml)[1], other.gradient(), 1e-8)
            assert_close(kernel.fixed_crossproduct()[-1, -1], other.A[-1, -1])
        finally:
            kernel.set_response(problem.y, 0.0, 1.0)
        assert_close(kernel.criterion(dense.theta, reml=dense.reml), dense.criterion(), 1e-11)
