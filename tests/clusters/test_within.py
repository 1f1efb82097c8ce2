"""What is left within groups, against least squares with dummies."""

from __future__ import annotations

import numpy as np

from multilevel.clusters.within import varying_within, within_groups, within_lines

RNG = np.random.default_rng(5)
CODES = RNG.integers(0, 6, 80).astype(np.int32)
WEIGHTS = RNG.uniform(0.5, 2.0, 80)
DUMMIES = np.eye(6)[CODES]


def left_by(basis: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Residuals of weighted least squares, by dense matrices."""
    root = np.sqrt(WEIGHTS)[:, None]
    return columns - basis @ np.linalg.lstsq(root * basis, root * columns, rcond=None)[0]


def test_means_are_taken_out() -> None:
    columns = RNG.normal(size=(80, 3)) + 1e6
    np.testing.assert_allclose(within_groups(columns, CODES, WEIGHTS), left_by(DUMMIES, columns), atol=1e-8)


def test_lines_are_taken_out() -> None:
    columns, time = RNG.normal(size=(80, 2)), RNG.normal(size=80)
    time[CODES == 2] = 1.5  # no line there
    lines = np.column_stack([DUMMIES, DUMMIES * time[:, None]])
    rest, n_lines = within_lines(columns, time, CODES, WEIGHTS)
    np.testing.assert_allclose(rest, left_by(lines, columns), atol=1e-10)
    assert n_lines == 5


def test_what_is_constant_within_groups_does_not_vary() -> None:
    columns = np.column_stack([np.ones(80), CODES * 0.1 + 1e5, RNG.normal(size=80) + 1e5])
    assert varying_within(columns, within_groups(columns, CODES, WEIGHTS)).tolist() == [False, False, True]
