"""Do tests and intervals keep their promise where nothing is there to be found?

An honest test at 5% rejects in a share of n data sets whose standard deviation is sqrt(0.05 * 0.95 / n): four
of these are allowed, which chance exceeds once in 15,000 studies.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # benchmarks are no part of the package

from benchmarks.studies import boundary, size
from benchmarks.studies.rates import Rate, printed

PAIRS = {pair.title: pair for pair in boundary.PAIRS}
SMALL = pytest.param(200, id="small")
LARGE = pytest.param(10_000, id="large", marks=pytest.mark.study)


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_a_treatment_of_schools(n: int) -> None:
    rates = size.schools(n, seed=1)
    assert 0.4 < rates["pupils, one by one"].share < 0.6
    for method in ("Satterthwaite", "Kenward-Roger"):
        assert abs(rates[f"schools vary, {method}"].distance) < 4.0
    assert rates["schools vary, normal"].share > rates["schools vary, Satterthwaite"].share


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_a_slope_that_differs_between_persons(n: int) -> None:
    rates = size.slopes(n, seed=1)
    for method in ("Satterthwaite", "Kenward-Roger"):
        assert abs(rates[f"slopes vary too, {method}"].distance) < 4.0
        assert rates[f"intercepts vary, {method}"].share > 0.2  # the slopes left out are taken for noise


@pytest.mark.parametrize(
    "n", [pytest.param(2000, id="small"), pytest.param(20_000, id="large", marks=pytest.mark.study)]
)
@pytest.mark.parametrize("title", list(PAIRS))
def test_variances(title: str, n: int) -> None:
    rates = boundary.sizes(PAIRS[title], n, seed=1)
    naive, mixture = rates["naive chi-square"], rates["mixture"]
    assert naive.share < 0.03 + 4.0 * naive.error  # conservative: about half of the 5% is never used
    assert naive.share < mixture.share
    assert mixture.share > 0.03 - 4.0 * mixture.error
    assert mixture.distance < 4.0  # conservative in small samples, never the other way
    if "exact" in rates:
        assert abs(rates["exact"].distance) < 4.0


@pytest.mark.parametrize("large", ["(1 + x || g)", "(1 + x | g)"])
def test_mixtures_are_right_in_large_samples(large: str) -> None:
    pair = boundary.Pair("", "y ~ x", f"y ~ x + {large}", groups=300, rows=5)
    rates = boundary.sizes(pair, 2000, seed=5)
    assert abs(rates["mixture"].distance) < 4.0
    assert rates["naive chi-square"].distance < -4.0


def test_a_rate_says_how_far_it_is_from_nominal() -> None:
    rate = Rate(60, 1000)
    assert rate.share == 0.06
    assert rate.distance == pytest.approx(0.01 / (0.05 * 0.95 / 1000) ** 0.5)
    assert printed("A design", {"a test": rate}, intervals=True).endswith(
        "a test     6.0%   94.0%        +1.5"
    )
