"""CR2 and CR3 of least squares: against the textbook's n x n matrices, and against leaving clusters out."""

import numpy as np
import pytest

from dense_robust import dense_robust
from multilevel.design.design import Grouping
from multilevel.errors import ModelError
from multilevel.estimation.ols import least_squares
from multilevel.inference.cluster_adjustment import ADJUSTED_KINDS, adjusted_variance, independent_clusters
from multilevel.inference.cluster_stacks import stacks
from multilevel.inference.robust_tests import (
    expected_variance,
    hotelling_test,
    resting_on_one_cluster,
    satterthwaite_df,
)
from multilevel.inference.sandwich import ScoredRows

TINY, SMALL, LARGE = 1, 3, 40  # rows of a cluster: fewer than coefficients, as few, many more


def problem(seed=1, sizes=(TINY, SMALL, SMALL, LARGE, LARGE, 12, 7)):
    """Clusters of very different sizes, their rows in no order; X (n, 4) with a predictor of clusters."""
    rng = np.random.default_rng(seed)
    codes = rng.permutation(np.repeat(np.arange(len(sizes)), sizes)).astype(np.int32)
    n = len(codes)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 2)), rng.normal(size=len(sizes))[codes]])
    y = rng.normal(size=n) + rng.normal(size=len(sizes))[codes]
    return X, y, codes, rng.uniform(0.2, 3.0, n)


def grouping(codes):
    return Grouping("g", np.asarray(codes, dtype=np.int32), tuple(map(str, range(max(codes) + 1))))


def scored(X, y, precision=None, counts=None):
    """Rows in the basis of their fit, and the matrix that takes the basis back to coefficients."""
    weights = None if precision is None and counts is None else np.ones(len(y))
    for each in (precision, counts):
        weights = weights if each is None else weights * each
    solution = least_squares(X, y, weights)
    basis = solution.centring.columns(X) @ solution.root
    to_coefficients = solution.centring.contrasts(np.eye(X.shape[1])) @ solution.root
    n_obs = float(len(y) if counts is None else counts.sum())
    return ScoredRows(basis, solution.residuals, precision, counts, n_obs), to_coefficients


def dense(X, y, codes, w, kind):
    W = np.diag(w)
    beta = np.linalg.solve(X.T @ W @ X, X.T @ W @ y)
    return dense_robust(X, y - X @ beta, W, np.eye(len(y)), codes, kind), beta


@pytest.mark.parametrize("kind", ["CR0", *ADJUSTED_KINDS])
@pytest.mark.parametrize("weighted", [False, True])
def test_variance_and_its_tests_are_the_textbooks(kind, weighted):
    X, y, codes, w = problem()
    precision = w if weighted else None
    rows, P = scored(X, y, precision)
    found = independent_clusters(rows, grouping(codes), kind)
    core = found.scores.T @ found.scores
    expected, beta = dense(X, y, codes, w if weighted else np.ones(len(y)), kind)
    np.testing.assert_allclose(P @ core @ P.T, expected.vcov, rtol=1e-9, atol=1e-12)
    L = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0.3, -2, 1, 1]])
    np.testing.assert_allclose(satterthwaite_df(found, L @ P), [expected.df(c) for c in L], rtol=1e-9)
    for some in ([1], [1, 2], [1, 2, 3]):
        C = np.eye(4)[some]
        test = hotelling_test(found, core, C @ P, C @ beta)
        statistic, df_den = expected.hotelling(C, C @ beta)
        if df_den > 0:
            assert (test.statistic, test.df_den) == pytest.approx((statistic, df_den), rel=1e-8)
        else:
            assert np.isnan(test.p_value)


@pytest.mark.parametrize("weighted", [False, True])
def test_cr3_is_the_change_when_a_cluster_is_left_out(weighted):
    X, y, codes, w = problem(2)
    w = w if weighted else np.ones(len(y))
    rows, P = scored(X, y, w if weighted else None)

    def estimate(some):
        W = w[some, None]
        return np.linalg.solve(X[some].T @ (X[some] * W), X[some].T @ (w * y)[some])

    everything = estimate(codes >= 0)
    changes = np.array([estimate(codes != j) - everything for j in range(codes.max() + 1)])
    core = adjusted_variance(rows, grouping(codes), "CR3").core
    np.testing.assert_allclose(P @ core @ P.T, changes.T @ changes, rtol=1e-8)


