"""Is quadrature right where Laplace's approximation is visibly not?"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # benchmarks are no part of the package

from benchmarks.studies import nodes


@pytest.mark.parametrize(
    ("trials", "patients"),
    [pytest.param(40, 300, id="small"), pytest.param(400, 1000, id="large", marks=pytest.mark.study)],
)
def test_random_intercepts_of_variance_16_and_seven_binary_visits(trials: int, patients: int) -> None:
    found = nodes.compared(trials, patients, [1, 25], seed=1)
    laplace, quadrature = found[1], found[25]
    # a maximum likelihood estimate has a bias of its own, of the order of its variance over its size
    own = (quadrature.values.var(axis=0) / np.abs(nodes.TRUTH)).max()
    assert np.all(np.abs(quadrature.bias) < 3.5 * quadrature.simulation_error + own)
    assert laplace.distance[1] < -3.0  # the intercept is too far from zero,
    assert laplace.bias[1] < -0.4
    assert laplace.bias[0] > 0.0  # the standard deviation too large,
    assert laplace.coverage[1] < quadrature.coverage[1]  # and the intervals miss
