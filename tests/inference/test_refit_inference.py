"""Thousands of refits at once are told what each is told alone."""

import numpy as np
import pytest

import multilevel as ml
from multilevel.estimation.refits import fit_block, with_response
from multilevel.inference.refit_inference import many_fits, refit_inference

SCHOOLS = ml.Plan(school=8, pupil=5).assign("t", at="school").draw("x", (0, 1), at="pupil")
UNEVEN = ml.Plan(school=7, pupil=[2, 9, 4, 4, 12, 3, 5]).draw("x", (0, 1), at="pupil")
CASES = {
    "intercepts": ("Reaction ~ Days + (1 | Subject)", None, True),
    "intercepts by ML": ("Reaction ~ Days + (1 | Subject)", None, False),
    "slopes": ("Reaction ~ Days + (1 + Days | Subject)", None, True),
    "slopes by ML": ("Reaction ~ Days + (1 + Days | Subject)", None, False),
    "uncorrelated": ("Reaction ~ Days + (1 + Days || Subject)", None, True),
    "two terms": ("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", None, True),
    "no intercept": ("Reaction ~ 0 + Days + (0 + Days | Subject)", None, True),
    "low icc": ("y ~ t * x + (1 | school)", SCHOOLS, True),
    "uneven": ("y ~ x + (1 | school)", UNEVEN, True),
}


@pytest.mark.parametrize("case", CASES)
def test_all_at_once_agrees_with_one_by_one(case, sleepstudy):
    formula, plan, reml = CASES[case]
    data = sleepstudy if plan is None else ml.simulate(formula, plan, icc=0.1, seed=1)
    fit = ml.lmm(formula, data, reml=reml)
    Y, L = fit.simulate(25, seed=1), np.eye(len(fit.fixef))
    model = with_response(fit.design, fit._working_model(), fit.design.y)
    refits = fit_block(fit.design, model, fit.optimum, Y, reml)
    fits = many_fits(fit.design, model, reml=reml)
    alone = [fit.refit(y) for y in Y.T]
    for method in ("satterthwaite", "kenward-roger") if reml else ("satterthwaite",):
        many = refit_inference(fits, refits, Y, L, kenward_roger=method == "kenward-roger")
        assert many.known.any()
        for b in np.flatnonzero(many.known):
            inference = alone[b]._inference(method)
            # the two searches end within 1e-6 of each other where a variance is nearly zero
            np.testing.assert_allclose(many.df[b], inference.df(L), rtol=1e-5)
            np.testing.assert_allclose(many.std_error[b] ** 2, np.diag(inference.covariance(L)), rtol=1e-6)


def test_only_fits_on_the_boundary_are_left_out():
    data = ml.simulate("y ~ t * x + (1 + x | school)", SCHOOLS, sd={"school": [0.2, 0.1]}, seed=1)
    fit = ml.lmm("y ~ t * x + (1 + x | school)", data)
    Y = fit.simulate(40, seed=1)
    model = with_response(fit.design, fit._working_model(), fit.design.y)
    refits = fit_block(fit.design, model, fit.optimum, Y, True)
    many = refit_inference(many_fits(fit.design, model, reml=True), refits, Y, np.eye(4))
    assert (many.known | refits.singular).all()


def test_crossed_factors_and_other_structures_are_asked_one_by_one():
    penicillin = ml.lmm("diameter ~ 1 + (1 | plate) + (1 | sample)", ml.datasets.penicillin())
    assert many_fits(penicillin.design, penicillin._working_model(), reml=True) is None
    sleep = ml.lmm("Reaction ~ Days + cs(1 + Days | Subject)", ml.datasets.sleepstudy())
    assert many_fits(sleep.design, sleep._working_model(), reml=True) is None