@pytest.mark.parametrize("kind", ADJUSTED_KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_counts_are_repeated_rows(kind, weighted):
    X, y, codes, w = problem(3)
    counts = np.arange(len(y)) % 3 + 1
    repeated = [np.repeat(each, counts, axis=0) for each in (X, y, w, codes)]
    answers = []
    for rows, P, labels in (
        (*scored(X, y, w if weighted else None, counts.astype(float)), codes),
        (*scored(*repeated[:2], repeated[2] if weighted else None), repeated[3]),
    ):
        found = adjusted_variance(rows, grouping(labels), kind)
        answers.append((P @ found.core @ P.T, satterthwaite_df(found.adjusted, P)))
    np.testing.assert_allclose(answers[0][0], answers[1][0], rtol=1e-9)
    np.testing.assert_allclose(answers[0][1], answers[1][1], rtol=1e-9)


@pytest.mark.parametrize("kind", ADJUSTED_KINDS)
def test_order_of_rows_names_of_clusters_and_units_do_not_matter(kind):
    X, y, codes, _ = problem(4)
    rng = np.random.default_rng(4)
    order, names = rng.permutation(len(y)), rng.permutation(codes.max() + 1)
    T = np.array([[1.0, 1e8, 0, 0], [0, 1e3, 0, 0], [0, 0, 1e-3, 0], [0, 0, 0, 1.0]])  # moved far, rescaled
    answers = []
    for A, b, labels, back in ((X, y, codes, np.eye(4)), ((X @ T)[order], y[order], names[codes[order]], T)):
        rows, P = scored(A, b)
        found = adjusted_variance(rows, grouping(labels), kind)
        half = (back @ P)[1:]
        answers.append((half @ found.core @ half.T, satterthwaite_df(found.adjusted, half)))
    np.testing.assert_allclose(answers[0][0], answers[1][0], rtol=1e-6)  # x + 1e8 leaves 8 digits of x
    np.testing.assert_allclose(answers[0][1], answers[1][1], rtol=1e-6)


@pytest.mark.parametrize("kind", ADJUSTED_KINDS)
def test_fixed_effects_of_the_clusters_leave_the_others_as_they_are(kind):
    """Dummies for clusters may be taken out of y and X beforehand (theorem 2 of Pustejovsky and Tipton)."""
    X, y, codes, _ = problem(5, sizes=(5, 9, 4, 30, 11, 6))
    x = X[:, 1:3]
    dummies = (codes[:, None] == np.arange(6)).astype(float)
    rows, P = scored(np.column_stack([x, dummies]), y)
    found = adjusted_variance(rows, grouping(codes), kind)
    means = dummies @ np.linalg.solve(dummies.T @ dummies, dummies.T @ np.column_stack([x, y]))
    within = np.column_stack([x, y]) - means
    own, Q = scored(within[:, :2], within[:, 2])
    expected = adjusted_variance(own, grouping(codes), kind)
    np.testing.assert_allclose(P[:2] @ found.core @ P[:2].T, Q @ expected.core @ Q.T, rtol=1e-9)
    np.testing.assert_allclose(
        satterthwaite_df(found.adjusted, P[:2]), satterthwaite_df(expected.adjusted, Q), rtol=1e-9
    )
    np.testing.assert_array_equal(resting_on_one_cluster(found.adjusted, P), [False] * 2 + [True] * 6)


@pytest.mark.parametrize("kind", ADJUSTED_KINDS)
def test_clusters_of_one_row_are_the_variances_for_unequal_variances(kind):
    X, y, _, _ = problem(6)
    rows, _P = scored(X, y)
    h = np.einsum("ij,ij->i", rows.basis, rows.basis)
    power = 1 if kind == "CR2" else 2
    core = rows.basis.T @ (rows.basis * (rows.residuals**2 / (1 - h) ** power)[:, None])
    found = adjusted_variance(rows, grouping(range(len(y))), kind)
    np.testing.assert_allclose(found.core, core, rtol=1e-9, atol=1e-12)


def test_cr2_is_unbiased_under_its_working_model():
    X, y, codes, _ = problem(7)
    rows, _P = scored(X, y)
    found = independent_clusters(rows, grouping(codes), "CR2")
    np.testing.assert_allclose(expected_variance(found, np.eye(4)), np.eye(4), atol=1e-12)


def test_balanced_means_have_one_df_fewer_than_clusters():
    X, y, codes, _ = problem(8, sizes=(6,) * 9)
    rows, P = scored(X[:, :1], y)
    found = independent_clusters(rows, grouping(codes), "CR2")
    np.testing.assert_allclose(satterthwaite_df(found, P), [8.0], rtol=1e-12)


def test_one_cluster_is_refused():
    X, y, _, _ = problem()
    with pytest.raises(ModelError, match="'g' has one cluster"):
        adjusted_variance(scored(X, y)[0], grouping([0] * len(y)), "CR2")


def test_stacks_hold_every_row_once_and_stay_small(monkeypatch):
    monkeypatch.setattr("multilevel.inference.cluster_stacks.ENTRIES", 60)
    codes = np.random.default_rng(9).integers(30, size=400).astype(np.int32)
    found = list(stacks(codes, 30, width=2))
    assert sorted(np.concatenate([stack.rows.ravel() for stack in found])) == list(range(400))
    for stack in found:
        assert (codes[stack.rows] == stack.clusters[:, None]).all()
        assert stack.rows.size * 2 <= 60
        assert (np.diff(stack.rows, axis=1) > 0).all()
