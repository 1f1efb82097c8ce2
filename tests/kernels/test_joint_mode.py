"""Coefficients that are found with the modes of the random effects, against dense matrices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dense_laplace import Array, Crossed, crossed_problem, dense_laplace, factor_roots, loadings
from multilevel.kernels.density import DensityCode, log_density
from multilevel.kernels.marginal import MarginalKernel, PriorPenalty
from multilevel.kernels.threads import use_threads


def zero_inflated() -> Crossed:
    """Random effects in the mean and in the excess of zeros."""
    base = crossed_problem("poisson", "log", widths=(2, 1), seed=4)
    rng, X = np.random.default_rng(1), base.designs[0]
    return replace(
        base,
        density=DensityCode("poisson", "log", extra_zeros=True),
        y=np.where(rng.random(len(base.y)) < 0.25, 0.0, base.y),
        designs=(X, X[:, :1]),
        coefficients=(base.coefficients[0], np.array([3], dtype=np.int32)),
        columns=(X[:, [0, 0]], base.columns[1]),
        of_predictor=((0, 1), (0,)),
    )


def many_columns(family: str, link: str) -> Crossed:
    """So many coefficients that their cross-products are formed at the modes only."""
    base = crossed_problem(family, link, widths=(2, 1), rows=300, seed=8)
    more = np.random.default_rng(2).normal(size=(300, 17))
    X = np.hstack([base.designs[0], more])
    return replace(base, designs=(X,), coefficients=(np.arange(20, dtype=np.int32),))


def of_one_factor() -> Crossed:
    base = crossed_problem("binomial", "logit", seed=5)
    return replace(
        base, codes=base.codes[:1], columns=base.columns[:1], of_predictor=((0,),), terms=base.terms[:1]
    )


PROBLEMS = {
    "logistic, crossed": crossed_problem("binomial", "logit"),
    "one factor": of_one_factor(),
    "cloglog, crossed": crossed_problem("binomial", "cloglog"),
    "slopes on two factors": crossed_problem("binomial", "logit", widths=(2, 2), seed=2),
    "three factors": crossed_problem("poisson", "log", widths=(2, 1, 1), levels=(12, 6, 4)),
    "a dense remainder": crossed_problem("poisson", "log", levels=(70, 60)),
    "negative binomial": crossed_problem("nbinom2", "log"),
    "gamma": crossed_problem("gamma", "log"),
    "student": crossed_problem("student", "identity"),
    "ordered": crossed_problem("ordinal", "logit"),
    "zero-inflated": zero_inflated(),
    "many, logistic": many_columns("binomial", "logit"),
    "many, counts": many_columns("poisson", "log"),
    "prior": replace(
        crossed_problem("binomial", "logit", widths=(2, 1)),
        prior=PriorPenalty(np.array([0.5, 2.0, 0.1]), np.array([0.0, 1.0, -1.0]), 1.5),
    ),
}


def joint_of(model: Crossed) -> list[int]:
    """The coefficients of the mean, thresholds with them."""
    return list(range(5)) if model.density.family == "ordinal" else model.coefficients[0].tolist()


def outer_of(model: Crossed) -> list[int]:
    """Places in psi of all that is searched over."""
    found = {model.n_theta + j for j in joint_of(model)}
    return [k for k in range(model.n_theta + model.n_coefficients) if k not in found]


def somewhere(model: Crossed, seed: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    gamma = rng.normal(0.0, 0.2, model.n_coefficients)
    if model.density.family == "ordinal":
        gamma[2:] = [-1.0, 0.4, 1.3]
    return np.concatenate([rng.normal(0.7, 0.15, model.n_theta), gamma])


def score_and_information(model: Crossed, psi: Array, predictors: Array) -> tuple[Array, Array]:
    """X'l' of the joint coefficients, and A = -(second derivatives of h) in random effects, then in these."""
    joint, K = joint_of(model), len(model.designs)
    wide = []
    for X, at in zip(model.designs, model.coefficients, strict=True):
        whole = np.zeros((len(X), model.n_coefficients))
        whole[:, at] = X
        wide.append(whole[:, joint])
    L = loadings(model, factor_roots(model, model.kernel(), psi))
    C = [np.hstack([one, other]) for one, other in zip(L, wide, strict=True)]
    d = log_density(model.density, model.y, None, None, predictors, 2)
    q = L[0].shape[1]
    A = np.diag(np.concatenate([np.ones(q), np.zeros(len(joint))]))
    for i in range(K):
        for j in range(K):
            A -= C[i].T @ (d[1 + K + max(i, j) * (max(i, j) + 1) // 2 + min(i, j)][:, None] * C[j])
    score = sum(wide[k].T @ d[1 + k] for k in range(K))
    if model.prior is not None:
        precision, away = model.prior.precision[joint], (psi[model.n_theta :] - model.prior.centre)[joint]
        score = score - precision * away
        A[q:, q:] += np.diag(precision)
    return np.asarray(score), A


@pytest.mark.parametrize("name", PROBLEMS)
def test_both_are_most_likely_together(name):
    model = PROBLEMS[name]
    psi, kernel = somewhere(model), model.kernel(joint_of(model))
    value = kernel.value(psi)
    point, covariance = kernel.joint_mode(psi)
    outer = outer_of(model)
    np.testing.assert_array_equal(point[outer], psi[outer])
    twin = dense_laplace(model, point)
    assert value == pytest.approx(twin.criterion, rel=1e-11)
    score, A = score_and_information(model, point, twin.predictors)
    np.testing.assert_allclose(
        score, 0.0, atol=1e-7
    )  # a Newton decrement of 1e-20 leaves 1e-10 of a standard error
    np.testing.assert_allclose(
        covariance, np.linalg.inv(A)[-len(score) :, -len(score) :], rtol=1e-7, atol=1e-10
    )


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_gradient_is_that_of_the_value(name):
    """Central differences of fourth order; the value is known to about 1e-10."""
    model = PROBLEMS[name]
    psi, kernel = somewhere(model), model.kernel(joint_of(model))
    gradient = kernel.derivatives(psi)[1]
    h = 2e-3
    for j in outer_of(model):
        step = np.zeros(len(psi))
        step[j] = h
        near = kernel.value(psi + step) - kernel.value(psi - step)
        far = kernel.value(psi + 2 * step) - kernel.value(psi - 2 * step)
        slope = (8 * near - far) / (12 * h)
        assert gradient[j] == pytest.approx(slope, abs=2e-6 * max(1.0, np.abs(gradient).max()))
    assert not gradient[[model.n_theta + j for j in joint_of(model)]].any()


@pytest.mark.parametrize("name", [n for n in PROBLEMS if n not in ("prior", "student")])
def test_the_search_ends_at_the_best_of_what_it_searches(name):
    model = PROBLEMS[name]
    kernel, outer = model.kernel(joint_of(model)), outer_of(model)
    found = kernel.search(somewhere(model), tolerance=1e-10, max_evaluations=300)
    assert found.converged
    np.testing.assert_allclose(kernel.joint_mode(found.psi)[0], found.psi, atol=1e-8)
    rng = np.random.default_rng(1)
    for _ in range(6):
        near = found.psi.copy()
        near[outer] += 0.03 * rng.normal(size=len(outer))
        assert kernel.value(near) > found.criterion - 1e-9
    whole = model.kernel().search(found.psi, tolerance=1e-10, max_evaluations=300)
    assert whole.criterion < found.criterion + 1e-9  # the likelihood's maximum over all parameters


def test_the_hessian_is_that_of_the_value():
    model = PROBLEMS["gamma"]
    kernel, psi, outer = (
        model.kernel(joint_of(model)),
        somewhere(PROBLEMS["gamma"]),
        outer_of(PROBLEMS["gamma"]),
    )
    free = np.isin(np.arange(len(psi)), outer)
    H = kernel.hessian(psi, free)
    h = 1e-4
    for j in outer:
        step = np.zeros(len(psi))
        step[j] = h
        column = (kernel.derivatives(psi + step)[1] - kernel.derivatives(psi - step)[1]) / (2.0 * h)
        np.testing.assert_allclose(H[:, j], column, atol=2e-4 * np.abs(H).max())  # errors of order h^2


@pytest.mark.parametrize("name", ["logistic, crossed", "zero-inflated", "a dense remainder", "many, counts"])
def test_order_labels_and_threads_do_not_matter(name):
    model = PROBLEMS[name]
    psi, joint, rng = somewhere(model), joint_of(model), np.random.default_rng(2)
    use_threads(1)
    value, gradient, _ = model.kernel(joint).derivatives(psi)
    use_threads(2)
    again = model.kernel(joint).derivatives(psi)
    use_threads()
    assert again[0] == value
    np.testing.assert_array_equal(again[1], gradient)
    rows = rng.permutation(len(model.y))
    renamed = [rng.permutation(int(codes.max()) + 1).astype(np.int32)[codes] for codes in model.codes]
    moved = replace(
        model,
        y=model.y[rows],
        designs=tuple(X[rows] for X in model.designs),
        codes=tuple(codes[rows] for codes in renamed),
        columns=tuple(Z[rows] for Z in model.columns),
    )
    other = moved.kernel(joint).derivatives(psi)
    assert other[0] == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(
        other[1], gradient, atol=1e-7 * np.abs(gradient).max()
    )  # by the modes' rounding


def test_fits_to_other_responses_do_not_depend_on_threads():
    model = PROBLEMS["logistic, crossed"]
    rng = np.random.default_rng(3)
    Y = (rng.random((len(model.y), 6)) < 0.5).astype(float)
    start = somewhere(model)

    def fits(kernel: MarginalKernel) -> Array:
        return kernel.refit_many(Y, start, tolerance=1e-10, max_evaluations=300).psi

    use_threads(1)
    one = fits(model.kernel(joint_of(model)))
    use_threads(2)
    two = fits(model.kernel(joint_of(model)))
    use_threads()
    np.testing.assert_array_equal(one, two)
    kernel = model.kernel(joint_of(model))
    kernel.set_response(Y[:, 2])
    alone = kernel.search(start, tolerance=1e-10, max_evaluations=300)
    np.testing.assert_allclose(alone.psi, one[2], atol=1e-7)
