"""Mixed models without a residual as a record: against R, against the textbook, and in other units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag

from dense_lmm import term_matrices
from multilevel.covariance.compound_symmetry import CompoundSymmetry
from multilevel.covariance.structure import covariance
from multilevel.design.build import build_design
from multilevel.design.design import Design
from multilevel.fitted.lmm import LMMRecord
from multilevel.fitted.residual_free import fit_without_residual
from multilevel.formula.parse import parse_formula
from reference_cases import load_case

WITH_CS = "Reaction ~ Days + cs(0 + DaysF | Subject)"
WITH_AR1 = "Reaction ~ Days + (1 | Subject) + ar1(0 + DaysF | Subject)"


def design_of(formula: str, data: pd.DataFrame, **options) -> Design:
    return build_design(parse_formula(formula), data, **options)


def numerical_hessian(function, at: np.ndarray) -> np.ndarray:
    """Central differences with steps of a thousandth."""
    moves = 1e-3 * np.diag(np.maximum(np.abs(at), 0.1))

    def mixed(a: np.ndarray, b: np.ndarray) -> float:
        ends = function(at + a + b) - function(at + a - b) - function(at - a + b) + function(at - a - b)
        return ends / (4.0 * a.max() * b.max())

    return np.array([[mixed(a, b) for b in moves] for a in moves])


@pytest.fixture(scope="module")
def with_cs(sleepstudy) -> LMMRecord:
    return fit_without_residual(design_of(WITH_CS, sleepstudy), reml=False)


@pytest.fixture(scope="module")
def with_ar1(sleepstudy) -> LMMRecord:
    return fit_without_residual(design_of(WITH_AR1, sleepstudy), reml=True)


class TestAgainstR:
    def test_compound_symmetry(self, with_cs):
        case = load_case("tmb_sleepstudy_cs")
        assert with_cs.loglik == pytest.approx(case["criteria"]["loglik"], abs=1e-6)
        assert with_cs.n_parameters == case["criteria"]["df"]
        # glmmTMB keeps a residual of variance 1.5e-8 and stops at its own gradient: six digits
        np.testing.assert_allclose(with_cs.beta, case["fixed"]["estimate"], rtol=1e-6)
        np.testing.assert_allclose(with_cs.terms[0].covariance, case["varcorr"][0]["cov"], rtol=1e-5)
        modes = pd.DataFrame(case["ranef_long"]).pivot_table("condval", "grp", "term", sort=False)
        np.testing.assert_allclose(with_cs.modes[0].values, modes, atol=1e-4)

    def test_standard_errors_differ_from_glmmtmb_by_the_joint_information(self, with_cs, sleepstudy):
        """Ours are lme4's, given the covariances; glmmTMB's come from the observed Hessian in all parameters.

        So its numbers are remade here from the likelihood of coefficients and covariance parameters together.
        """
        design = design_of(WITH_CS, sleepstudy)
        y, X = design.y.reshape(18, 10), design.X.reshape(18, 10, 2)
        structure = CompoundSymmetry(10)

        def minus_loglik(parameters: np.ndarray) -> float:
            lower = np.linalg.cholesky(covariance(structure, parameters[2:]))
            white = np.linalg.solve(lower, (y - X @ parameters[:2]).T)
            return 18.0 * np.log(np.diag(lower)).sum() + 0.5 * (white**2).sum()

        theta = structure.start(with_cs.terms[0].sd, with_cs.terms[0].correlation[1, 0])
        hessian = numerical_hessian(minus_loglik, np.concatenate([with_cs.beta, theta]))
        joint = np.sqrt(np.diag(np.linalg.inv(hessian)))[:2]
        expected = load_case("tmb_sleepstudy_cs")["fixed"]["se"]
        np.testing.assert_allclose(joint, expected, rtol=1e-5)
        np.testing.assert_allclose(np.sqrt(np.diag(with_cs.vcov)), expected, rtol=0.1)

    def test_serial_correlation_is_never_worse(self, sleepstudy):
        """glmmTMB stops where the intercept's variance is 0.04; the maximum has it at 950."""
        record = fit_without_residual(design_of(WITH_AR1, sleepstudy), reml=False)
        case = load_case("tmb_sleepstudy_ar1")
        assert record.loglik > case["criteria"]["loglik"] + 1.6
        assert record.n_parameters == case["criteria"]["df"]

    def test_serial_correlation_beside_an_intercept(self, with_ar1):
        """nlme's residual with an AR(1) correlation is the same model, written otherwise."""
        case = load_case("nlme_sleep_ar1")
        assert with_ar1.loglik == pytest.approx(case["criteria"]["loglik"], abs=1e-6)
        np.testing.assert_allclose(with_ar1.beta, case["fixed"]["estimate"], rtol=1e-6)
        np.testing.assert_allclose(np.sqrt(np.diag(with_ar1.vcov)), case["fixed"]["se"], rtol=1e-5)
        intercept, serial = with_ar1.terms
        # nlme optimises with numerical gradients: four digits in the covariance parameters
        assert serial.sd == pytest.approx(np.full(10, case["sigma"]), rel=1e-4)
        assert serial.correlation[1, 0] == pytest.approx(case["correlation"]["values"][0], rel=1e-3)
        assert intercept.sd[0] > 1.0

    @pytest.mark.parametrize(
        ("name", "term"),
        [
            ("nlme_sleep_gls_cs", "cs(0 + DaysF | Subject, hom = TRUE)"),
            ("nlme_sleep_gls_ar1", "ar1(0 + DaysF | Subject)"),
        ],
    )
    def test_marginal_models(self, sleepstudy, name, term):
        case = load_case(name)
        record = fit_without_residual(design_of(f"Reaction ~ Days + {term}", sleepstudy), reml=True)
        assert record.loglik == pytest.approx(case["criteria"]["loglik"], abs=1e-6)
        np.testing.assert_allclose(record.beta, case["fixed"]["estimate"], rtol=1e-6)
        np.testing.assert_allclose(record.vcov, case["fixed"]["vcov"], rtol=1e-4)

    @pytest.mark.parametrize("name", ["lmm_sleepstudy_m1_reml", "lmm_sleepstudy_m1_ml"])
    def test_a_common_variance_of_each_row_is_a_residual(self, sleepstudy, name):
        case = load_case(name)
        formula = "Reaction ~ Days + (1 | Subject) + diag(0 + DaysF | Subject, hom = TRUE)"
        record = fit_without_residual(design_of(formula, sleepstudy), reml=name.endswith("reml"))
        assert record.loglik == pytest.approx(case["criteria"]["loglik"], abs=1e-7)
        np.testing.assert_allclose(record.vcov, case["fixed"]["vcov"], rtol=1e-6)
        assert record.terms[1].sd == pytest.approx(np.full(10, case["sigma"]), rel=1e-6)
        (ranef,) = case["ranef"]
        modes = record.modes[0]
        np.testing.assert_allclose(modes.values[:, 0], np.ravel(ranef["values"]), rtol=1e-5)
        np.testing.assert_allclose(modes.variance[:, 0, 0], np.ravel(ranef["condvar"]["values"]), rtol=1e-5)


