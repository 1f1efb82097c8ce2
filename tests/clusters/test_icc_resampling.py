"""Jackknife and bootstrap against leaving groups out and drawing them by hand, and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtrit

from multilevel.clusters.icc_estimators import anova_icc, contributions, fleiss_cuzick
from multilevel.clusters.icc_resampling import ZScale, bootstrap_limits, jackknife_limits
from multilevel.clusters.one_way import GroupMoments, f_limits, group_moments, one_way

SIZES = np.array([2, 3, 5, 8, 8, 13])
CODES = np.repeat(np.arange(len(SIZES), dtype=np.int32), SIZES)
Y = np.random.default_rng(4).standard_normal(len(CODES)) + 0.5 * CODES


def icc_of(groups: list[np.ndarray]) -> float:
    codes = np.repeat(np.arange(len(groups), dtype=np.int32), [len(g) for g in groups])
    return one_way(group_moments(np.concatenate(groups), codes)).icc


GROUPS = [Y[j == CODES] for j in range(len(SIZES))]
ROWS = contributions(group_moments(Y, CODES))
SCALE = ZScale(one_way(group_moments(Y, CODES)).n0)


def z_and_se(groups: list[np.ndarray]) -> tuple[float, float]:
    left = SCALE.z(np.array([icc_of(groups[:j] + groups[j + 1 :]) for j in range(len(groups))]))
    k = len(groups)
    return float(SCALE.z(np.array(icc_of(groups)))), float(np.sqrt((k - 1) ** 2 / k * left.var(ddof=1)))


def test_the_scale_is_half_the_logarithm_of_f() -> None:
    anova = one_way(group_moments(Y, CODES))
    z = SCALE.z(np.array(anova.icc))
    assert z == pytest.approx(0.5 * np.log(anova.f))
    assert SCALE.icc(z) == pytest.approx(anova.icc)


def test_the_jackknife_leaves_out_one_group_at_a_time() -> None:
    z, se = z_and_se(GROUPS)
    half = stdtrit(len(GROUPS) - 1, 0.95) * se
    expected = SCALE.icc(np.array([z - half, z + half]))
    np.testing.assert_allclose(jackknife_limits(ROWS, [anova_icc], SCALE, 0.9)[0], expected, rtol=1e-9)


def test_the_bootstrap_draws_whole_groups() -> None:
    streams = [np.random.default_rng(seed) for seed in range(9)]
    limits = bootstrap_limits(ROWS, [anova_icc], SCALE, 0.5, streams)[0]
    z, se = z_and_se(GROUPS)
    t = []
    for seed in range(9):
        drawn = np.random.default_rng(seed).integers(len(GROUPS), size=len(GROUPS))
        own_z, own_se = z_and_se([GROUPS[j] for j in drawn])
        t.append((own_z - z) / own_se)
    expected = SCALE.icc(z - np.quantile(t, [0.75, 0.25]) * se)
    np.testing.assert_allclose(limits, expected, rtol=1e-8)


def test_two_groups_leave_no_limits() -> None:
    streams = [np.random.default_rng(1)]
    assert np.isnan(jackknife_limits(ROWS[:2], [anova_icc], SCALE, 0.95)).all()
    assert np.isnan(bootstrap_limits(ROWS[:2], [anova_icc], SCALE, 0.95, streams)).all()


# ---- simulation ----

REPLICATES, LEVEL = 400, 0.9


def normal_moments(rng: np.random.Generator, icc: float) -> GroupMoments:
    codes = np.repeat(np.arange(20, dtype=np.int32), np.tile([4, 8, 12, 16], 5))
    effects = np.sqrt(icc) * rng.standard_normal(20)
    return group_moments(effects[codes] + np.sqrt(1 - icc) * rng.standard_normal(len(codes)), codes)


def binary_moments(rng: np.random.Generator, icc: float) -> GroupMoments:
    codes = np.repeat(np.arange(30, dtype=np.int32), np.tile([10, 20, 30], 10))
    shape = (1.0 - icc) / icc
    p = rng.beta(0.4 * shape, 0.6 * shape, 30)
    return group_moments((rng.random(len(codes)) < p[codes]) * 1.0, codes)


def covered(limits: np.ndarray, icc: float) -> np.ndarray:
    return (limits[:, 0] <= icc) & (icc <= limits[:, 1])


def test_bias_and_coverage_for_normal_values() -> None:
    rng, found, hits = np.random.default_rng(11), [], []
    for _ in range(REPLICATES):
        moments = normal_moments(rng, 0.2)
        anova = one_way(moments)
        low, high = f_limits(anova, LEVEL)
        jackknife = jackknife_limits(contributions(moments), [anova_icc], ZScale(anova.n0), LEVEL)
        hits.append([low <= 0.2 <= high, *covered(jackknife, 0.2)])
        found.append(anova.icc)
    assert np.mean(found) == pytest.approx(0.2, abs=0.02)  # its bias is of the order 1 / k
    by_f, by_jackknife = np.mean(hits, axis=0)
    assert by_f == pytest.approx(LEVEL, abs=0.045)  # three standard errors of 400 replicates
    assert by_jackknife == pytest.approx(LEVEL, abs=0.06)  # and what it undercovers with 20 groups


def test_bias_and_coverage_for_binary_values() -> None:
    rng, found, hits = np.random.default_rng(12), [], []
    both = [anova_icc, fleiss_cuzick]
    for _ in range(REPLICATES):
        moments = binary_moments(rng, 0.1)
        anova = one_way(moments)
        rows = contributions(moments)
        hits.append(covered(jackknife_limits(rows, both, ZScale(anova.n0), LEVEL), 0.1))
        found.append([anova.icc, 1.0 - anova.ms_within * anova.n_obs / (anova.ss_between + anova.ss_within)])
    assert np.mean(found, axis=0) == pytest.approx([0.1, 0.1], abs=0.01)
    assert np.mean(hits, axis=0) == pytest.approx([LEVEL, LEVEL], abs=0.06)


def test_a_bootstrap_covers_too() -> None:
    rng, hits = np.random.default_rng(13), []
    for _ in range(150):
        moments = normal_moments(rng, 0.2)
        streams = [rng] * 99
        scale = ZScale(one_way(moments).n0)
        hits.append(
            covered(bootstrap_limits(contributions(moments), [anova_icc], scale, LEVEL, streams), 0.2)[0]
        )
    assert np.mean(hits) == pytest.approx(LEVEL, abs=0.08)  # three standard errors of 150 replicates
