"""Sandwich variances: against R, against the textbook matrices, and against what repeating rows does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multilevel.design.design import Grouping
from multilevel.errors import ModelError
from multilevel.estimation.ols import least_squares
from multilevel.inference.sandwich import CR_KINDS, HC_KINDS, ScoredRows, cr_variance, hc_variance, leverage

KINDS = (*HC_KINDS, *CR_KINDS)


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


def grouping(codes):
    return Grouping("g", np.asarray(codes, dtype=np.int32), tuple(map(str, range(max(codes) + 1))))


def sandwich(X, y, kind, codes=None, precision=None, counts=None):
    rows, P = scored(X, y, precision, counts)
    variance = hc_variance(rows, kind) if kind in HC_KINDS else cr_variance(rows, grouping(codes), kind)
    return P @ variance.core @ P.T


def problem(seed, n=24, n_clusters=6):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    codes = rng.permutation(np.arange(n) % n_clusters)
    return X, rng.normal(size=n) * (1.0 + X[:, 1] ** 2), codes, rng.uniform(0.2, 3.0, n)


def textbook_hc(X, y, w, power, scale=1.0):
    """(X'WX)^-1 [sum w^2 e^2 (1 - h)^-power x x'] (X'WX)^-1."""
    bread = np.linalg.inv(X.T @ (X * w[:, None]))
    e = y - X @ (bread @ X.T @ (w * y))
    h = w * np.einsum("ij,jk,ik->i", X, bread, X)
    return scale * bread @ (X.T * ((w * e) ** 2 / (1.0 - h) ** power)) @ X @ bread


@pytest.mark.parametrize(("kind", "power"), [("HC0", 0), ("HC1", 0), ("HC2", 1), ("HC3", 2)])
@pytest.mark.parametrize("weighted", [False, True])
def test_hc_is_the_textbook_matrix(kind, power, weighted):
    X, y, _, w = problem(1)
    scale = 24 / 21 if kind == "HC1" else 1.0
    expected = textbook_hc(X, y, w if weighted else np.ones(24), power, scale)
    got = sandwich(X, y, kind, precision=w if weighted else None)
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_cr0_is_the_textbook_matrix():
    X, y, codes, w = problem(2)
    bread = np.linalg.inv(X.T @ (X * w[:, None]))
    e = y - X @ (bread @ X.T @ (w * y))
    scores = [X[codes == g].T @ (w * e)[codes == g] for g in range(6)]
    expected = bread @ sum(np.outer(s, s) for s in scores) @ bread
    np.testing.assert_allclose(sandwich(X, y, "CR0", codes, w), expected, rtol=1e-10)


def test_clusters_of_one_row_are_no_clusters():
    X, y, _, _ = problem(3)
    np.testing.assert_allclose(sandwich(X, y, "CR0", range(24)), sandwich(X, y, "HC0"), rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_counts_are_repeated_rows(kind, weighted):
    X, y, codes, w = problem(4)
    counts = np.arange(24) % 3 + 1
    precision = w if weighted else None
    repeated = [np.repeat(each, counts, axis=0) for each in (X, y, codes, w)]
    expected = sandwich(*repeated[:2], kind, repeated[2], repeated[3] if weighted else None)
    got = sandwich(X, y, kind, codes, precision, counts.astype(float))
    np.testing.assert_allclose(got, expected, rtol=1e-10)


@given(st.integers(0, 10**6), st.sampled_from(KINDS))
@settings(max_examples=30, deadline=None)
def test_order_of_rows_and_names_of_clusters_do_not_matter(seed, kind):
    X, y, codes, _ = problem(seed)
    rng = np.random.default_rng(seed)
    rows, names = rng.permutation(24), rng.permutation(6)
    shuffled = sandwich(X[rows], y[rows], kind, names[codes[rows]])
    np.testing.assert_allclose(shuffled, sandwich(X, y, kind, codes), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_affine_changes_of_x_carry_over(kind):
    X, y, codes, _ = problem(5)
    T = np.array([[1.0, 1e6, -3.0], [0.0, 1e3, 0.0], [0.0, 0.0, 1e-3]])  # X T: columns moved and rescaled
    back = np.linalg.inv(T)
    expected = back @ sandwich(X, y, kind, codes) @ back.T
    scale = np.sqrt(np.outer(expected.diagonal(), expected.diagonal()))
    np.testing.assert_allclose(sandwich(X @ T, y, kind, codes) / scale, expected / scale, atol=1e-9)


def test_leverages_add_up_to_the_number_of_coefficients():
    X, y, _, w = problem(6)
    rows, _ = scored(X, y, w)
    assert leverage(rows).sum() == pytest.approx(3.0, rel=1e-12)


@pytest.mark.parametrize("kind", ["HC2", "HC3"])
def test_a_row_with_a_coefficient_of_its_own_is_refused(kind):
    X, y, _, _ = problem(7)
    alone = np.column_stack([X, np.arange(24) == 11])
    with pytest.raises(ModelError, match=r"first: 11.*HC1"):
        sandwich(alone, y, kind)


def test_one_cluster_is_refused():
    X, y, _, _ = problem(8)
    with pytest.raises(ModelError, match="'g' has one cluster"):
        sandwich(X, y, "CR0", [0] * 24)


def test_cr1p_needs_more_clusters_than_coefficients():
    X, y, codes, _ = problem(9, n_clusters=3)
    with pytest.raises(ModelError, match=r"more clusters \(3\) than coefficients \(3\)"):
        sandwich(X, y, "CR1p", codes)
