import numpy as np
import pytest

import multilevel as ml
from multilevel.clusters.shrinkage import raw_deviations, reliability


def test_the_raw_deviation_of_an_intercept_is_the_mean_residual():
    codes = np.array([0, 1, 0, 2, 1], dtype=np.int32)
    residual = np.array([1.0, 2.0, 3.0, -1.0, 4.0])
    deviations = raw_deviations(np.ones((5, 1)), residual, np.ones(5), codes)
    np.testing.assert_allclose(deviations[:, 0], [2.0, 3.0, -1.0])
    weighted = raw_deviations(np.ones((5, 1)), residual, np.array([1.0, 1.0, 3.0, 1.0, 1.0]), codes)
    assert weighted[0, 0] == pytest.approx(2.5)


def test_the_raw_deviation_of_a_slope_is_least_squares_within_the_level():
    rng = np.random.default_rng(1)
    codes = np.repeat(np.arange(4, dtype=np.int32), 6)
    Z = np.column_stack([np.ones(24), rng.normal(1e6, 1.0, 24)])
    residual = rng.normal(size=24)
    deviations = raw_deviations(Z, residual, np.ones(24), codes)
    for level in range(4):
        rows = codes == level
        expected = np.linalg.lstsq(Z[rows] - [0.0, 1e6], residual[rows], rcond=None)[0]
        assert deviations[level, 1] == pytest.approx(expected[1], rel=1e-6)


def test_a_level_that_does_not_identify_its_effects_has_none():
    codes = np.array([0, 0, 0, 1, 2, 2], dtype=np.int32)
    Z = np.column_stack([np.ones(6), [0.0, 1.0, 2.0, 5.0, 3.0, 3.0]])
    deviations = raw_deviations(Z, np.arange(6.0), np.ones(6), codes)
    np.testing.assert_allclose(deviations[0], [0.0, 1.0], atol=1e-12)
    assert np.isnan(deviations[1:]).all()


def test_reliability_lies_between_nothing_and_certainty():
    conditional = np.array([[0.0, 2.0, 0.0], [4.0, 1.0, 0.0]])
    np.testing.assert_allclose(
        reliability(conditional, np.array([4.0, 2.0, 0.0])), [[1.0, 0.0, 0.0], [0.0, 0.5, 0.0]]
    )


def test_a_balanced_intercept_shrinks_by_its_reliability(dyestuff):
    table = ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff).ranef()
    np.testing.assert_allclose(table["estimate"], table["reliability"] * table["raw_deviation"], rtol=1e-8)


def test_reliability_grows_with_the_size_of_the_level(sleepstudy):
    data = sleepstudy.drop(index=range(2, 10))  # subject 308 keeps two of ten days
    table = ml.lmm("Reaction ~ Days + (1 | Subject)", data).ranef()
    assert table["reliability"].idxmin() == 0


def test_two_terms_of_one_factor_stand_side_by_side(sleepstudy):
    fit = ml.lmm("Reaction ~ Days + (1 | Subject) + (0 + Days | Subject)", sleepstudy)
    table = fit.ranef()
    assert table["term"].tolist()[:4] == ["Intercept", "Days", "Intercept", "Days"]
    assert len(table) == 36
