"""The core's sums over clusters against matrices that are formed and inverted."""

from __future__ import annotations

import numpy as np
import pytest

from multilevel.kernels import gee, gee_reference
from multilevel.kernels.threads import use_threads

ROUNDING = 1e-12


def starts(sizes):
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def inverse(name, rng, start):
    n, sizes = int(start[-1]), np.diff(start)
    match name:
        case "independent":
            return gee.IndependentInverse(start)
        case "exchangeable":
            return gee.ExchangeableInverse(start, 0.4)
        case "no correlation at all":  # 1 + (m - 1) alpha < 0: indefinite, but it has an inverse
            return gee.ExchangeableInverse(start, -0.7)
        case "markov":
            rho = rng.uniform(-0.9, 0.9, n)
            rho[start[:-1]] = 0.0
            return gee.MarkovInverse(start, rho)
        case "nested":
            ends = [np.unique(rng.integers(1, m, 2)) if m > 1 else [] for m in sizes]
            inner = [start[k] + np.concatenate([[0], ends[k]]) for k in range(len(sizes))]
            group_start = np.append(np.concatenate(inner), n).astype(np.int64)
            first_group = np.searchsorted(group_start, start).astype(np.int64)
            return gee.NestedInverse(start, group_start, first_group, 0.6, -0.02)
    patterns = {int(m): k for k, m in enumerate(np.unique(sizes))}
    matrices = [np.linalg.inv(np.eye(m) + 0.1 * np.ones((m, m))) for m in patterns]
    offset = np.concatenate([[0], np.cumsum([m * m for m in patterns])[:-1]]).astype(np.int64)
    table = np.concatenate([M.ravel() for M in matrices])
    return gee.PatternInverse(start, np.array([patterns[int(m)] for m in sizes]), offset, table)


NAMES = ("independent", "exchangeable", "no correlation at all", "markov", "nested", "patterned")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", [[3, 1, 5, 2, 7], [1, 1], [9], [40] * 70], ids=str)
def test_sums(name, sizes):
    rng = np.random.default_rng(len(sizes))
    start = starts(sizes)
    n = int(start[-1])
    X = np.asfortranarray(rng.normal(size=(n, 3)))
    slope, residual = rng.normal(size=n), rng.normal(size=n)
    R = inverse(name, rng, start)
    ours = gee.estimating_sums(R, X, slope, residual, gee.ByCluster.scores_and_informations)
    twin = gee_reference.estimating_sums(R, X, slope, residual)
    for part in ("information", "score", "scores", "informations"):
        expected = getattr(twin, part)
        np.testing.assert_allclose(getattr(ours, part), expected, atol=ROUNDING * np.abs(expected).max() * n)
    np.testing.assert_allclose(gee.inverse_times(R, X), gee_reference.inverse_times(R, X), atol=1e-10)
    alone = gee.estimating_sums(R, X, slope, residual, gee.ByCluster.scores)
    np.testing.assert_allclose(alone.scores, ours.scores, atol=1e-12 * np.abs(ours.scores).max())
    assert alone.informations.size == 0


@pytest.mark.parametrize("a", [0.7, -0.4, 0.0])
@pytest.mark.parametrize("alike", [False, True])
def test_decaying_products(a, alike):
    rng = np.random.default_rng(1)
    start = starts([4, 1, 6])
    gap = rng.integers(1, 4, 11).astype(float)
    u = rng.normal(size=11)
    v = u if alike else rng.normal(size=11)
    ours, twin = (
        gee.decaying_products(start, u, v, gap, a),
        gee_reference.decaying_products(start, u, v, gap, a),
    )
    np.testing.assert_allclose(ours, twin, atol=1e-13)


def test_decaying_products_at_any_times():
    rng = np.random.default_rng(2)
    start, gap = starts([5, 3]), rng.uniform(0.1, 2.0, 8)
    u, v = rng.normal(size=(2, 8))
    ours, twin = (
        gee.decaying_products(start, u, v, gap, 0.5),
        gee_reference.decaying_products(start, u, v, gap, 0.5),
    )
    np.testing.assert_allclose(ours, twin, atol=1e-13)


