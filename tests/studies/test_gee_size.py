"""With ten clusters the plain sandwich rejects too often, and the default of `ml.gee` does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # benchmarks are no part of the package

from benchmarks.studies import gee_size

SETTINGS = {setting.title: setting for setting in gee_size.SETTINGS}
SMALL = pytest.param(120, id="small")
LARGE = pytest.param(4_000, id="large", marks=pytest.mark.study)


@pytest.mark.parametrize("n", [SMALL, LARGE])
@pytest.mark.parametrize("title", list(SETTINGS))
def test_ten_clusters(title: str, n: int) -> None:
    rates = gee_size.rates(SETTINGS[title], n, seed=1)
    default, plain = rates[gee_size.DEFAULT], rates["sandwich, normal"]
    small = n < 1_000
    slack = 3.0 * default.error if small else 0.0  # chance
    assert 0.035 - slack < default.share < 0.065 + slack
    assert plain.share >= default.share
    assert small or plain.distance > 3.0  # the plain sandwich rejects too often
