"""The slopes of theta, a term at a time, beside differences of the whole map from psi to theta."""

from __future__ import annotations

import numpy as np
import pytest

from glmm_data import grouped
from multilevel._typing import Array
from multilevel.design.glmm import build_glmm_design
from multilevel.estimation.glmm import WorkingGLMM, working_glmm
from multilevel.families.by_name import as_family
from multilevel.fitted.assemble import theta_of_terms
from multilevel.fitted.assemble_glmm import term_covariances, user_roots
from multilevel.fitted.joint_covariance import theta_slopes
from multilevel.formula.parse import parse_formula

STEP = 1e-6


@pytest.mark.parametrize(
    ("formula", "family", "zi"),
    [
        ("line ~ x + (1 + x | g)", "gaussian", None),
        ("line ~ x + (1 | g) + (0 + x | g)", "gaussian", None),
        ("count ~ x + (1 + x || g)", "poisson", None),
        ("count ~ x + cs(0 + a | g)", "poisson", None),
        ("count ~ x + ar1(0 + a | g)", "poisson", None),
        ("empty ~ x + (1 + x | g)", "poisson", "~ 1 + (1 | g)"),
    ],
)
def test_slopes_of_theta(formula: str, family: str, zi: str | None) -> None:
    chosen = as_family(family, None)
    design = build_glmm_design(parse_formula(formula), grouped(), chosen.response, zi=zi)
    model = working_glmm(design, chosen)
    rng = np.random.default_rng(3)
    psi = np.concatenate([rng.uniform(0.3, 1.2, model.n_theta), model.fixed.gamma])

    def theta(point: Array) -> Array:
        ranks = [placed.term.n_columns for placed in model.terms]
        return theta_of_terms(term_covariances(design, model, user_roots(model, point), ranks))[0]

    assert theta_slopes(model, psi) == pytest.approx(differences(theta, psi, model), abs=1e-7)


def test_the_slope_of_one_deviation_has_its_sign() -> None:
    chosen = as_family("poisson", None)
    design = build_glmm_design(parse_formula("count ~ x + (1 | g)"), grouped(), chosen.response)
    model = working_glmm(design, chosen)
    at = [float(theta_slopes(model, np.r_[value, model.fixed.gamma])[0, 0]) for value in (0.5, -0.5, 0.0)]
    assert at[0] == -at[1] > 0.0
    assert at[2] == 0.0


def differences(theta: object, psi: Array, model: WorkingGLMM) -> Array:
    assert callable(theta)
    columns = []
    for k in range(model.n_theta):
        step = np.zeros(len(psi))
        step[k] = STEP
        columns.append((theta(psi + step) - theta(psi - step)) / (2.0 * STEP))
    return np.array(columns).T
