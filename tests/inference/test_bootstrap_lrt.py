"""Likelihood ratios on simulated data."""

import numpy as np
import pytest

import multilevel as ml
from multilevel.inference.bootstrap_lrt import logliks, null_gains, simulated_from
from multilevel.inference.simulated_p import simulated_p
from multilevel.inference.smaller_models import fit_smaller
from reference_cases import load_data


def model(formula, data, *, reml=False, **options):
    fit = (ml.lmm if "|" in formula else ml.ols)(formula, data, **options)
    return fit_smaller(fit.design, reml=reml)


@pytest.fixture(scope="module")
def weighted():
    return load_data("sleepstudy").assign(w=np.linspace(1.0, 2.0, 180), known=np.arange(180.0))


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("formula", ["Reaction ~ Days", "Reaction ~ Days + (1 | Subject)"])
def test_log_likelihoods_of_many_responses_are_those_of_single_fits(weighted, formula, reml):
    fitted = model(formula, weighted, reml=reml, weights="w", offset="known")
    Y = simulated_from(fitted, 3, np.random.SeedSequence(1))
    many, converged = logliks(fitted, Y, reml=reml)
    assert converged.all()
    for y, loglik in zip(Y.T, many, strict=True):
        again = model(
            formula.replace("Reaction", "new"), weighted.assign(new=y), reml=reml, weights="w", offset="known"
        )
        assert loglik == pytest.approx(again.loglik, abs=1e-6)


def test_the_first_draws_do_not_depend_on_how_many_follow(weighted):
    small, large = (model(f"Reaction ~ Days{more}", weighted) for more in ("", " + (1 | Subject)"))
    few, many = (null_gains(small, large, n, 7, False, reml=False).statistics for n in (5, 20))
    np.testing.assert_allclose(few, many[:5], atol=1e-8)
    assert (many >= 0.0).all()


def test_a_p_value_counts_ties_and_itself():
    found = simulated_p(2.0, np.array([0.0, 1.0, 2.0, 3.0]), failed=3)
    assert (found.p_value, found.n, found.failed) == (0.6, 4, 3)
    assert found.error == pytest.approx(np.sqrt(0.6 * 0.4 / 4))
    assert found.resolved
    assert not simulated_p(9.0, np.zeros(99)).resolved
    assert simulated_p(0.0, np.zeros(9)).p_value == 1.0
