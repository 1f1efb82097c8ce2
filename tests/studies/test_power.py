"""Long runs of power studies: sizes where there is no effect, and power where a formula is exact."""

import numpy as np
import pytest

import multilevel as ml

pytestmark = pytest.mark.study

N = 20_000
SCHOOLS = "y ~ treated + (1 | school)"
EXACT = {  # balanced designs with so many groups that hardly a fit is singular
    "whole schools": (SCHOOLS, ml.Plan(school=16, pupil=30).assign("treated", at="school"), {"icc": 0.2}),
    "few schools": (SCHOOLS, ml.Plan(school=6, pupil=40).assign("treated", at="school"), {"icc": 0.3}),
    "within schools": (SCHOOLS, ml.Plan(school=12, pupil=10).assign("treated", at="pupil"), {"icc": 0.3}),
    "slopes": (
        "y ~ treated + (1 + treated | school)",
        ml.Plan(school=20, pupil=20).assign("treated", at="pupil"),
        {"sd": {"school": [0.7, 0.6]}, "cor": {"school": 0.2}, "sigma": 1.0},
    ),
}


@pytest.mark.parametrize("effect", [0.0, 0.3])
@pytest.mark.parametrize("case", EXACT)
def test_simulation_meets_the_formula_where_it_is_exact(case, effect):
    formula, plan, true = EXACT[case]
    found = ml.power(formula, plan, test="treated", fixef={"treated": effect}, n=N, seed=1, **true)
    exact = 0.05 if effect == 0.0 else found["formula"][0]
    # four standard errors, and what the share of singular fits can add
    singular = found["n_singular"][0] / N
    assert abs(found["power"][0] - exact) < 4.0 * np.sqrt(exact * (1 - exact) / N) + 0.5 * singular
    assert abs(found["coverage"][0] - 0.95) < 4.0 * np.sqrt(0.05 * 0.95 / N) + 0.5 * singular


@pytest.mark.parametrize("method", ["kenward-roger", "cluster-robust", "means"])
def test_other_exact_ways_keep_their_size(method):
    formula, plan, true = EXACT["few schools"]
    found = ml.type1(formula, plan, test="treated", n=N, seed=2, analyses=[method], **true)
    assert abs(found["rate"][0] - 0.05) < 4.0 * np.sqrt(0.05 * 0.95 / N) + found["n_singular"][0] / N
