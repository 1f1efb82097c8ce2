"""Laplace's approximation over several factors: against dense matrices, differences, and by algebra."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dense_laplace import Array, Crossed, crossed_problem, dense_laplace
from multilevel.kernels.density import DensityCode
from multilevel.kernels.gaussian import StructureCode, TermLayout
from multilevel.kernels.marginal import PriorPenalty
from multilevel.kernels.threads import use_threads

us, diag, cs, ar1 = StructureCode.us, StructureCode.diag, StructureCode.cs, StructureCode.ar1


def nested() -> Crossed:
    """The levels of the first factor lie in those of the second."""
    base = crossed_problem("poisson", "log", levels=(20, 5), seed=3)
    return replace(base, codes=(base.codes[0], (base.codes[0] // 4).astype(np.int32)))


def zero_inflated() -> Crossed:
    """Random effects in the mean and in the excess of zeros, on one factor and on another."""
    base = crossed_problem("poisson", "log", widths=(2, 1), seed=4)
    rng = np.random.default_rng(1)
    X = base.designs[0]
    return replace(
        base,
        density=DensityCode("poisson", "log", extra_zeros=True),
        y=np.where(rng.random(len(base.y)) < 0.25, 0.0, base.y),
        designs=(X, X[:, :1]),
        coefficients=(base.coefficients[0], np.array([3], dtype=np.int32)),
        columns=(X[:, [0, 0]], base.columns[1]),
        of_predictor=((0, 1), (0,)),
    )


def structured(kind: StructureCode, *, hom: bool) -> Crossed:
    base = crossed_problem("poisson", "log", widths=(3, 1), seed=5)
    return replace(base, terms=(TermLayout(0, 0, 3, kind, hom), TermLayout(1, 0, 1, diag, False)))


PROBLEMS = {
    "logistic, crossed": crossed_problem("binomial", "logit"),
    "cloglog, crossed": crossed_problem("binomial", "cloglog"),
    "counts, nested": nested(),
    "slopes on two factors": crossed_problem("binomial", "logit", widths=(2, 2), seed=2),
    "three factors": crossed_problem("poisson", "log", widths=(2, 1, 1), levels=(12, 6, 4)),
    "a dense remainder": crossed_problem("poisson", "log", levels=(70, 60)),
    "half of all pairs": crossed_problem("poisson", "log", levels=(60, 50), rows=1800),
    "all pairs, many times": crossed_problem("binomial", "logit", levels=(80, 12), rows=4000),
    "half of all pairs, with slopes": crossed_problem(
        "binomial", "logit", widths=(2, 2), levels=(30, 26), rows=600
    ),
    "negative binomial": crossed_problem("nbinom2", "log"),
    "gamma": crossed_problem("gamma", "log"),
    "student": crossed_problem("student", "identity"),
    "ordered": crossed_problem("ordinal", "logit"),
    "zero-inflated": zero_inflated(),
    "compound symmetry": structured(cs, hom=False),
    "autoregressive": structured(ar1, hom=True),
    "uncorrelated": structured(diag, hom=False),
    "prior": replace(
        crossed_problem("binomial", "logit", widths=(2, 1)),
        prior=PriorPenalty(np.array([0.5, 2.0, 0.1]), np.array([0.0, 1.0, -1.0]), 1.5),
    ),
}


def somewhere(model: Crossed, seed: int = 1) -> Array:
    """Parameters of ordinary size; thresholds in order."""
    rng = np.random.default_rng(seed)
    gamma = rng.normal(0.0, 0.3, model.n_coefficients)
    if model.density.family == "ordinal":
        gamma[2:] = [-1.0, 0.4, 1.3]
    return np.concatenate([rng.normal(0.7, 0.15, model.n_theta), gamma])


@pytest.mark.parametrize("name", PROBLEMS)
def test_value_modes_and_variances_are_the_twins(name):
    model = PROBLEMS[name]
    psi, kernel = somewhere(model), model.kernel()
    twin = dense_laplace(model, psi)
    assert kernel.value(psi) == pytest.approx(twin.criterion, rel=1e-11)
    u, variance = kernel.modes(psi)
    np.testing.assert_allclose(np.concatenate([each.ravel() for each in u]), twin.u, atol=1e-8)
    at = 0
    for J, Q, blocks in ((*each.shape, var) for each, var in zip(u, variance, strict=True)):
        for level in range(J):
            here = slice(at + level * Q, at + (level + 1) * Q)
            np.testing.assert_allclose(blocks[level], twin.covariance[here, here], atol=1e-9)
        at += J * Q
    np.testing.assert_allclose(kernel.linear_predictors(psi), twin.predictors, atol=1e-8)


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_gradient_is_that_of_the_value(name):
    """Central differences of fourth order; the value is known to about 1e-10."""
    model = PROBLEMS[name]
    psi, kernel = somewhere(model), model.kernel()
    gradient = kernel.derivatives(psi)[1]
    h = 2e-3
    for j in range(len(psi)):
        step = np.zeros(len(psi))
        step[j] = h
        near = kernel.value(psi + step) - kernel.value(psi - step)
        far = kernel.value(psi + 2 * step) - kernel.value(psi - 2 * step)
        assert gradient[j] == pytest.approx(
            (8 * near - far) / (12 * h), abs=2e-6 * max(1.0, np.abs(gradient).max())
        )


@pytest.mark.parametrize("name", ["logistic, crossed", "three factors", "zero-inflated", "a dense remainder"])
def test_order_labels_and_threads_do_not_matter(name):
    model = PROBLEMS[name]
    psi, rng = somewhere(model), np.random.default_rng(2)
    use_threads(1)
    value, gradient, _ = model.kernel().derivatives(psi)
    use_threads(2)
    again = model.kernel().derivatives(psi)
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
    other = moved.kernel().derivatives(psi)
    assert other[0] == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(
        other[1], gradient, atol=1e-7 * np.abs(gradient).max()
    )  # by the modes' rounding


@pytest.mark.parametrize("name", ["logistic, crossed", "counts, nested", "negative binomial", "ordered"])
def test_the_search_ends_where_the_gradient_vanishes(name):
    model = PROBLEMS[name]
    kernel = model.kernel()
    start = somewhere(model)
    found = kernel.search(start, tolerance=1e-10, max_evaluations=300)
    assert found.converged
    value, gradient, _ = kernel.derivatives(found.psi)
    assert value == pytest.approx(found.criterion, abs=1e-8)
    free = np.array([abs(psi) > 0.0 for psi in found.psi])  # at zero a deviation's slope vanishes by symmetry
    H = kernel.hessian(found.psi)[np.ix_(free, free)]
    assert np.linalg.eigvalsh(H)[0] > 0.0
    assert gradient[free] @ np.linalg.solve(H, gradient[free]) < 1e-8
    for seed in (2, 3):
        elsewhere = kernel.search(somewhere(model, seed), tolerance=1e-10, max_evaluations=300)
        assert elsewhere.criterion == pytest.approx(found.criterion, abs=1e-7)


def test_the_hessian_is_that_of_the_value():
    model = PROBLEMS["logistic, crossed"]
    kernel = model.kernel()
    psi = somewhere(model)
    H = kernel.hessian(psi)
    h = 1e-4
    for j in range(len(psi)):
        step = np.zeros(len(psi))
        step[j] = h
        column = (kernel.derivatives(psi + step)[1] - kernel.derivatives(psi - step)[1]) / (2.0 * h)
        np.testing.assert_allclose(
            H[:, j], column, atol=2e-4 * np.abs(H).max()
        )  # errors of order h^2 on both sides


def test_a_variance_that_is_not_there_is_exactly_zero():
    """Responses that do not know of the second factor: its variance is estimated zero, and reported so."""
    found = None
    for seed in range(6):
        model = crossed_problem("binomial", "logit", levels=(9, 5), seed=seed)
        rng = np.random.default_rng(100 + seed)
        model = replace(model, y=(rng.random(len(model.y)) < 0.5).astype(float))
        outcome = model.kernel().search(somewhere(model), tolerance=1e-10, max_evaluations=300)
        assert outcome.converged
        if 0 in outcome.rank:
            found = outcome
            assert all(outcome.psi[k] == 0.0 for k in range(2) if outcome.rank[k] == 0)
            assert outcome.null_slope >= -1e-2
    assert found is not None


def test_a_false_zero_is_left():
    model = PROBLEMS["counts, nested"]
    start = somewhere(model)
    best = model.kernel().search(start, tolerance=1e-10, max_evaluations=300)
    assert best.rank[0] == 1
    start[0] = 0.0  # where the slope vanishes by symmetry alone
    again = model.kernel().search(start, tolerance=1e-10, max_evaluations=300)
    assert again.criterion == pytest.approx(best.criterion, abs=1e-6)


def test_impossible_points_are_infinite_and_forgotten():
    model = PROBLEMS["counts, nested"]
    kernel, psi = model.kernel(), somewhere(model)
    value = kernel.value(psi)
    wild = psi.copy()
    wild[-1] = 1e4
    assert kernel.value(wild) == np.inf
    wild[-1] = np.nan
    assert kernel.value(wild) == np.inf
    assert kernel.value(psi) == pytest.approx(value, rel=1e-12)


def test_other_responses_one_by_one_or_together():
    model = PROBLEMS["logistic, crossed"]
    rng = np.random.default_rng(8)
    Y = (rng.random((len(model.y), 5)) < 0.5).astype(float)
    start, kernel = somewhere(model), model.kernel()
    many = kernel.refit_many(Y, start, tolerance=1e-10, max_evaluations=300)
    for b in range(5):
        kernel.set_response(Y[:, b].copy())
        single = kernel.search(start, tolerance=1e-10, max_evaluations=300)
        alone = replace(model, y=Y[:, b]).kernel().search(start, tolerance=1e-10, max_evaluations=300)
        assert many.criterion[b] == pytest.approx(single.criterion, abs=1e-9)
        assert alone.criterion == pytest.approx(single.criterion, abs=1e-9)
        assert many.converged[b] == single.converged
