"""Limits by the delta method, against the large-sample formula of the balanced one-way layout."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.clusters.icc_limits import percentile_limits


def test_the_delta_method_in_a_balanced_layout(dyestuff: pd.DataFrame) -> None:
    """With F = MSA / MSE, logit(icc) = log(F - 1) - log n, and log F has variance 2 / df1 + 2 / df2."""
    values = dyestuff["Yield"].to_numpy().reshape(6, 5)
    F = 5.0 * values.mean(axis=1).var(ddof=1) / values.var(axis=1, ddof=1).mean()
    half = 1.959963984540054 * F / (F - 1.0) * np.sqrt(2.0 / 5.0 + 2.0 / 24.0)
    logit = np.log((F - 1.0) / 5.0)
    table = ml.lmm("Yield ~ 1 + (1 | Batch)", dyestuff).icc(conf_int="delta")
    by_hand = 1.0 / (1.0 + np.exp(-(logit + np.array([-half, half]))))
    np.testing.assert_allclose(table[["conf_low", "conf_high"]].to_numpy()[0], by_hand, rtol=1e-5)


@pytest.mark.parametrize("formula", ["(1 + x | g)", "(x || g)", "(0 + x | g) + (1 | h)"])
def test_the_delta_method_agrees_with_the_spread_of_refits(formula: str) -> None:
    """Simulated from a fit with many groups, logits of the share spread as the delta method says."""
    rng = np.random.default_rng(2)
    g, h, x = np.repeat(np.arange(150), 8), np.tile(np.arange(40), 30), rng.normal(size=1200)
    y = (
        x
        + rng.normal(size=150)[g]
        + rng.normal(size=150)[g] * x
        + rng.normal(size=40)[h]
        + rng.normal(size=1200)
    )
    fit = ml.lmm(f"y ~ x + {formula}", pd.DataFrame({"y": y, "x": x, "g": g, "h": h}))
    delta, boot = (fit.icc(conf_int=method, level=0.8, n=400, seed=1) for method in ("delta", "bootstrap"))
    width = [
        np.diff(np.log(t[["conf_low", "conf_high"]] / (1 - t[["conf_low", "conf_high"]])))
        for t in (delta, boot)
    ]
    # the spread of 400 refits between their deciles is known to about 6%
    np.testing.assert_allclose(width[0], width[1], rtol=0.2)


def test_quantiles_leave_out_what_is_not_defined_unless_that_is_most() -> None:
    values = np.array([[1.0, np.nan], [2.0, np.nan], [np.nan, 1.0], [3.0, np.nan]])
    limits = percentile_limits(values, 0.5)
    np.testing.assert_allclose(limits.low, [1.5, np.nan])
    np.testing.assert_allclose(limits.high, [2.5, np.nan])


def test_a_variance_near_zero_has_all_shares_between_its_limits() -> None:
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(6), 5)
    noise, level = rng.normal(size=30), rng.normal(size=6)
    noise -= noise.reshape(6, 5).mean(axis=1)[g]
    level = (level - level.mean()) / level.std(ddof=1)
    within = (noise**2).sum() / 24.0
    y = noise + level[g] * np.sqrt(within / 5.0 * 1.001)  # the mean squares differ by a thousandth
    row = ml.lmm("y ~ 1 + (1 | g)", pd.DataFrame({"y": y, "g": g})).icc(conf_int="delta").iloc[0]
    assert 0.0 < row["icc"] < 1e-3
    np.testing.assert_allclose([row["conf_low"], row["conf_high"]], [0.0, 1.0], atol=1e-12)


def test_delta_limits_of_every_structure_are_finite() -> None:
    rng = np.random.default_rng(8)
    g, f = np.repeat(np.arange(40), 12), np.tile(np.repeat(["a", "b", "c"], 4), 40)
    level = rng.normal(size=(40, 1)) + rng.normal(size=(40, 3))
    y = level[g, np.unique(f, return_inverse=True)[1]] + rng.normal(size=480)
    data = pd.DataFrame({"y": y, "f": f, "g": g})
    shares = []
    for term in (
        "(0 + f | g)",
        "cs(0 + f | g)",
        "cs(0 + f | g, hom=True)",
        "ar1(0 + f | g)",
        "diag(0 + f | g)",
    ):
        row = ml.lmm(f"y ~ f + {term}", data).icc(conf_int="delta").iloc[0]
        assert 0.0 < row["conf_low"] < row["icc"] < row["conf_high"] < 1.0
        shares.append(row[["conf_low", "conf_high"]].to_numpy(float))
    np.testing.assert_allclose(shares, np.tile(shares[0], (5, 1)), atol=0.1)