class TestRecord:
    def test_nothing_is_left_over(self, with_cs, sleepstudy):
        assert with_cs.sigma == 0.0
        assert with_cs.unit == 1.0
        np.testing.assert_allclose(with_cs.fitted, sleepstudy["Reaction"], rtol=1e-10)
        np.testing.assert_array_equal(with_cs.modes[0].variance, 0.0)  # one effect a row: known exactly

    def test_factors_and_theta_are_on_the_scale_of_the_response(self, with_ar1):
        for term in with_ar1.terms:
            np.testing.assert_allclose(term.factor @ term.factor.T, term.covariance, rtol=1e-12)
        np.testing.assert_allclose(
            with_ar1.theta,
            [with_ar1.terms[0].sd[0], with_ar1.terms[1].sd[0], with_ar1.terms[1].correlation[1, 0]],
        )
        assert with_ar1.theta_names == ("Subject.Intercept", "Subject.sd", "Subject.correlation")

    def test_modes_are_the_conditional_distribution(self, sleepstudy):
        rows = np.random.default_rng(0).permutation(180)[:140]  # unbalanced, in no order
        design = design_of(f"{WITH_AR1} + (0 + Days | Subject)", sleepstudy.iloc[rows])
        record = fit_without_residual(design, reml=True)
        Z = np.hstack(term_matrices(design))
        J = design.groupings[0].n_levels
        G = block_diag(*(np.kron(np.eye(J), term.covariance) for term in record.terms))
        W = np.linalg.inv(Z @ G @ Z.T)
        b = G @ Z.T @ W @ (design.y - design.X @ record.beta)
        variance = G - G @ Z.T @ W @ Z @ G
        at = np.concatenate([np.arange(J * t.n_columns).reshape(J, -1) for t in design.terms], axis=1)
        first = np.repeat(
            np.cumsum([0, *(J * t.n_columns for t in design.terms[:-1])]), [t.n_columns for t in design.terms]
        )
        index = at + first
        np.testing.assert_allclose(record.modes[0].values, b[index], atol=1e-7)
        dense = np.array([variance[np.ix_(row, row)] for row in index])
        np.testing.assert_allclose(record.modes[0].variance, dense, atol=1e-7)
        np.testing.assert_allclose(record.vcov, np.linalg.inv(design.X.T @ W @ design.X), rtol=1e-9)
        assert record.pwrss == pytest.approx(design.n_rows - 2)  # r'V^-1 r at the best scale, by REML

    def test_a_variance_of_zero_is_singular(self, sleepstudy):
        data = sleepstudy.copy()
        data["Reaction"] -= data.groupby("Subject")["Reaction"].transform("mean")
        record = fit_without_residual(design_of(WITH_AR1, data), reml=False)
        assert [term.singular for term in record.terms] == [True, False]
        assert record.singular
        assert record.optimum.certificate.holds
        np.testing.assert_array_equal(record.modes[0].values[:, 0], 0.0)

    def test_no_fixed_effects(self, sleepstudy):
        data = sleepstudy.assign(Reaction=sleepstudy["Reaction"] - 298.5)
        record = fit_without_residual(design_of("Reaction ~ 0 + ar1(0 + DaysF | Subject)", data), reml=True)
        assert record.beta.shape == (0,)
        assert record.vcov.shape == (0, 0)
        np.testing.assert_array_equal(record.fitted_fixed, 0.0)

    def test_unused_groupings_and_crossed_factors(self, sleepstudy):
        design = design_of("Reaction ~ 1 + (1 | DaysF) + diag(0 + DaysF | Subject)", sleepstudy)
        record = fit_without_residual(design, reml=True)
        assert [design.groupings[m.grouping].name for m in record.modes] == [g.name for g in design.groupings]
        np.testing.assert_allclose(record.fitted, design.y, rtol=1e-9)


