"""Truths about the compiled mixed model for all data: order, names and units of rows do not matter."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gaussian_problems import (
    FactorPlan,
    Problem,
    TermPlan,
    as_given,
    factor_columns,
    kernel_of,
    layouts,
    permuted,
    random_problem,
    some_theta,
)
from multilevel.kernels.gaussian import FactorColumns, GaussianKernel, ScaledColumns

terms = st.lists(
    st.builds(TermPlan, st.integers(2, 3), st.sampled_from(["us", "diag", "cs", "ar1"]), st.booleans())
    | st.builds(TermPlan, st.just(1), st.sampled_from(["us", "diag"])),
    min_size=1,
    max_size=2,
).map(tuple)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """One to three factors of any relation, up to four columns each."""
    levels = sorted(draw(st.lists(st.integers(2, 30), min_size=1, max_size=3)), reverse=True)
    relations = [draw(st.sampled_from(["crossed", "nests"])) if k else "crossed" for k in range(len(levels))]
    plans = [FactorPlan(J, draw(terms), relation) for J, relation in zip(levels, relations, strict=True)]
    return random_problem(
        plans,
        n=draw(st.integers(60, 90)),
        p=draw(st.integers(0, 3)),
        weighted=draw(st.booleans()),
        seed=draw(st.integers(0, 10_000)),
        deviation=draw(st.sampled_from([0.0, 0.3, 3.0])),
    )


def everything(kernel: GaussianKernel, theta: np.ndarray, reml: bool) -> list[np.ndarray]:
    """Criterion, gradient, average information, estimates: what must not change."""
    solution = kernel.solution(theta)
    return [*kernel.derivatives(theta, reml=reml), solution.beta, solution.pwrss]


def assert_same(found, expected, digits: float = 1e-9) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=digits, atol=digits * max(1.0, np.abs(b).max(initial=0.0)))


@settings(max_examples=40, deadline=None)
@given(problems(), st.booleans(), st.randoms(use_true_random=False))
def test_row_order_does_not_matter(problem, reml, random):
    order = np.array(random.sample(range(len(problem.y)), len(problem.y)))
    theta = some_theta(problem)
    expected = everything(kernel_of(problem), theta, reml)
    assert_same(everything(kernel_of(permuted(problem, order)), theta, reml), expected)


@settings(max_examples=40, deadline=None)
@given(problems(), st.booleans(), st.integers(0, 1000))
def test_labels_do_not_matter(problem, reml, seed):
    rng = np.random.default_rng(seed)
    renamed = tuple(
        rng.permutation(J).astype(np.int32)[code]
        for J, code in zip(problem.n_levels, problem.codes, strict=True)
    )
    theta = some_theta(problem)
    expected = everything(kernel_of(problem), theta, reml)
    assert_same(everything(kernel_of(replace(problem, codes=renamed)), theta, reml), expected)


@settings(max_examples=25, deadline=None)
@given(problems(), st.booleans())
def test_counts_are_repeated_rows(problem, reml):
    counts = np.random.default_rng(1).integers(1, 4, len(problem.y))
    each = np.repeat(np.arange(len(problem.y)), counts)
    precision = np.ones(len(problem.y)) if problem.weights is None else problem.weights
    counted = replace(problem, weights=precision * counts, n_obs=float(counts.sum()))
    repeated = permuted(replace(problem, weights=precision, n_obs=float(len(each))), each)
    theta = some_theta(problem)
    assert_same(
        everything(kernel_of(counted), theta, reml), everything(kernel_of(repeated), theta, reml), 1e-8
    )


@settings(max_examples=25, deadline=None)
@given(problems(), st.booleans())
def test_shift_and_scale_are_taken_before_the_sums(problem, reml):
    """Columns seen as (value - shift) * scale, with a shift that would cost half the digits."""
    rng = np.random.default_rng(2)

    def disguised(values: np.ndarray) -> ScaledColumns:
        k = values.shape[1]
        shift, scale = 1e4 * rng.normal(size=k), np.exp(rng.normal(size=k))
        return ScaledColumns(np.asfortranarray(values / scale + shift), shift, scale)

    seen = GaussianKernel(
        disguised(problem.X),
        disguised(problem.y[:, None]),
        problem.weights,
        problem.n_obs,
        [replace(f, columns=disguised(f.columns.values)) for f in factor_columns(problem)],
        layouts(problem),
    )
    theta = some_theta(problem)
    assert_same(everything(seen, theta, reml), everything(kernel_of(problem), theta, reml), 1e-7)


@settings(max_examples=25, deadline=None)
@given(problems(), st.booleans(), st.floats(0.01, 100.0))
def test_scale_of_the_response_moves_the_criterion_by_a_constant(problem, reml, scale):
    theta = some_theta(problem)
    value, gradient, information = kernel_of(problem).derivatives(theta, reml=reml)
    scaled = kernel_of(replace(problem, y=problem.y * scale)).derivatives(theta, reml=reml)
    df = problem.n_obs - (problem.X.shape[1] if reml else 0)
    assert_same(scaled, [value + 2.0 * df * np.log(scale), gradient, information], 1e-8)


@settings(max_examples=25, deadline=None)
@given(problems(), st.booleans())
def test_fixed_effects_take_up_any_shift_of_the_response(problem, reml):
    shifted = replace(problem, y=problem.y + problem.X.sum(axis=1))
    theta = some_theta(problem)
    value, gradient, information, beta, pwrss = everything(kernel_of(problem), theta, reml)
    assert_same(
        everything(kernel_of(shifted), theta, reml), [value, gradient, information, beta + 1.0, pwrss], 1e-8
    )


@settings(max_examples=25, deadline=None)
@given(problems(), st.booleans())
def test_no_random_variance_is_least_squares(problem, reml):
    theta = np.zeros(problem.n_parameters)
    solution = kernel_of(problem).solution(theta)
    root = np.ones(len(problem.y)) if problem.weights is None else np.sqrt(problem.weights)
    beta = np.linalg.lstsq(root[:, None] * problem.X, root * problem.y, rcond=None)[0]
    residual = root * (problem.y - problem.X @ beta)
    assert_same([solution.beta, solution.pwrss], [beta, residual @ residual])
    assert solution.log_det_random == pytest.approx(0.0, abs=1e-12)
    for u in solution.u:
        np.testing.assert_array_equal(u, 0.0)


@settings(max_examples=25, deadline=None)
@given(problems())
def test_average_information_is_positive_semidefinite(problem):
    information = kernel_of(problem).derivatives(some_theta(problem), reml=True)[2]
    eigenvalues = np.linalg.eigvalsh(information)
    assert eigenvalues[0] >= -1e-9 * max(1.0, eigenvalues[-1])


@settings(max_examples=15, deadline=None)
@given(problems())
def test_predictors_are_sums_of_columns(problem):
    rng = np.random.default_rng(3)
    beta = rng.normal(size=problem.X.shape[1])
    b = [rng.normal(size=(J, Z.shape[1])) for J, Z in zip(problem.n_levels, problem.Z, strict=True)]
    fixed, whole = kernel_of(problem).linear_predictors(beta, b)
    expected = problem.X @ beta
    np.testing.assert_allclose(fixed, expected, atol=1e-12)
    for effects, code, Z in zip(b, problem.codes, problem.Z, strict=True):
        expected = expected + (Z * effects[code]).sum(axis=1)
    np.testing.assert_allclose(whole, expected, atol=1e-11)


def test_the_first_factor_may_have_levels_without_rows():
    problem = random_problem([FactorPlan(10, (TermPlan(2),)), FactorPlan(4, (TermPlan(1),))], n=60)
    wider = replace(problem, n_levels=(13, 4))
    theta = some_theta(problem)
    assert_same(everything(kernel_of(wider), theta, True), everything(kernel_of(problem), theta, True), 1e-10)
    np.testing.assert_array_equal(kernel_of(wider).solution(theta).u[0][10:], 0.0)


def test_two_terms_are_one_diagonal_term():
    problem = random_problem([FactorPlan(10, (TermPlan(1), TermPlan(1)))], n=60)
    one_term = replace(problem, terms=((TermPlan(2, "diag"),),))
    theta = some_theta(problem)
    assert_same(everything(kernel_of(one_term), theta, True), everything(kernel_of(problem), theta, True))


def test_a_factor_twice_is_the_factor_with_all_columns():
    problem = random_problem([FactorPlan(10, (TermPlan(1), TermPlan(2)))], n=60)
    Z, theta = problem.Z[0], some_theta(problem)
    twice = GaussianKernel(
        as_given(problem.X),
        as_given(problem.y[:, None]),
        None,
        problem.n_obs,
        [FactorColumns(problem.codes[0], 10, as_given(columns)) for columns in (Z[:, :1], Z[:, 1:])],
        layouts(replace(problem, terms=((TermPlan(1),), (TermPlan(2),)))),
    )
    assert_same(everything(twice, theta, False), everything(kernel_of(problem), theta, False))
