"""Standard errors and degrees of freedom at true variances: two ways, and the power that follows."""

import numpy as np
import pytest
from scipy import stats

import multilevel as ml
from multilevel.inference.planned_dense import dense_inference
from multilevel.inference.planned_generalized import average_information
from multilevel.inference.planned_power import PlannedTest, inference_at_truth
from multilevel.results.data_source import data_source
from multilevel.simulation.parameters import Values

PLANS = {
    "intercepts": ("y ~ t + x + (1 | g)", {"g": 0.5}),
    "slopes": ("y ~ t + x + (1 + x | g)", {"g": [0.5, 0.3]}),
    "uncorrelated": ("y ~ t + x + (1 + x || g)", {"g": [0.5, 0.3]}),
    "no spread": ("y ~ t + x + (1 | g)", {"g": 0.0}),
}
PLAN = ml.Plan(g=9, row=[3, 5, 8, 2, 12, 4, 4, 6, 7]).assign("t", at="g").draw("x", (1.0, 2.0), at="row")


def planned(formula, sd, plan=PLAN, **more):
    values = Values({"t": 0.5}, sd=sd, **more)
    source = data_source(formula, plan, values, None, None, None, None)
    study, truth, _ = source.study(np.random.default_rng(1))
    return study.design, truth


@pytest.mark.parametrize("case", PLANS)
def test_sums_over_levels_agree_with_matrices_over_rows(case):
    formula, sd = PLANS[case]
    design, truth = planned(formula, sd)
    L = np.eye(3)
    by_levels, by_rows = inference_at_truth(design.main, truth, L), dense_inference(design.main, truth, L)
    np.testing.assert_allclose(by_levels.std_error, by_rows.std_error, rtol=1e-9)
    np.testing.assert_allclose(by_levels.df, by_rows.df, rtol=1e-8)


def test_standard_errors_are_those_of_generalised_least_squares():
    design, truth = planned(*PLANS["slopes"], cor={"g": 0.4})
    main, term = design.main, truth.terms[0]
    same = main.groupings[0].codes[:, None] == main.groupings[0].codes[None, :]
    V = np.eye(main.n_rows) + same * (main.terms[0].Z @ term.covariance @ main.terms[0].Z.T)
    covariance = np.linalg.inv(main.X.T @ np.linalg.solve(V, main.X))
    found = inference_at_truth(main, truth, np.eye(3))
    np.testing.assert_allclose(found.std_error[0], np.sqrt(np.diag(covariance)), rtol=1e-9)


@pytest.mark.parametrize(
    ("df", "distance", "k"), [(18.0, 3.0, 1), (np.inf, 2.0, 1), (20.0, 3.0, 2), (np.inf, 3.0, 3)]
)
def test_power_is_that_of_the_noncentral_distribution(df, distance, k):
    found = PlannedTest(np.ones(k), df, distance**2, k).power(0.05)
    if np.isinf(df):
        expected = stats.ncx2.sf(stats.chi2.isf(0.05, k), k, distance**2)
    else:
        expected = stats.ncf.sf(stats.f.isf(0.05, k, df), k, df, distance**2)
    assert found == pytest.approx(expected, abs=1e-10)


def test_the_size_is_alpha_where_there_is_no_effect():
    assert PlannedTest(np.ones(1), 7.3, 0.0, 1).power(0.05) == pytest.approx(0.05, abs=1e-12)


def test_information_is_averaged_over_random_effects():
    plan = ml.Plan(g=5, row=4).assign("t", at="g")
    source = data_source(
        "y ~ t + (1 | g)", plan, Values({"t": 1.0}, sd={"g": 0.8}), "poisson", None, None, None
    )
    study, truth, _ = source.study(np.random.default_rng(1))
    # a count's information is its mean, whose average is that of a lognormal variable
    expected = np.exp(truth.eta_fixed + 0.32)
    np.testing.assert_allclose(average_information(study.design, truth), expected, rtol=1e-6)