class TestAlgebra:
    """The answer follows the data's units and does not know the order of rows."""

    @pytest.mark.parametrize("reml", [False, True])
    def test_row_order(self, sleepstudy, reml):
        shuffled = sleepstudy.sample(frac=1.0, random_state=1)
        one, other = (
            fit_without_residual(design_of(WITH_CS, data), reml=reml) for data in (sleepstudy, shuffled)
        )
        assert other.criterion == pytest.approx(one.criterion, abs=1e-8)
        np.testing.assert_allclose(other.beta, one.beta, rtol=1e-7)
        np.testing.assert_allclose(other.modes[0].values, one.modes[0].values, atol=1e-5)

    @pytest.mark.parametrize(("shift", "scale"), [(0.0, 1e-6), (1e12, 1.0), (-5.0, 1e6)])
    def test_units_of_the_response(self, with_ar1, sleepstudy, shift, scale):
        data = sleepstudy.assign(Reaction=sleepstudy["Reaction"] * scale + shift)
        record = fit_without_residual(design_of(WITH_AR1, data), reml=True)
        # a response around 1e12 is stored to 1e-4 only
        tolerance = 1e-6 if abs(shift) < 1e6 else 1e-4
        expected = with_ar1.criterion + 2.0 * 178 * np.log(scale)
        assert record.criterion == pytest.approx(expected, abs=tolerance)
        np.testing.assert_allclose(record.theta[:2], with_ar1.theta[:2] * scale, rtol=tolerance)
        assert record.beta[1] == pytest.approx(with_ar1.beta[1] * scale, rel=tolerance)

    def test_units_of_a_predictor(self, with_ar1, sleepstudy):
        data = sleepstudy.assign(Days=sleepstudy["Days"] * 1e-7 + 3.0)
        record = fit_without_residual(design_of(WITH_AR1, data), reml=True)
        # the REML criterion holds log|X'V^-1X|, so it moves with the units of X
        assert record.criterion == pytest.approx(with_ar1.criterion + 2.0 * np.log(1e-7), abs=1e-6)
        assert record.beta[1] == pytest.approx(with_ar1.beta[1] * 1e7, rel=1e-6)

    def test_offset(self, with_ar1, sleepstudy):
        offset = np.linspace(-50.0, 80.0, 180)
        data = sleepstudy.assign(Reaction=sleepstudy["Reaction"] + offset)
        record = fit_without_residual(design_of(WITH_AR1, data, offset=offset), reml=True)
        assert record.criterion == pytest.approx(with_ar1.criterion, abs=1e-8)
        np.testing.assert_allclose(record.beta, with_ar1.beta, rtol=1e-7)
        np.testing.assert_allclose(record.fitted_fixed, with_ar1.fitted_fixed + offset, rtol=1e-7)

    def test_relabelled_levels(self, with_cs, sleepstudy):
        design = design_of(WITH_CS, sleepstudy)
        reversed_codes = (17 - design.groupings[0].codes).astype(np.int32)
        grouping = replace(design.groupings[0], codes=reversed_codes, levels=design.groupings[0].levels[::-1])
        record = fit_without_residual(replace(design, groupings=(grouping,)), reml=False)
        assert record.criterion == pytest.approx(with_cs.criterion, abs=1e-8)
        np.testing.assert_allclose(record.modes[0].values[::-1], with_cs.modes[0].values, atol=1e-5)
