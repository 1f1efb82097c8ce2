"""Shares of variance of generalized mixed models that have two parts."""

from __future__ import annotations

import numpy as np
import pytest

import multilevel as ml


@pytest.mark.parametrize("family", ["truncated_poisson", "truncated_nbinom2"])
def test_a_hurdle_has_the_icc_of_its_counts_above_zero(family: str) -> None:
    """The likelihood of a hurdle falls into that of zeros and that of the positive counts."""
    data = ml.datasets.salamanders()
    positive = data[data["count"] > 0]
    hurdle = ml.glmm("count ~ mined + (1 | site)", data, family=family, zi="~ mined")
    counts = ml.glmm("count ~ mined + (1 | site)", positive, family=family)
    one, other = hurdle.icc(), counts.icc()
    assert one["group"].tolist() == ["site"]  # latent only: a hurdle's responses are zeros as well
    assert one["icc"][0] == pytest.approx(other["icc"][0], rel=1e-4)  # two searches
    explained = hurdle.r2()["estimate"].to_numpy()
    assert 0.0 < explained[0] < explained[1] < 1.0


def test_a_hurdle_explains_what_performance_says() -> None:
    """performance 0.10.2 takes the mean 2.0 here, and then has marginal R2 0.259, conditional 0.268."""
    data = ml.datasets.salamanders()
    hurdle = ml.glmm("count ~ mined + (1 | site)", data, family="truncated_nbinom2", zi="~ mined")
    np.testing.assert_allclose(hurdle.r2(mean=2.0)["estimate"], [0.259, 0.268], atol=6e-4)  # three digits
    assert hurdle.icc(mean=2.0)["icc"][0] == pytest.approx(0.012, abs=5e-4)
