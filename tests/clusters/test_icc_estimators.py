"""Estimators as sums over groups against their definitions, written out over groups, pairs and values."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from scipy.special import expit

from multilevel.clusters.icc_estimators import ESTIMATORS, contributions, sums_of
from multilevel.clusters.icc_latent import log_scale_icc, logistic_icc
from multilevel.clusters.one_way import group_moments, one_way

SIZES = (1, 2, 3, 5, 8, 8, 13)
CODES = np.repeat(np.arange(len(SIZES), dtype=np.int32), SIZES)
BINARY = (
    np.random.default_rng(3).random(len(CODES)) < np.array([0.2, 0.9, 0.5, 0.3, 0.7, 0.1, 0.6])[CODES]
) * 1.0
NORMAL = np.random.default_rng(4).standard_normal(len(CODES)) + CODES


def by_sums(name: str, y: np.ndarray) -> float:
    return float(ESTIMATORS[name](sums_of(contributions(group_moments(y, CODES)).sum(axis=0))))


def groups_of(y: np.ndarray) -> list[np.ndarray]:
    return [y[j == CODES] for j in range(len(SIZES))]


def test_fleiss_and_cuzick_count_disagreements() -> None:
    n, k, p = len(BINARY), len(SIZES), BINARY.mean()
    disagreement = sum(g.sum() * (len(g) - g.sum()) / len(g) for g in groups_of(BINARY))
    assert by_sums("fleiss_cuzick", BINARY) == pytest.approx(1 - disagreement / ((n - k) * p * (1 - p)))


def test_kleinman_weighs_proportions_by_size() -> None:
    p_j = np.array([g.mean() for g in groups_of(BINARY)])
    n_j, w = np.array(SIZES), np.array(SIZES) / len(BINARY)
    p = w @ p_j
    spread = w @ (p_j - p) ** 2
    chance = p * (1 - p) * (w * (1 - w) / n_j).sum()
    expected = (spread - chance) / (p * (1 - p) * (w * (1 - w)).sum() - chance)
    assert by_sums("moments", BINARY) == pytest.approx(expected)


@pytest.mark.parametrize("y", [BINARY, NORMAL, 1e8 + NORMAL])
def test_the_pairwise_correlation_is_pearsons_over_all_pairs(y: np.ndarray) -> None:
    pairs = [(g[i], g[j]) for g in groups_of(y) for i in range(len(g)) for j in range(len(g)) if i != j]
    expected = np.corrcoef(np.array(pairs).T)[0, 1]
    assert by_sums("pairwise", y) == pytest.approx(expected, rel=1e-7)  # np.corrcoef loses digits at 1e8


@pytest.mark.parametrize("y", [BINARY, NORMAL])
def test_the_anova_estimator_is_that_of_the_table(y: np.ndarray) -> None:
    assert by_sums("anova", y) == pytest.approx(one_way(group_moments(y, CODES)).icc, rel=1e-12)


@pytest.mark.parametrize("name", list(ESTIMATORS))
def test_swapping_zeros_and_ones_changes_nothing(name: str) -> None:
    assert by_sums(name, 1.0 - BINARY) == pytest.approx(by_sums(name, BINARY), rel=1e-12)


# ---- latent scales ----


@pytest.mark.parametrize(("centre", "sd"), [(0.0, 0.3), (-1.5, 1.0), (-4.0, 2.0), (2.0, 6.0)])
def test_the_logistic_scale_is_found_again(centre: float, sd: float) -> None:
    nodes, weights = np.polynomial.hermite_e.hermegauss(181)  # an integration of another kind
    weights = weights / weights.sum()
    p = expit(centre + sd * nodes)
    mean, both = weights @ p, weights @ p**2
    icc = (both - mean**2) / (mean * (1 - mean))
    # 181 nodes leave 1e-5 of the integrals of so steep a curve as sd = 6 has
    assert logistic_icc(mean, icc) == pytest.approx(sd**2 / (sd**2 + np.pi**2 / 3), rel=1e-4)


def test_the_logistic_scale_has_ends() -> None:
    assert logistic_icc(0.3, -0.2) == logistic_icc(0.3, 0.0) == 0.0
    assert logistic_icc(0.3, 1.0) == 1.0
    assert np.isnan(logistic_icc(0.3, np.nan))


def test_latent_correlations_are_consistent() -> None:
    rng = np.random.default_rng(7)
    codes = np.repeat(np.arange(20_000, dtype=np.int32), 8)
    effects = rng.standard_normal(20_000)[codes]
    binary = (rng.random(len(codes)) < expit(-1.0 + effects)) * 1.0
    found = logistic_icc(binary.mean(), one_way(group_moments(binary, codes)).icc)
    assert found == pytest.approx(1.0 / (1.0 + np.pi**2 / 3.0), abs=0.01)  # three standard errors
    counts = rng.poisson(np.exp(0.5 + 0.5 * effects)).astype(float)
    moments = group_moments(counts, codes)
    estimator = partial(log_scale_icc, centre=moments.grand_mean)
    mean = np.exp(0.5 + 0.125)
    found = float(estimator(sums_of(contributions(moments).sum(axis=0))))
    assert found == pytest.approx(0.25 / (0.25 + np.log1p(1.0 / mean)), abs=0.02)