def pair_tables(rng, sizes):
    q, start = 3, starts(sizes)
    distinct = np.unique(sizes)
    pairs = [m * (m - 1) // 2 for m in distinct]
    per_pair = rng.integers(0, 3, sum(pairs))
    entries = int(per_pair.sum())
    return gee.PairTables(
        start=start,
        pattern=np.searchsorted(distinct, sizes).astype(np.int64),
        first_pair=starts(pairs),
        first_entry=starts(per_pair),
        parameter=rng.integers(0, q, entries),
        value=rng.normal(size=entries),
        n_parameters=q,
    )


def test_pairs():
    rng = np.random.default_rng(3)
    tables = pair_tables(rng, [3, 4, 1, 3, 2])
    u, v = rng.normal(size=13), rng.normal(size=13)
    np.testing.assert_allclose(
        gee.pair_products(tables, u, v), gee_reference.pair_products(tables, u, v), atol=1e-13
    )
    np.testing.assert_allclose(gee.pair_gram(tables, u), gee_reference.pair_gram(tables, u), atol=1e-13)


@pytest.mark.parametrize("link", list(gee.MeanLink))
@pytest.mark.parametrize("variance", list(gee.MeanVariance))
def test_working_rows(link, variance):
    rng = np.random.default_rng(4)
    n = 3000  # more than one chunk
    X, beta = np.asfortranarray(rng.uniform(0.1, 1.0, (n, 2))), np.array([0.3, 0.2])
    y, w, offset = rng.normal(size=n), rng.uniform(0.5, 2.0, n), rng.uniform(0.0, 0.1, n)
    eta = offset + X @ beta
    mu = {"logit": 1.0 / (1.0 + np.exp(-eta)), "log": np.exp(eta), "identity": eta}[link.name]
    slope = {"logit": mu * (1.0 - mu), "log": mu, "identity": np.ones(n)}[link.name]
    V = {"one": np.ones(n), "binomial": mu * (1.0 - mu), "mean": mu, "square": mu**2}[variance.name]
    with np.errstate(invalid="ignore"):
        rows = gee.working_rows(X, beta, offset, y, w, link, variance)
        assert rows.possible == bool((V > 0.0).all())
        np.testing.assert_allclose(rows.slope, slope * np.sqrt(w / V), rtol=1e-12)
        np.testing.assert_allclose(rows.pearson, (y - mu) / np.sqrt(V), rtol=1e-11)


def test_impossible_means_are_reported():
    X = np.asfortranarray([[1.0], [-1.0]])
    rows = gee.working_rows(
        X, np.array([1.0]), None, np.ones(2), None, gee.MeanLink.identity, gee.MeanVariance.mean
    )
    assert not rows.possible


def test_a_gamma_mean_is_positive():
    X = np.asfortranarray([[1.0], [-1.0]])
    rows = gee.working_rows(
        X, np.array([1.0]), None, np.ones(2), None, gee.MeanLink.identity, gee.MeanVariance.square
    )
    assert not rows.possible


def test_threads_do_not_change_bits():
    rng = np.random.default_rng(5)
    start = starts(rng.integers(1, 30, 2000))
    n = int(start[-1])
    X = np.asfortranarray(rng.normal(size=(n, 4)))
    slope, residual = rng.normal(size=n), rng.normal(size=n)
    try:
        use_threads(1)
        one = gee.estimating_sums(gee.ExchangeableInverse(start, 0.3), X, slope, residual)
        use_threads(3)
        three = gee.estimating_sums(gee.ExchangeableInverse(start, 0.3), X, slope, residual)
    finally:
        use_threads()
    assert (one.information == three.information).all()
    assert (one.score == three.score).all()


def test_sizes_are_checked_at_the_border():
    start = starts([2, 2])
    X = np.asfortranarray(np.ones((3, 1)))
    with pytest.raises(ValueError, match="rows of the clusters"):
        gee.estimating_sums(gee.IndependentInverse(start), X, np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="at least one row"):
        gee.inverse_times(gee.IndependentInverse(np.array([0, 2, 2])), X)
    short = gee.PatternInverse(start, np.zeros(2, dtype=np.int64), np.zeros(1, dtype=np.int64), np.ones(1))
    with pytest.raises(ValueError, match="too short"):
        gee.inverse_times(short, np.asfortranarray(np.ones((4, 1))))
