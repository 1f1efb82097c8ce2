"""The core without some rows against a core that never saw them, and leverages against dense algebra."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gaussian_problems import Dense, FactorPlan, TermPlan, kernel_of, random_problem, some_theta
from multilevel.kernels.gaussian import RowSets
from multilevel.kernels.threads import use_threads

one, two = TermPlan(1), TermPlan(2)
SHAPES = {
    "one factor": ([FactorPlan(12, (two,))], 80),
    "one wide factor": ([FactorPlan(12, (TermPlan(7, "diag"),))], 120),
    "crossed": ([FactorPlan(30, (two,)), FactorPlan(7, (one,))], 150),
    "three crossed": ([FactorPlan(40, (two,)), FactorPlan(30, (one,)), FactorPlan(6, (two,))], 200),
    "nested": (
        [FactorPlan(48, (one,)), FactorPlan(24, (two,), "nests"), FactorPlan(6, (one,), "nests")],
        200,
    ),
    "sparsely crossed": ([FactorPlan(70, (one,)), FactorPlan(60, (one,)), FactorPlan(8, (one,))], 160),
}
each_shape = pytest.mark.parametrize("shape", SHAPES)


def problem_of(shape, *, weighted=True):
    factors, n = SHAPES[shape]
    return random_problem(factors, n=n, p=2, weighted=weighted, seed=3)


@each_shape
def test_leverages_are_the_diagonal_of_the_hat_matrix(shape):
    problem = problem_of(shape)
    theta = some_theta(problem)
    dense = Dense(problem, theta)
    V_inverse = np.linalg.inv(dense.V)
    X = problem.X
    P = V_inverse - V_inverse @ X @ np.linalg.solve(X.T @ V_inverse @ X, X.T @ V_inverse)
    w = problem.weights
    expected = (1.0 - np.diag(P) / w) / w  # P = W - W C A^-1 C'W
    np.testing.assert_allclose(kernel_of(problem).leverages(theta), expected, rtol=1e-8, atol=1e-10)


def without(problem, rows):
    keep = np.setdiff1d(np.arange(len(problem.y)), rows)
    return replace(
        problem,
        X=np.asfortranarray(problem.X[keep]),
        y=problem.y[keep],
        weights=problem.weights[keep],
        n_obs=float(len(keep)),
        codes=tuple(np.ascontiguousarray(c[keep]) for c in problem.codes),
        Z=tuple(np.asfortranarray(z[keep]) for z in problem.Z),
    )


@each_shape
@pytest.mark.parametrize("reml", [True, False])
def test_deletions_are_fits_to_the_other_rows(shape, reml):
    problem = problem_of(shape)
    theta = some_theta(problem)
    groups = [np.flatnonzero(problem.codes[-1] == level) for level in range(3)] + [
        np.array([5]),
        np.array([], int),
    ]
    rows = np.concatenate(groups)
    start = np.cumsum([0, *map(len, groups)])
    sets = RowSets(
        rows.astype(np.int64),
        problem.weights[rows],
        start.astype(np.int64),
        np.array([len(problem.y) - len(g) for g in groups], dtype=float),
    )
    kernel = kernel_of(problem)
    held = kernel.fit_without(sets, theta, reml=reml, tolerance=1e-10, max_evaluations=0)
    found = kernel.fit_without(sets, theta, reml=reml, tolerance=1e-10, max_evaluations=500)
    for k, group in enumerate(groups):
        alone = kernel_of(without(problem, group))
        solution = alone.solution(theta)
        np.testing.assert_allclose(held.beta[k], solution.beta, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(held.pwrss[k], solution.pwrss, rtol=1e-9)
        np.testing.assert_allclose(held.fixed_factor[k], solution.fixed_factor, rtol=1e-8, atol=1e-10)
        optimum = alone.search(theta, reml=reml, tolerance=1e-10, max_evaluations=500)
        criterion = alone.criterion(found.theta[k], reml=reml)
        assert criterion == pytest.approx(optimum.criterion, abs=1e-6)
    np.testing.assert_array_equal(held.theta, np.tile(theta, (len(groups), 1)))


def test_rows_may_lose_a_part_of_their_weight():
    problem = problem_of("crossed")
    rows = np.array([0, 17])
    lighter = problem.weights.copy()
    lighter[rows] *= 0.6
    theta = some_theta(problem)
    sets = RowSets(rows, 0.4 * problem.weights[rows], np.array([0, 2]), np.array([problem.n_obs - 2]))
    held = kernel_of(problem).fit_without(sets, theta, reml=True, tolerance=1e-10, max_evaluations=0)
    expected = kernel_of(replace(problem, weights=lighter)).solution(theta)
    np.testing.assert_allclose(held.beta[0], expected.beta, rtol=1e-9)
    np.testing.assert_allclose(held.pwrss[0], expected.pwrss, rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: replace(s, rows=np.array([0, 500])), "row is out of range"),
        (lambda s: replace(s, start=np.array([2, 0])), "starts ascend"),
        (lambda s: replace(s, start=np.array([0, 3])), "starts lie within"),
        (lambda s: replace(s, weights=np.ones(1)), "one weight a deleted row"),
        (lambda s: replace(s, n_obs=np.ones(2)), "one start a deletion"),
    ],
)
def test_misuse_is_refused(change, message):
    problem = problem_of("one factor")
    sets = RowSets(np.array([0, 1]), problem.weights[:2], np.array([0, 2]), np.array([78.0]))
    with pytest.raises(ValueError, match=message):
        kernel_of(problem).fit_without(
            change(sets), some_theta(problem), reml=True, tolerance=1e-10, max_evaluations=0
        )


def test_the_same_bits_on_any_number_of_threads():
    problem = problem_of("three crossed")
    theta = some_theta(problem)
    order = np.argsort(problem.codes[0], kind="stable")
    start = np.concatenate([[0], np.cumsum(np.bincount(problem.codes[0]))])
    sets = RowSets(order, problem.weights[order], start, problem.n_obs - np.diff(start).astype(float))
    results = []
    try:
        for threads in (1, 2, 5):
            use_threads(threads)
            kernel = kernel_of(problem)
            fits = kernel.fit_without(sets, theta, reml=True, tolerance=1e-10, max_evaluations=500)
            results.append((fits.theta, fits.beta, fits.fixed_factor, kernel.leverages(theta)))
    finally:
        use_threads()
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)
