"""Restricted likelihoods of models with and without random effects share their constants."""

import numpy as np
import pytest

import multilevel as ml
from multilevel.inference.smaller_models import fit_smaller, linear_loglik, linear_record
from reference_cases import load_data


def design_of(formula, **options):
    return ml.lmm(formula, load_data("Dyestuff2").assign(w=np.linspace(1.0, 2.0, 30)), **options).design


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("options", [{}, {"weights": "w"}, {"freq_weights": np.repeat([1, 2, 3], 10)}])
def test_where_the_variance_is_zero_both_models_are_one(reml, options):
    design = design_of("Yield ~ 1 + (1 | Batch)", **options)
    mixed = fit_smaller(design, reml=reml)
    if mixed.record.singular:  # the likelihoods must agree to their last digits
        assert linear_loglik(design, linear_record(design), reml=reml) == pytest.approx(
            mixed.loglik, rel=1e-12
        )
    else:
        assert linear_loglik(design, linear_record(design), reml=reml) < mixed.loglik


@pytest.mark.parametrize("reml", [True, False])
def test_a_model_without_coefficients(reml):
    design = design_of("Yield ~ 0 + (1 | Batch)")
    y = design.y
    loglik = linear_loglik(design, linear_record(design), reml=reml)
    assert loglik == pytest.approx(-15.0 * (1.0 + np.log(2.0 * np.pi * (y @ y) / 30.0)), rel=1e-12)


def test_the_restricted_likelihood_is_the_textbook_one():
    data = load_data("sleepstudy").assign(far=lambda d: d["Days"] + 1e8)
    near, far = (ml.ols(f"Reaction ~ {x}", data) for x in ("Days", "far"))
    X, rss = near.design.X, near.record.rss
    sign, log_det = np.linalg.slogdet(X.T @ X)
    expected = -0.5 * (178 * (1.0 + np.log(2.0 * np.pi * rss / 178)) + log_det)
    assert sign == 1.0
    for fit in (near, far):  # moving a column by the constant leaves |X'X| alone
        assert linear_loglik(fit.design, fit.record, reml=True) == pytest.approx(expected, rel=1e-9)
