"""Effects of combinations as coefficients of a factor."""

from __future__ import annotations

import numpy as np

from multilevel.clusters.cell_effects import cell_lines

GROUPS = np.repeat([0, 1], 3).astype(np.int32)
LEVELS = np.tile([0, 1, 2], 2)
CELLS = np.arange(6, dtype=np.int32)
EFFECTS = np.array([1.0, 2.0, 4.0, -1.0, 0.0, 3.0])


def test_treatment_coding_has_differences_from_the_first_level() -> None:
    found = cell_lines(EFFECTS, GROUPS, CELLS, np.eye(3)[LEVELS][:, 1:])
    assert found is not None
    np.testing.assert_allclose(found.coefficients, [[1.0, 1.0, 3.0], [-1.0, 1.0, 4.0]], atol=1e-12)
    np.testing.assert_allclose(found.variance, [1.0, 2.0, 2.0])


def test_sum_coding_has_deviations_from_the_mean() -> None:
    coding = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    found = cell_lines(EFFECTS, GROUPS, CELLS, coding[LEVELS])
    assert found is not None
    means = EFFECTS.reshape(2, 3).mean(axis=1)
    np.testing.assert_allclose(found.coefficients[:, 0], means, atol=1e-12)
    np.testing.assert_allclose(found.coefficients[:, 1], EFFECTS.reshape(2, 3)[:, 0] - means, atol=1e-12)
    np.testing.assert_allclose(found.variance[0], 1 / 3)


def test_columns_that_do_not_tell_the_levels_apart() -> None:
    assert cell_lines(EFFECTS, GROUPS, CELLS, (LEVELS == 1)[:, None].astype(float)) is None
