"""Groups of one factor, integrated out: against brute force, central differences, and by algebra."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marginal_problems import (
    Array,
    Problem,
    integral,
    kernel_of,
    one_predictor,
    predictors_of,
    random_problem,
)
from multilevel.kernels.density import DensityCode, log_density
from multilevel.kernels.gaussian import StructureCode, TermLayout
from multilevel.kernels.marginal import PriorPenalty
from multilevel.kernels.threads import use_threads

us = StructureCode.us


def zero_inflated(columns: tuple[int, ...] = (0, 0, 1)) -> Problem:
    """Counts with an excess of zeros; random effects in the mean and in the logit of zero inflation."""
    base = random_problem("poisson", "log", groups=30, rows=8, seed=5)
    rng = np.random.default_rng(6)
    n = len(base.y)
    X = base.designs[0]
    Z = np.column_stack([X[:, 0], X[:, 1], X[:, 0]])[:, : len(columns)]
    return replace(
        base,
        density=DensityCode("poisson", "log", True),
        y=np.where(rng.random(n) < 0.3, 0.0, base.y),
        designs=(X, X[:, :2]),
        coefficients=(base.coefficients[0], np.array([3, 4], dtype=np.int32)),
        Z=Z,
        of_predictor=columns,
        terms=(TermLayout(0, 0, len(columns), us, False),),
    )


def ordered() -> Problem:
    """Four ordered categories: two predictors share the thresholds."""
    base = random_problem("gaussian", "identity", columns=2, groups=20)
    y = np.digitize(base.y, [-0.7, 0.2, 1.0]).astype(float)
    n = len(y)
    upper = np.array([y == j for j in range(3)], dtype=float).T
    lower = np.array([y == j + 1 for j in range(3)], dtype=float).T
    thresholds = np.array([2, 3, 4], dtype=np.int32)
    return replace(
        base,
        density=DensityCode("ordinal", "logit", categories=4),
        y=y,
        designs=(base.designs[0][:, 1:], upper, lower),
        coefficients=(np.array([0, 1], dtype=np.int32), thresholds, thresholds),
        Z=np.column_stack([np.ones(n), base.designs[0][:, 1]]),
    )


PROBLEMS = {
    "logistic": random_problem("binomial", "logit"),
    "log-linear": random_problem("poisson", "log"),
    "one row a group": random_problem("poisson", "log", groups=60, rows=1),
    "large groups": random_problem("binomial", "logit", groups=4, rows=300),
    "logistic, slopes": random_problem("binomial", "logit", columns=2),
    "probit, slopes": random_problem("binomial", "probit", columns=2),
    "cloglog, three columns": random_problem("binomial", "cloglog", columns=3),
    "two terms": replace(
        random_problem("poisson", "log", columns=3),
        terms=(TermLayout(0, 0, 1, us, False), TermLayout(0, 1, 2, StructureCode.cs, False)),
    ),
    "negative binomial": random_problem("nbinom2", "log", columns=2, others=1),
    "gamma": random_problem("gamma", "log", others=1),
    "student": random_problem("student", "identity", others=2),
    "ordered": ordered(),
    "zero-inflated": zero_inflated(),
    "prior": replace(
        random_problem("binomial", "logit", columns=2),
        prior=PriorPenalty(np.array([0.5, 2.0, 0.1]), np.array([0.0, 1.0, -1.0]), 1.5),
    ),
}


def somewhere(problem: Problem, seed: int = 3) -> Array:
    """Parameters of ordinary size; thresholds in order."""
    rng = np.random.default_rng(seed)
    n_theta = kernel_of(problem, 1).n_theta
    gamma = rng.normal(0, 0.4, problem.n_coefficients)
    if problem.density.family == "ordinal":
        gamma[2:] = [-0.9, 0.3, 1.4]
    return np.concatenate([rng.normal(0.6, 0.3, n_theta), gamma])


# ---- against brute force ----


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_many_nodes_give_the_integral_over_one_random_effect(family: str) -> None:
    problem = random_problem(family, "logit" if family == "binomial" else "log", groups=8)
    psi = np.array([1.3, 0.1, 0.5, -0.4])
    exact = sum(integral(problem, psi[:1, None], psi[1:], j) for j in range(problem.n_groups))
    errors = [abs(-0.5 * kernel_of(problem, nodes).value(psi) - exact) for nodes in (1, 5, 15, 60)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-8  # the relative precision asked of quad, times eight groups


@pytest.mark.parametrize("name", ["logistic, slopes", "negative binomial", "ordered"])
def test_many_nodes_give_the_integral_over_two_random_effects(name: str) -> None:
    problem = PROBLEMS[name]
    psi = somewhere(problem)
    T = np.array([[psi[0], 0.0], [psi[1], psi[2]]])
    kernel = kernel_of(problem, 25)
    kernel.value(psi)
    one = [replace(problem, **_rows(problem, j)) for j in (0, 3)]
    for group in one:
        value = -0.5 * kernel_of(group, 25).value(psi)
        assert value == pytest.approx(integral(group, T, psi[3:], 0), abs=1e-7)  # 25 nodes a dimension


def test_random_effects_of_zero_inflation_are_integrated_out_with_those_of_the_mean() -> None:
    problem = zero_inflated((0, 1))
    psi = somewhere(problem)
    T = np.array([[psi[0], 0.0], [psi[1], psi[2]]])
    group = replace(problem, **_rows(problem, 2))
    assert -0.5 * kernel_of(group, 25).value(psi) == pytest.approx(integral(group, T, psi[3:], 0), abs=1e-6)


def _rows(problem: Problem, group: int) -> dict[str, object]:
    rows = problem.codes == group
    return {
        "y": problem.y[rows],
        "designs": tuple(X[rows] for X in problem.designs),
        "codes": np.zeros(int(rows.sum()), dtype=np.int32),
        "Z": problem.Z[rows],
        "trials": None if problem.trials is None else problem.trials[rows],
    }


def test_one_node_is_laplaces_approximation_with_the_observed_hessian() -> None:
    problem = PROBLEMS["cloglog, three columns"]
    psi = somewhere(problem)
    kernel = kernel_of(problem, 1)
    value = kernel.value(psi)
    T = np.zeros((3, 3))
    T[np.triu_indices(3)[::-1]] = psi[:6]
    (u,), (variance,) = kernel.modes(psi)
    total = 0.0
    for j in range(problem.n_groups):
        rows = problem.codes == j
        L = problem.Z[rows] @ T
        eta = predictors_of(problem, psi[6:])[:, rows] + L @ u[j]
        assert problem.trials is not None
        values, slope, bend = log_density(
            problem.density, problem.y[rows], problem.trials[rows], None, eta, 2
        )
        H = np.eye(3) - L.T @ (bend[:, None] * L)
        np.testing.assert_allclose(L.T @ slope, u[j], atol=1e-9)
        np.testing.assert_allclose(variance[j], np.linalg.inv(H), rtol=1e-9)
        total += -2 * values.sum() + u[j] @ u[j] + np.linalg.slogdet(H)[1]
    assert value == pytest.approx(total, rel=1e-12)


def test_a_gaussian_response_is_integrated_exactly_by_any_number_of_nodes() -> None:
    problem = random_problem("gaussian", "identity", columns=2, others=1)
    psi = somewhere(problem)
    values = [kernel_of(problem, nodes).value(psi) for nodes in (1, 2, 7)]
    np.testing.assert_allclose(values, values[0], rtol=1e-12)


# ---- the gradient ----


@pytest.mark.parametrize("nodes", [1, 2, 7])
@pytest.mark.parametrize("name", PROBLEMS)
def test_gradient_against_central_differences(name: str, nodes: int) -> None:
    problem = PROBLEMS[name]
    kernel = kernel_of(problem, nodes)
    psi = somewhere(problem)
    _, gradient, _ = kernel.derivatives(psi)

    def slope(j: int, step: float) -> float:
        shift = np.zeros(len(psi))
        shift[j] = step
        return (kernel.value(psi + shift) - kernel.value(psi - shift)) / (2 * step)

    h = 2e-3
    numeric = np.array(
        [(64 * slope(j, h / 2) - 20 * slope(j, h) + slope(j, 2 * h)) / 45 for j in range(len(psi))]
    )
    scale = 1 + np.abs(gradient).max()
    np.testing.assert_allclose(gradient, numeric, atol=1e-8 * scale)  # differences of sixth order


def test_gradient_at_a_singular_covariance() -> None:
    kernel = kernel_of(PROBLEMS["logistic, slopes"], 5)
    psi = np.array([0.7, 0.2, 0.0, 0.1, 0.3, -0.2])
    _, gradient, _ = kernel.derivatives(psi)
    step = np.array([0, 0, 1e-4, 0, 0, 0])
    assert gradient[2] == pytest.approx(0.0, abs=1e-9)  # turning the sign of T's last column changes nothing
    assert kernel.value(psi + step) == pytest.approx(kernel.value(psi - step), rel=1e-14)


@pytest.mark.parametrize("name", ["logistic, slopes", "zero-inflated", "ordered"])
def test_scores_of_groups_sum_to_the_gradient_and_are_those_of_the_groups_alone(name: str) -> None:
    problem = PROBLEMS[name]
    psi = somewhere(problem)
    kernel = kernel_of(problem, 3)
    _, gradient, curvature = kernel.derivatives(psi)
    scores = kernel.group_scores(psi)
    assert scores.shape == (problem.n_groups, len(psi))
    np.testing.assert_allclose(-2 * scores.sum(0), gradient, atol=1e-10 * np.abs(gradient).max())
    alone = kernel_of(replace(problem, **_rows(problem, 4)), 3)
    np.testing.assert_allclose(-2 * scores[4], alone.derivatives(psi)[1], atol=1e-9)
    assert np.linalg.eigvalsh(curvature).min() >= -1e-9 * np.abs(curvature).max()


def test_scores_of_groups_estimate_the_information() -> None:
    rng = np.random.default_rng(11)
    codes = np.repeat(np.arange(4000), 6).astype(np.int32)
    X = np.column_stack([np.ones(len(codes)), rng.normal(size=len(codes))])
    eta = X @ [0.3, 0.5] + rng.normal(size=4000)[codes]
    y = (rng.random(len(codes)) < 1 / (1 + np.exp(-eta))).astype(float)
    kernel = kernel_of(one_predictor("binomial", "logit", y, X, codes, X[:, :1]), 11)
    psi = kernel.search(kernel.start(np.zeros(2)), tolerance=1e-9, max_evaluations=100).psi
    scores, hessian = kernel.group_scores(psi), kernel.hessian(psi)
    np.testing.assert_allclose(2 * scores.T @ scores, hessian, atol=0.1 * hessian.max())  # 4,000 groups
    _, _, curvature = kernel.derivatives(psi)
    np.testing.assert_allclose(np.diag(curvature), np.diag(hessian), rtol=0.5)  # it only stands for it


# ---- algebra ----


@pytest.mark.parametrize("nodes", [1, 6])
def test_order_of_rows_and_names_of_groups_do_not_matter(nodes: int) -> None:
    problem = PROBLEMS["logistic, slopes"]
    psi = somewhere(problem)
    rng = np.random.default_rng(0)
    rows, names = rng.permutation(len(problem.y)), rng.permutation(problem.n_groups).astype(np.int32)
    assert problem.trials is not None
    shuffled = replace(
        problem,
        y=problem.y[rows],
        designs=(problem.designs[0][rows],),
        codes=names[problem.codes][rows],
        Z=problem.Z[rows],
        trials=problem.trials[rows],
    )
    here, there = kernel_of(problem, nodes), kernel_of(shuffled, nodes)
    assert there.value(psi) == pytest.approx(here.value(psi), rel=1e-12)
    np.testing.assert_allclose(there.derivatives(psi)[1], here.derivatives(psi)[1], atol=1e-9)
    np.testing.assert_allclose(there.modes(psi)[0][0][names], here.modes(psi)[0][0], atol=1e-9)
    np.testing.assert_allclose(there.linear_predictors(psi), here.linear_predictors(psi)[:, rows], atol=1e-9)


@pytest.mark.parametrize("nodes", [1, 6])
@pytest.mark.parametrize("family", ["binomial", "nbinom2"])
def test_a_power_of_two_is_a_row_that_stands_twice(family: str, nodes: int) -> None:
    problem = (
        PROBLEMS["logistic, slopes"]
        if family == "binomial"
        else random_problem("nbinom2", "log", columns=2, others=1)
    )
    counts = np.random.default_rng(2).integers(0, 3, len(problem.y))
    counts[np.unique(problem.codes, return_index=True)[1]] = 2  # no group vanishes
    rows = np.repeat(np.arange(len(counts)), counts)
    repeated = replace(
        problem,
        y=problem.y[rows],
        designs=tuple(X[rows] for X in problem.designs),
        codes=problem.codes[rows],
        Z=problem.Z[rows],
        trials=None if problem.trials is None else problem.trials[rows],
    )
    weighted = replace(problem, power=counts.astype(float))
    psi = somewhere(problem)
    a, b = kernel_of(weighted, nodes).derivatives(psi), kernel_of(repeated, nodes).derivatives(psi)
    assert a[0] == pytest.approx(b[0], rel=1e-12)
    np.testing.assert_allclose(a[1], b[1], atol=1e-9)


def test_an_offset_shifts_the_intercept() -> None:
    problem = PROBLEMS["log-linear"]
    psi = somewhere(problem)
    shifted = replace(problem, offset=np.full(len(problem.y), 0.7))
    moved = psi.copy()
    moved[1] += 0.7
    assert kernel_of(shifted, 9).value(psi) == pytest.approx(kernel_of(problem, 9).value(moved), rel=1e-13)


def test_the_same_bits_on_any_number_of_threads() -> None:
    problem = random_problem("binomial", "logit", columns=2, groups=900, rows=12)
    psi = somewhere(problem)
    found = []
    try:
        for count in (1, 2, 3):
            use_threads(count)
            kernel = kernel_of(problem, 3)
            value, gradient, curvature = kernel.derivatives(psi)
            found.append((value, gradient.tobytes(), curvature.tobytes()))
    finally:
        use_threads()
    assert found[0] == found[1] == found[2]


def test_other_responses_on_the_same_rows() -> None:
    problem = PROBLEMS["log-linear"]
    kernel = kernel_of(problem, 7)
    rng = np.random.default_rng(4)
    Y = np.column_stack([problem.y, rng.poisson(1.5, len(problem.y))]).astype(float)
    start = kernel.start(np.zeros(3))
    fits = kernel.refit_many(Y, start, tolerance=1e-10, max_evaluations=200)
    assert fits.converged.all()
    for b in range(2):
        alone = kernel_of(replace(problem, y=Y[:, b]), 7).search(start, tolerance=1e-10, max_evaluations=200)
        assert fits.criterion[b] == pytest.approx(alone.criterion, rel=1e-12)


# ---- far from ordinary ----


def test_parameters_far_away_are_survived() -> None:
    kernel = kernel_of(PROBLEMS["log-linear"], 9)
    near = somewhere(PROBLEMS["log-linear"])
    before = kernel.value(near)
    for far in (np.array([30.0, 20, -20, 20]), np.array([0.0, 800, 0, 0]), np.full(4, np.nan)):
        value = kernel.value(far)
        assert np.isinf(value) or np.isfinite(value)
    assert kernel.value(near) == pytest.approx(before, rel=1e-13)


@pytest.mark.parametrize("nodes", [1, 9])
def test_counts_of_hundreds_of_millions_leave_the_criterion_defined(nodes: int) -> None:
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(20), 10).astype(np.int32)
    X = np.column_stack([np.ones(200), rng.normal(size=200)])
    y = rng.poisson(np.exp(10 + 3 * X[:, 1] + 0.3 * rng.normal(size=20)[codes])).astype(float)
    kernel = kernel_of(one_predictor("poisson", "log", y, X, codes, X[:, :1]), nodes)
    for sd in (0.0, 1e-4, 1e-3, 1e-2, 0.1, 1.0):
        assert np.isfinite(kernel.value(np.array([sd, 10.0, 3.0])))
    outcome = kernel.search(kernel.start(np.array([10.0, 3.0])), tolerance=1e-9, max_evaluations=300)
    assert outcome.converged
    assert outcome.psi[2] == pytest.approx(3.0, abs=1e-3)
    assert 0.2 < abs(outcome.psi[0]) < 0.45


def test_groups_all_zero_or_all_one_have_finite_modes() -> None:
    codes = np.repeat(np.arange(30), 5).astype(np.int32)
    y = np.repeat(np.arange(30) % 2, 5).astype(float)
    X = np.ones((150, 1))
    kernel = kernel_of(one_predictor("binomial", "logit", y, X, codes, X), 31)
    psi = np.array([8.0, 0.0])
    assert np.isfinite(kernel.value(psi))
    assert np.abs(kernel.modes(psi)[0][0]).max() < 3


def test_a_grid_of_too_many_nodes_is_refused() -> None:
    with pytest.raises(ValueError, match="too many"):
        kernel_of(random_problem("poisson", "log", columns=3), 300)
