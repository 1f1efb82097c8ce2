"""Degrees of freedom and F tests of a cluster-robust variance: questions asked oddly, and too many."""

import numpy as np
import pytest

from multilevel.design.design import Grouping
from multilevel.errors import MultilevelWarning
from multilevel.estimation.ols import least_squares
from multilevel.inference.cluster_adjustment import independent_clusters
from multilevel.inference.robust_tests import ClusterRobust
from multilevel.inference.sandwich import ScoredRows


@pytest.fixture(scope="module")
def inference():
    """Twelve clusters, five coefficients."""
    rng = np.random.default_rng(1)
    codes = rng.integers(12, size=150).astype(np.int32)
    X = np.column_stack([np.ones(150), rng.normal(size=(150, 3)) + 5.0, rng.normal(size=12)[codes]])
    solution = least_squares(X, rng.normal(size=150) + rng.normal(size=12)[codes])
    basis = solution.centring.columns(X) @ solution.root
    rows = ScoredRows(basis, solution.residuals, None, None, 150.0)
    clusters = independent_clusters(rows, Grouping("g", codes, tuple("abcdefghijkl")), "CR2")
    core = clusters.scores.T @ clusters.scores
    return ClusterRobust(
        "CR2, Satterthwaite", solution.beta, solution.centring, solution.root, core, clusters
    )


def test_one_function_is_a_t_test_squared(inference):
    L = np.array([[0.0, 1, -1, 0, 2]])
    test = inference.f_test(L)
    t = (L @ inference.beta)[0] / np.sqrt(inference.covariance(L)[0, 0])
    assert test.statistic == pytest.approx(t**2, rel=1e-10)
    assert (test.df_num, test.df_den) == pytest.approx((1.0, inference.df(L)[0]), rel=1e-10)


def test_rows_that_repeat_others_do_not_count(inference):
    L = np.eye(5)[[1, 2]]
    redundant = np.vstack([L, 1e6 * (L[0] - 3.0 * L[1]), np.zeros(5)])
    at = np.array([0.5, -0.25])
    plain = inference.f_test(L, at)
    again = inference.f_test(redundant, np.array([*at, 1e6 * (at[0] - 3.0 * at[1]), 0.0]))
    assert again.df_num == 2.0
    assert (again.statistic, again.df_den, again.p_value) == pytest.approx(
        (plain.statistic, plain.df_den, plain.p_value), rel=1e-8
    )


def test_units_and_combinations_of_hypotheses_do_not_matter(inference):
    L = np.eye(5)[[1, 2, 4]]
    mix = np.array([[1e4, 1, 0], [0, 1e-3, 1], [2, 0, 1]])
    plain, mixed = inference.f_test(L), inference.f_test(mix @ L)
    assert (mixed.statistic, mixed.df_den) == pytest.approx((plain.statistic, plain.df_den), rel=1e-7)


def test_what_the_estimates_say_is_not_rejected(inference):
    L = np.eye(5)[1:]
    assert inference.f_test(L, L @ inference.beta).statistic == pytest.approx(0.0, abs=1e-12)


def test_as_many_hypotheses_as_clusters_cannot_be_tested():
    rng = np.random.default_rng(2)
    codes = (np.arange(60) % 4).astype(np.int32)
    X = np.column_stack([np.ones(60), rng.normal(size=(60, 5))])
    solution = least_squares(X, rng.normal(size=60))
    rows = ScoredRows(solution.centring.columns(X) @ solution.root, solution.residuals, None, None, 60.0)
    clusters = independent_clusters(rows, Grouping("g", codes, tuple("abcd")), "CR2")
    core = clusters.scores.T @ clusters.scores
    fit = ClusterRobust("CR2", solution.beta, solution.centring, solution.root, core, clusters)
    with pytest.warns(MultilevelWarning, match="4 clusters are too few to test 5 coefficients at once"):
        test = fit.f_test(np.eye(6)[1:])
    assert test.df_num == 5.0
    assert np.isnan([test.statistic, test.df_den, test.p_value]).all()


def test_no_function_has_no_df(inference):
    df = inference.df(np.array([[0.0] * 5, [0.0, 1, 0, 0, 0]]))
    assert np.isnan(df[0])
    assert np.isfinite(df[1])
    assert inference.df(np.empty((0, 5))).shape == (0,)


def test_many_functions_in_parts_are_those_at_once(inference, monkeypatch):
    L = np.random.default_rng(3).normal(size=(50, 5))
    whole = inference.df(L)
    monkeypatch.setattr("multilevel.inference.robust_tests.ENTRIES", 200)
    np.testing.assert_allclose(inference.df(L), whole, rtol=1e-12)
