import numpy as np
import pytest
from scipy import stats

from multilevel.fitted.lmm import TermCovariance
from multilevel.inference.compare import Candidate, likelihood_ratio, likelihood_ratios, mixture_p


def term(group, *names, structure="us", hom=False):
    q = len(names)
    unit = np.eye(q)
    return TermCovariance(group, group, 0, names, structure, hom, unit, unit, unit, np.ones(q), unit, False)


NO_EFFECT = Candidate(-110.0, 3, 2, ())
INTERCEPT = Candidate(-104.0, 4, 2, (term("g", "Intercept"),))
SLOPE = Candidate(-100.0, 6, 2, (term("g", "Intercept", "x"),))


def test_one_variance_is_half_a_chi_square():
    chisq, df, p, p_boundary = likelihood_ratio(NO_EFFECT, INTERCEPT)
    assert (chisq, df) == (12.0, 1.0)
    assert p == pytest.approx(stats.chi2.sf(12.0, 1), rel=1e-10)
    assert p_boundary == pytest.approx(p / 2, rel=1e-10)


def test_a_variance_with_a_covariance_mixes_one_and_two_degrees_of_freedom():
    _, df, p, p_boundary = likelihood_ratio(INTERCEPT, SLOPE)
    assert df == 2
    assert p_boundary == pytest.approx((stats.chi2.sf(8.0, 1) + stats.chi2.sf(8.0, 2)) / 2, rel=1e-10)
    assert p_boundary < p


def test_two_variances_at_once_have_no_mixture():
    assert np.isnan(likelihood_ratio(NO_EFFECT, SLOPE)[3])


def test_a_fixed_effect_has_no_boundary():
    larger = Candidate(-102.0, 5, 3, INTERCEPT.terms)
    assert np.isnan(likelihood_ratio(INTERCEPT, larger)[3])


def test_a_correlation_has_no_boundary():
    uncorrelated = Candidate(-101.0, 5, 2, (term("g", "Intercept", "x", structure="diag"),))
    assert np.isnan(likelihood_ratio(uncorrelated, SLOPE)[3])


def test_a_fixed_effect_beside_a_variance_adds_its_degree_of_freedom():
    larger = Candidate(-100.0, 5, 3, INTERCEPT.terms)
    assert likelihood_ratio(NO_EFFECT, larger)[3] == pytest.approx(mixture_p(20.0, 1))


def test_terms_on_other_groups_are_not_nested():
    other = Candidate(-99.0, 6, 2, (term("h", "Intercept", "x"),))
    assert np.isnan(likelihood_ratio(INTERCEPT, other)[3])


def test_models_of_one_size_are_not_tested():
    assert all(np.isnan(likelihood_ratio(INTERCEPT, INTERCEPT)))


def test_a_larger_model_that_fits_worse_gains_nothing():
    chisq, _, p, _ = likelihood_ratio(INTERCEPT, Candidate(-104.1, 5, 3, INTERCEPT.terms))
    assert (chisq, p) == (0.0, 1.0)


def test_no_gain_in_a_variance_has_p_one():
    assert mixture_p(0.0, 0) == 1.0


def test_the_first_model_has_no_test():
    tests = likelihood_ratios([NO_EFFECT, INTERCEPT, SLOPE], [True, True])
    assert np.isnan(tests.chisq[0])
    np.testing.assert_allclose(tests.chisq[1:], [12.0, 8.0])


def test_models_that_are_not_nested_are_not_tested():
    tests = likelihood_ratios([NO_EFFECT, INTERCEPT, SLOPE], [True, False])
    np.testing.assert_array_equal(np.isnan(tests.chisq), [True, False, True])
    assert np.isnan(tests.p_value[2])
    assert np.isnan(tests.p_boundary[2])
