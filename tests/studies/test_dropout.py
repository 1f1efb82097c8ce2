"""Which methods stay right when people leave because of what was seen?

A mean of n estimates has the standard deviation of one over sqrt(n): four of these are allowed, which chance
exceeds once in 15,000 studies.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # benchmarks are no part of the package

from benchmarks.studies import dropout

pytestmark = pytest.mark.filterwarnings("ignore:the largest weight")  # some of many data sets have one
SMALL = pytest.param(40, id="small")
LARGE = pytest.param(2000, id="large", marks=pytest.mark.study)


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_dropout_at_random(n: int) -> None:
    found = dropout.study(n, seed=1)
    assert found["least squares"].distance < -8.0
    for method in ("mixed model", "weighted, projected"):
        assert abs(found[method].distance) < 4.0
    slack = 4.0 * np.sqrt(0.95 * 0.05 / n)
    assert found["mixed model"].coverage > 0.95 - slack
    assert (
        found["weighted, projected"].coverage > 0.93 - slack
    )  # sandwiches of 200 clusters are a little small
    assert found["least squares"].coverage < found["weighted, projected"].coverage
    assert found["weighted, projected"].se_ratio <= found["weighted, weights as known"].se_ratio


def test_the_printed_study_names_every_method() -> None:
    text = dropout.printed(dropout.study(3, seed=2))
    assert "least squares" in text
    assert "weighted, derivative" in text
