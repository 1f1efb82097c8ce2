"""Two log-likelihoods, and the p-values that follow from them."""

import numpy as np
import pytest
from scipy import stats

from multilevel.design.build import build_design
from multilevel.formula.parse import parse_formula
from multilevel.inference.boundary import Mixture
from multilevel.inference.compare import likelihood_ratio, likelihood_ratios
from multilevel.inference.smaller_models import fit_smaller
from reference_cases import load_data

HALVES = np.array([0.5, 0.5])


def test_one_variance_is_half_a_chi_square():
    test = likelihood_ratio(-110.0, -104.0, 1, Mixture(0, HALVES))
    assert (test.chisq, test.df) == (12.0, 1.0)
    assert test.p_value == pytest.approx(stats.chi2.sf(12.0, 1), rel=1e-10)
    assert test.p_boundary == pytest.approx(test.p_value / 2, rel=1e-10)


def test_a_variance_with_a_covariance_mixes_one_and_two_degrees_of_freedom():
    test = likelihood_ratio(-104.0, -100.0, 2, Mixture(1, HALVES))
    assert test.p_boundary == pytest.approx((stats.chi2.sf(8.0, 1) + stats.chi2.sf(8.0, 2)) / 2, rel=1e-10)
    assert test.p_boundary < test.p_value


def test_without_a_boundary_there_is_one_p_value():
    test = likelihood_ratio(-104.0, -102.0, 1, None)
    assert test.p_value == pytest.approx(stats.chi2.sf(4.0, 1), rel=1e-10)
    assert np.isnan(test.p_boundary)


def test_a_larger_model_that_fits_worse_gains_nothing():
    test = likelihood_ratio(-104.0, -104.1, 1, None)
    assert (test.chisq, test.p_value) == (0.0, 1.0)


def test_no_gain_in_a_variance_has_p_one():
    assert likelihood_ratio(-104.0, -104.0 + 1e-9, 1, Mixture(0, HALVES)).p_boundary == 1.0


def test_the_first_model_and_models_that_are_not_nested_have_no_test():
    formulas = ["1 + (1 | Subject)", "Days + (1 | Subject)", "Days + (1 + Days | Subject)"]
    models = [fit_smaller(design_of(f"Reaction ~ {right}"), reml=False) for right in formulas]
    tests = likelihood_ratios(models, [False, True])
    np.testing.assert_array_equal(np.isnan(tests.chisq), [True, True, False])
    assert tests.chisq[2] == pytest.approx(42.1393, abs=1e-4)
    assert np.isnan(likelihood_ratios([models[1], models[1]], [True]).p_value).all()  # of one size


def design_of(formula):
    return build_design(parse_formula(formula), load_data("sleepstudy"))
