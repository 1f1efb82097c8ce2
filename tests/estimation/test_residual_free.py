"""The likelihood without a residual: the textbook density, its derivatives, and what it must refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from dense_lmm import term_matrices
from multilevel.design.build import build_design
from multilevel.design.design import Design
from multilevel.errors import MemoryNeedError, ModelError
from multilevel.estimation.residual_free import ResidualFreeModel, residual_free_model, slopes, solve
from multilevel.estimation.residual_free_checks import require_dense_memory
from multilevel.estimation.residual_free_search import minimise_without_residual, newton_step, starts
from multilevel.formula.parse import parse_formula


def design_of(formula: str, data: pd.DataFrame) -> Design:
    return build_design(parse_formula(formula), data)


def panel(n_groups: int = 12, n_times: int = 4, seed: int = 0, sd: float = 1.0) -> pd.DataFrame:
    """Groups seen at most `n_times` times, some visits missing, with serially correlated values."""
    rng = np.random.default_rng(seed)
    visits = [(g, t) for g in range(n_groups) for t in range(n_times) if t == 0 or rng.random() < 0.85]
    group, time = np.array(visits).T
    lag = np.abs(time[:, None] - time)
    V = np.where(group[:, None] == group, 2.0 * 0.6**lag + sd**2, 0.0)
    x = rng.normal(size=len(group))
    y = 3.0 + 0.5 * x + np.linalg.cholesky(V) @ rng.normal(size=len(group))
    return pd.DataFrame({"y": y, "x": x, "g": group, "time": time, "t": pd.Categorical(time)})


FORMULAS = [
    "y ~ x + cs(0 + t | g)",
    "y ~ x + us(0 + t | g)",
    "y ~ x + (1 | g) + ar1(0 + t | g)",
    "y ~ x + (1 + x | g) + ar1(0 + t | g, hom = FALSE)",
    "y ~ x + (1 | t) + diag(0 + t | g, hom = TRUE)",
    "y ~ 0 + cs(0 + t | g, hom = TRUE)",
]


def some_theta(model: ResidualFreeModel) -> np.ndarray:
    k = sum(s.n_parameters for s in model.structures)
    return np.random.default_rng(k).uniform(0.3, 1.2, size=k)


def working_density(design: Design, model: ResidualFreeModel, theta: np.ndarray) -> tuple[np.ndarray, ...]:
    """V, X and y in working coordinates, as plain n-row matrices."""
    scaled = tuple(
        replace(term, Z=(term.Z - w.shift) * w.scale)
        for term, w in zip(design.terms, model.terms, strict=True)
    )
    Z = term_matrices(replace(design, terms=scaled))
    V = sum(
        z @ np.kron(np.eye(J), T @ T.T) @ z.T
        for z, J, T in zip(Z, model.n_levels, model.factors(theta), strict=True)
    )
    y = (design.y - model.response.shift) * model.response.scale
    return V, model.fixed.columns.values, y


@pytest.mark.parametrize("formula", FORMULAS)
def test_criterion_is_the_density(formula):
    design = design_of(formula, panel())
    model = residual_free_model(design)
    theta = some_theta(model)
    V, X, y = working_density(design, model, theta)
    W = np.linalg.inv(V)
    beta = np.linalg.solve(X.T @ W @ X, X.T @ W @ y)
    ml = -2.0 * multivariate_normal(X @ beta, V).logpdf(y)
    assert solve(model, theta, reml=False).criterion == pytest.approx(ml, rel=1e-10)
    reml = ml + np.linalg.slogdet(X.T @ W @ X)[1] - X.shape[1] * np.log(2.0 * np.pi)
    assert solve(model, theta, reml=True).criterion == pytest.approx(reml, rel=1e-10)
    np.testing.assert_allclose(solve(model, theta, reml=True).beta, beta, rtol=1e-8)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("reml", [False, True])
def test_gradient_and_average_information(formula, reml):
    design = design_of(formula, panel())
    model = residual_free_model(design)
    theta = some_theta(model)
    d = slopes(model, solve(model, theta, reml=reml), reml=reml)
    moves = 1e-6 * np.eye(len(theta))
    numerical = [
        solve(model, theta + m, reml=reml).criterion - solve(model, theta - m, reml=reml).criterion
        for m in moves
    ]
    # central differences of a criterion near 100 with a step of 1e-6 carry seven or eight digits
    np.testing.assert_allclose(d.gradient, np.array(numerical) / 2e-6, rtol=1e-6, atol=1e-6)

    V, X, y = working_density(design, model, theta)
    change = [
        (working_density(design, model, theta + m)[0] - working_density(design, model, theta - m)[0]) / 2e-6
        for m in moves
    ]
    W = np.linalg.inv(V)
    P = W - W @ X @ np.linalg.solve(X.T @ W @ X, X.T @ W)
    v = np.array([c @ P @ y for c in change])
    np.testing.assert_allclose(d.information, v @ P @ v.T, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("formula", FORMULAS)
@pytest.mark.parametrize("reml", [False, True])
def test_search_ends_at_a_certified_optimum(formula, reml):
    design = design_of(formula, panel(n_groups=30))
    model = residual_free_model(design)
    optimum = minimise_without_residual(design, model, reml=reml)
    assert optimum.converged
    assert optimum.certificate.holds
    rng = np.random.default_rng(1)
    for _ in range(20):
        near = solve(model, optimum.theta + 0.01 * rng.normal(size=len(optimum.theta)), reml=reml)
        assert near is None or near.criterion >= optimum.criterion - 1e-9


def test_a_start_has_the_scale_of_the_data():
    design = design_of("y ~ x + (1 | g) + ar1(0 + t | g)", panel())
    model = residual_free_model(design)
    for at in starts(design, model, reml=False):
        assert at.quadratic == pytest.approx(design.n_rows)  # y'P y at the best common scale


def test_newton_step_promises_nothing_at_the_optimum():
    design = design_of("y ~ x + cs(0 + t | g)", panel())
    model = residual_free_model(design)
    optimum = minimise_without_residual(design, model, reml=True)
    at = solve(model, optimum.theta, reml=True)
    assert newton_step(model, at, slopes(model, at, reml=True))[1] < 1e-10


def test_a_variance_of_zero_is_reached_exactly_and_named():
    data = panel(n_groups=20, seed=3)
    data["y"] -= data.groupby("g")["y"].transform("mean")  # no variation between groups is left
    with_intercept = design_of("y ~ x + (1 | g) + ar1(0 + t | g)", data)
    model = residual_free_model(with_intercept)
    optimum = minimise_without_residual(with_intercept, model, reml=False)
    assert optimum.theta[0] == 0.0
    assert optimum.rank == (0, 4)
    assert optimum.converged
    assert optimum.certificate.null_eigenvalue > 0.0
    without = design_of("y ~ x + ar1(0 + t | g)", data)
    alone = minimise_without_residual(without, residual_free_model(without), reml=False)
    assert optimum.criterion == pytest.approx(alone.criterion, abs=1e-9)


class TestRefusals:
    def test_rows_that_are_alike(self, sleepstudy):
        design = design_of("Reaction ~ Days + (1 | Subject)", sleepstudy)
        with pytest.raises(ModelError, match=r"rows 0, 1, 2 and 7 more \(from 0; Subject '308'\) are alike"):
            minimise_without_residual(design, residual_free_model(design), reml=False)

    def test_fewer_random_effects_than_rows(self, sleepstudy):
        design = design_of("Reaction ~ Days + (1 + Days | Subject)", sleepstudy)
        with pytest.raises(ModelError, match="180 rows cannot vary freely with 36 random effects"):
            minimise_without_residual(design, residual_free_model(design), reml=False)

    def test_too_few_effects_in_one_group_only(self):
        group = np.array([0, 0, 0, 1, 2, 3, 4, 5])
        data = pd.DataFrame({"y": [1.0, 3, 2, 5, 4, 1, 6, 2], "z": [1.0, 2, 4, 1, 2, 3, 1, 2], "g": group})
        design = design_of("y ~ 1 + (1 + z | g)", data)
        with pytest.raises(ModelError, match="in some groups there are fewer random effects than rows"):
            minimise_without_residual(design, residual_free_model(design), reml=False)

    @pytest.mark.parametrize("name", ["weights", "freq_weights"])
    def test_weights(self, name):
        design = design_of("y ~ x + ar1(0 + t | g)", panel())
        with pytest.raises(ModelError, match=f"{name}=.*residual='none'"):
            residual_free_model(replace(design, **{name: np.ones(design.n_rows)}))

    def test_blocks_that_do_not_fit_in_memory(self):
        rows = np.broadcast_to(np.intp(0), (3, 1_000_000))
        with pytest.raises(MemoryNeedError, match=r"147,000 GB.*up to 1,000,000 rows"):
            require_dense_memory([rows], 1)

    @pytest.mark.parametrize("reml", [False, True])
    def test_a_likelihood_without_a_maximum(self, reml):
        data = panel(n_groups=3, n_times=6, seed=1)
        design = design_of("y ~ 1 + us(0 + t | g)", data)
        with pytest.raises(ModelError, match=r"no maximum: .* has 6 columns and 3 groups"):
            minimise_without_residual(design, residual_free_model(design), reml=reml)

    def test_a_response_without_variation(self):
        data = panel().assign(y=lambda d: 1.0 + 2.0 * d["x"])
        design = design_of("y ~ x + ar1(0 + t | g)", data)
        with pytest.raises(ModelError, match="fit the response exactly"):
            minimise_without_residual(design, residual_free_model(design), reml=False)
