"""Fixed effects, Hausman's test, and what noise in group means does."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

from multilevel.clusters.effects import (
    anova_size,
    corrected,
    fixed_effects,
    hausman,
    reliability_of_means,
)
from multilevel.clusters.within_between import split_columns


@pytest.mark.parametrize("balanced", [True, False])
def test_fixed_effects_are_a_regression_with_an_indicator_for_each_group(balanced: bool) -> None:
    random = np.random.default_rng(2)
    codes = np.repeat(np.arange(7, dtype=np.int32), 5 if balanced else [2, 3, 4, 5, 6, 7, 8])
    X = random.normal(size=(len(codes), 2)) + codes[:, None]
    y = X @ [1.0, -2.0] + codes + random.normal(size=len(codes))
    dummies = np.column_stack([X, np.eye(7)[codes]])
    beta, rss, *_ = np.linalg.lstsq(dummies, y, rcond=None)
    sigma2 = rss[0] / (len(y) - 9)
    fixed = fixed_effects(y, split_columns(X, codes), np.array([True, True]), None)
    assert_allclose(fixed.beta, beta[:2], rtol=1e-12)
    assert_allclose(
        fixed.covariance(np.eye(2)), sigma2 * np.linalg.inv(dummies.T @ dummies)[:2, :2], rtol=1e-10
    )
    assert fixed.known_df == len(y) - 9


def test_hausman_is_a_quadratic_form_in_any_units() -> None:
    fixed, random = np.array([1.0, 2.0]), np.array([0.8, 2.5])
    V_fixed, V_random = np.array([[0.2, 0.05], [0.05, 0.3]]), np.array([[0.1, 0.02], [0.02, 0.1]])
    test = hausman(fixed, V_fixed, random, V_random)
    d = fixed - random
    assert_allclose(test.statistic, d @ np.linalg.solve(V_fixed - V_random, d))
    assert_allclose(test.p_value, chi2.sf(test.statistic, 2))
    D = np.diag([1e6, 1e-6])
    scaled = hausman(D @ fixed, D @ V_fixed @ D, D @ random, D @ V_random @ D)
    assert_allclose(scaled.statistic, test.statistic)


def test_hausman_does_not_exist_for_a_difference_that_is_no_variance() -> None:
    test = hausman(np.array([1.0]), np.array([[0.1]]), np.array([0.5]), np.array([[0.2]]))
    assert not test.exists
    assert np.isnan(test.p_value)


def test_one_column_is_corrected_by_its_reliability() -> None:
    assert_allclose(corrected(np.array([[5.0]]), np.array([[1.0]]), np.array([2.0])), [2.0 / 0.8])
    assert np.isnan(corrected(np.array([[1.0]]), np.array([[2.0]]), np.array([2.0]))).all()


def test_reliability_is_that_of_the_analysis_of_variance() -> None:
    random = np.random.default_rng(3)
    codes = np.repeat(np.arange(20, dtype=np.int32), random.integers(2, 9, 20))
    X = (random.normal(size=20)[codes] + random.normal(size=len(codes)))[:, None]
    split = split_columns(X, codes)
    found = reliability_of_means(split, np.array([1.0]), np.array([True]), np.array([False]), None)
    means = split.means[:, 0] - X.mean()
    msb, msw = (split.sizes * means**2).sum() / 19, split.ss_within[0] / (len(codes) - 20)
    assert_allclose(found.reliability, [1.0 - msw / msb])
    assert_allclose(found.contextual, 1.0 / found.reliability)


def test_the_size_that_stands_for_all_is_the_common_one() -> None:
    assert_allclose(anova_size(np.full(5, 4.0)), 4.0)
    assert 1.0 < anova_size(np.array([1.0, 4.0, 9.0])) < 14.0 / 3.0


def test_the_correction_undoes_the_noise_of_few_members() -> None:
    """Slopes on means of four members fall short by their reliability, 0.8, beside another predictor."""
    random = np.random.default_rng(4)
    n_groups, size, context, of_z = 4000, 4, 1.5, 0.7
    codes = np.repeat(np.arange(n_groups, dtype=np.int32), size)
    z = random.normal(size=n_groups)
    true_mean = 0.6 * z + 0.8 * random.normal(size=n_groups)  # variance 1; members vary with variance 1
    x = true_mean[codes] + random.normal(size=len(codes))
    y = (context * true_mean + of_z * z)[codes] + 0.3 * x + random.normal(size=len(codes))
    split = split_columns(np.column_stack([x, z[codes]]), codes)
    y_means = split_columns(y[:, None], codes).means[:, 0]
    design = np.column_stack([np.ones(n_groups), split.means])
    slopes = np.linalg.lstsq(design, y_means - 0.3 * split.means[:, 0], rcond=None)[0][1:]
    both, constant = np.array([True, False]), np.array([False, True])
    found = reliability_of_means(split, slopes, both, constant, None)
    assert abs(slopes[0] - context) > 0.3
    assert_allclose(found.reliability, [0.8], atol=0.02)
    assert_allclose(found.contextual, [context], atol=0.1)  # four standard errors
