"""Whitening by every structure against dense matrices, and its derivatives against differences."""

from __future__ import annotations

import numpy as np
import pytest

from multilevel.covariance.residual.free import FreeCorrelation
from multilevel.estimation.residual.exchangeable import ExchangeableRows
from multilevel.estimation.residual.independent import IndependentRows
from multilevel.estimation.residual.markov import markov_rows
from multilevel.estimation.residual.patterned import patterned_rows
from multilevel.estimation.residual.stratified import stratified_rows

START = np.array([0, 3, 4, 8, 12, 14])
N = 14
CLUSTER = np.repeat(np.arange(5), np.diff(START))
TOGETHER = CLUSTER[:, None] == CLUSTER
WHOLE = np.array([0, 1, 4, 2, 0, 1, 2, 5, 1, 2, 3, 7, 0, 3], dtype=float)
REAL = WHOLE * 0.7 + 0.01 * np.arange(N)
VISIT = np.array([0, 1, 3, 2, 0, 1, 2, 3, 0, 1, 2, 3, 0, 3])
NAMES = tuple(f"r{k}" for k in range(6))


def exchangeable(start=START):
    return ExchangeableRows(start)


def correlation(rows, eta):
    """R (n, n) by the definition."""
    match rows:
        case IndependentRows():
            return np.eye(N)
        case ExchangeableRows():
            return np.where(TOGETHER, rows.chart.natural(eta)[0], 0.0) * (1 - np.eye(N)) + np.eye(N)
    if rows is STRUCTURES["free"]:
        return np.where(TOGETHER, rows.chart.matrix(eta)[np.ix_(VISIT, VISIT)], 0.0)
    if rows is STRUCTURES["strata"]:
        own = rows.chart.natural(eta)
        alpha = np.where(CLUSTER < 2, own[0], own[1])
        return np.where(TOGETHER, alpha ** np.abs(WHOLE[:, None] - WHOLE), 0.0)
    time = WHOLE if rows is STRUCTURES["whole times"] else REAL
    return np.where(TOGETHER, rows.chart.natural(eta)[0] ** np.abs(time[:, None] - time), 0.0)


STRUCTURES = {
    "independent": IndependentRows(),
    "exchangeable": exchangeable(),
    "whole times": markov_rows(START, WHOLE),
    "real times": markov_rows(START, REAL),
    "free": patterned_rows(FreeCorrelation(NAMES, 4), START, VISIT, 4),
    "strata": stratified_rows(
        ["a", "b"],
        [slice(0, 4), slice(4, 14)],
        [markov_rows(START[:3], WHOLE[:4]), markov_rows(START[2:] - 4, WHOLE[4:])],
    ),
}


@pytest.mark.parametrize("name", STRUCTURES)
@pytest.mark.parametrize("seed", [1, 2])
def test_whitening(name, seed):
    rows, rng = STRUCTURES[name], np.random.default_rng(seed)
    eta, E = 0.8 * rng.normal(size=len(rows.chart.names)), rng.normal(size=(N, 3))
    R, at = correlation(rows, eta), rows.at(eta)
    assert at.log_det == pytest.approx(np.linalg.slogdet(R)[1], abs=1e-10)
    T = at.whiten(np.eye(N))
    np.testing.assert_allclose(T @ R @ T.T, np.eye(N), atol=1e-10)
    np.testing.assert_allclose(at.whiten_back(at.whiten(E)), np.linalg.solve(R, E), atol=1e-9)


@pytest.mark.parametrize("name", STRUCTURES)
def test_slopes(name):
    rows, rng = STRUCTURES[name], np.random.default_rng(3)
    eta, E = 0.5 * rng.normal(size=len(rows.chart.names)), rng.normal(size=(N, 3))

    def value(at_eta):
        at = rows.at(at_eta)
        return at.log_det + (at.whiten(E) ** 2).sum()

    at = rows.at(eta)
    white = at.whiten(E)
    numeric = [(value(eta + s) - value(eta - s)) / 2e-5 for s in 1e-5 * np.eye(len(eta))]
    np.testing.assert_allclose(at.slopes(E, white, at.whiten_back(white)), numeric, atol=1e-6)


@pytest.mark.parametrize("name", STRUCTURES)
def test_starts_are_possible(name):
    rows = STRUCTURES[name]
    z = np.random.default_rng(4).normal(size=N)
    for eta in rows.starts(z):
        assert np.isfinite(rows.at(eta).log_det)


def test_an_exchangeable_correlation_can_be_as_negative_as_the_largest_group_allows():
    rows = exchangeable()
    low, high = rows.chart.limits[0]
    assert (low, high) == (-1.0 / 3.0, 1.0)
    assert low < rows.chart.natural(np.array([-30.0]))[0] < low + 1e-9


def test_even_distances_say_nothing_of_the_sign():
    rows = markov_rows(np.array([0, 2]), np.array([8.0, 10.0]))
    assert rows.chart.limits == ((0.0, 1.0),)
