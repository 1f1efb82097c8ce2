"""The pieces of a generalized mixed model's estimation, each by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glmm_data import MODELS, grouped
from multilevel.design.glmm import build_glmm_design
from multilevel.estimation.fixed_newton import derivatives, log_likelihood
from multilevel.estimation.glmm_rows import working_rows
from multilevel.estimation.glmm_start import fit_without_random_effects
from multilevel.estimation.response_units import response_units
from multilevel.estimation.term_factors import term_factors
from multilevel.estimation.thresholds import constant_threshold, threshold_columns, threshold_map
from multilevel.families.by_name import as_family
from multilevel.formula.parse import parse_formula
from multilevel.kernels.density import DensityCode, log_density
from multilevel.kernels.gaussian import (
    FactorColumns,
    GaussianKernel,
    ScaledColumns,
    StructureCode,
    TermLayout,
)


def rows_of(name: str, **sides: Any) -> tuple[Any, Any]:
    left, family = MODELS[name]
    family = as_family("binomial", "probit") if family == "probit" else as_family(family)
    if name in ("amount", "inverse_gaussian"):
        family = as_family(family.name, "log")
    design = build_glmm_design(
        parse_formula(f"{left} ~ x + a + (1 | g)"), grouped(), family.response, **sides
    )
    return working_rows(design, family), family


@pytest.mark.parametrize("name", MODELS)
class TestWithoutRandomEffects:
    def test_derivatives_are_those_of_the_likelihood(self, name: str) -> None:
        rows, family = rows_of(name)
        gamma = fit_without_random_effects(rows, family).start
        gradient, information = derivatives(rows, gamma)
        h = 1e-6
        for k in range(len(gamma)):
            step = np.zeros(len(gamma))
            step[k] = h
            slope = (log_likelihood(rows, gamma + step) - log_likelihood(rows, gamma - step)) / (2 * h)
            assert gradient[k] == pytest.approx(slope, rel=1e-5, abs=1e-3)
            bend = (derivatives(rows, gamma + step)[0] - derivatives(rows, gamma - step)[0]) / (2 * h)
            np.testing.assert_allclose(information[k], -bend, rtol=1e-5, atol=1e-2)

    def test_the_search_ends_where_no_slope_is_left(self, name: str) -> None:
        rows, family = rows_of(name)
        fit = fit_without_random_effects(rows, family)
        if name == "student":  # between groups the tails are normal: degrees of freedom without end
            return
        assert fit.converged
        gradient, information = derivatives(rows, fit.gamma)
        assert gradient @ np.linalg.solve(information, gradient) < 1e-8

    def test_the_way_back_gives_the_same_predictors(self, name: str) -> None:
        rows, family = rows_of(name)
        fit = fit_without_random_effects(rows, family)
        beta = rows.coefficients(fit.gamma)[: len(rows.parts[0].names)]
        data = grouped()
        X = np.column_stack([np.ones(240), data["x"], data["a"] == "q", data["a"] == "r"])
        by_hand = X[:, 1:] @ beta if name == "grade" else X @ beta
        eta = rows.units.linear_predictor(fit.eta[0])
        np.testing.assert_allclose(eta - eta.mean(), by_hand - by_hand.mean(), atol=1e-9)


def test_zeros_and_dispersion_have_predictors_of_their_own() -> None:
    rows, family = rows_of("wide", zi="~ x", dispersion="~ a")
    assert [part.component for part in rows.parts] == ["cond", "disp", "zi"]
    assert fit_without_random_effects(rows, family).gamma.shape == (4 + 3 + 2,)


@pytest.mark.parametrize(
    ("family", "link"),
    [
        ("gaussian", "identity"),
        ("gaussian", "log"),
        ("gaussian", "inverse"),
        ("gamma", "log"),
        ("gamma", "inverse"),
        ("gamma", "identity"),
        ("inverse_gaussian", "1/mu^2"),
        ("inverse_gaussian", "log"),
        ("student", "identity"),
    ],
)
def test_units_change_the_density_by_their_scale_alone(family: str, link: str) -> None:
    chosen = as_family(family, link)
    rng = np.random.default_rng(1)
    mu = rng.uniform(200.0, 400.0, 50)
    y, log_phi = mu * rng.uniform(0.8, 1.2, 50), np.full(50, -3.0)
    units = response_units(chosen, y, None, None, has_constant=False)
    more = [np.full(50, 1.0)] if family == "student" else []
    eta = chosen.link.link(mu)
    code = DensityCode(chosen.density, link)
    plain = log_density(code, y, None, None, np.array([eta, log_phi, *more]))[0]
    working_eta = units.eta_scale * eta + units.eta_shift
    working = np.array([working_eta, log_phi + units.log_phi, *more])
    scaled = log_density(code, units.response(y), None, None, working)[0]
    np.testing.assert_allclose(plain.sum(), scaled.sum() + units.log_density(None, 50), rtol=1e-9)
    np.testing.assert_allclose(units.linear_predictor(working_eta), eta, rtol=1e-12)


@pytest.mark.parametrize("structure", ["flexible", "symmetric", "equidistant"])
@pytest.mark.parametrize("categories", [2, 3, 4, 5, 6])
def test_thresholds(structure: Any, categories: int) -> None:
    J = threshold_map(categories, structure)
    assert np.linalg.matrix_rank(J) == J.shape[1]
    np.testing.assert_allclose(J @ constant_threshold(J), 1.0)
    upper, lower = threshold_columns(np.arange(categories, dtype=float), J)
    np.testing.assert_allclose(upper[:-1], J)
    np.testing.assert_allclose(lower[1:], J)
    if structure == "symmetric" and categories > 2:
        alpha = np.arange(1.0, J.shape[1] + 1)
        cuts = J @ alpha
        np.testing.assert_allclose(cuts + cuts[::-1], 2.0 * alpha[0])


@pytest.mark.parametrize("structure", list(StructureCode))
@pytest.mark.parametrize("hom", [False, True])
def test_factors_are_the_cores(structure: StructureCode, hom: bool) -> None:
    hom = hom and structure is not StructureCode.us
    rng = np.random.default_rng(3)
    layout = TermLayout(0, 0, 3, structure, hom)
    n, codes = 60, np.repeat(np.arange(10, dtype=np.int32), 6)

    def columns(k: int) -> ScaledColumns:
        return ScaledColumns(np.asfortranarray(rng.normal(size=(n, k))), np.zeros(k), np.ones(k))

    kernel = GaussianKernel(columns(2), columns(1), None, n, [FactorColumns(codes, 10, columns(3))], [layout])
    theta = rng.normal(size=layout.n_parameters)
    (ours,), (theirs,) = term_factors([layout], theta), kernel.term_factors(theta)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
