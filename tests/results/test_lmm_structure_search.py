"""Correlated structures end no worse than the simpler models inside them, whatever the data."""

from __future__ import annotations

import numpy as np
import pytest

import multilevel as ml


def panel(seed: int, effect: str, groups: int = 30, times: int = 4) -> dict[str, np.ndarray]:
    """Rows of groups at a few times, some missing; with no group effect, a shared one, or one a time."""
    rng = np.random.default_rng(seed)
    g, t = np.repeat(np.arange(groups), times), np.tile(np.arange(times), groups)
    keep = rng.uniform(size=len(g)) > 0.15
    # two rows at most times, so that the residual can be told from the effects
    g, t = np.repeat(g[keep], 2), np.repeat(t[keep], 2)
    effects = {
        "none": np.zeros((groups, times)),
        "shared": np.repeat(rng.normal(size=(groups, 1)), times, axis=1),
        "each": rng.normal(size=(groups, times)),
    }[effect]
    return {"y": t + effects[g, t] + rng.normal(size=len(g)), "t": t, "f": np.array(list("abcd"))[t], "g": g}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("effect", ["none", "shared", "each"])
@pytest.mark.parametrize("structure", ["cs", "ar1"])
def test_no_worse_than_what_it_contains(structure, effect, seed):
    data = panel(seed, effect)
    independent = ml.lmm("y ~ t + diag(0 + f | g)", data)
    free = ml.lmm(f"y ~ t + {structure}(0 + f | g, hom=FALSE)", data)
    common = ml.lmm(f"y ~ t + {structure}(0 + f | g, hom=TRUE)", data)
    shared = ml.lmm("y ~ t + (1 | g)", data)
    assert free.converged
    assert common.converged
    assert free.criterion <= independent.criterion + 1e-6
    assert free.criterion <= common.criterion + 1e-6
    assert common.criterion <= shared.criterion + 1e-6  # a correlation of one is a random intercept


def test_a_correlation_of_one_is_reached_and_named():
    found = [ml.lmm("y ~ t + ar1(0 + f | g)", panel(seed, "shared")) for seed in range(10)]
    at_one = [fit for fit in found if fit.record.terms[0].correlation[1, 0] > 1.0 - 1e-12]
    assert at_one
    assert all(fit.singular and fit.converged for fit in at_one)


@pytest.mark.parametrize("shift", [0.0, 1e4, 1e7])
def test_a_distant_origin_of_x_changes_nothing_but_the_intercept(shift):
    rng = np.random.default_rng(3)
    g = rng.integers(0, 60, 600)
    x = rng.normal(size=600)
    y = 1.0 + x + rng.normal(size=60)[g] + 0.7 * rng.normal(size=60)[g] * x + rng.normal(size=600)
    here = ml.lmm("y ~ x + (1 + x | g)", {"y": y, "x": x, "g": g})
    there = ml.lmm("y ~ x + (1 + x | g)", {"y": y, "x": x + shift, "g": g})
    assert there.criterion == pytest.approx(here.criterion, abs=1e-6)
    assert there.singular == here.singular == False  # noqa: E712
    assert there.icc()["icc"].iloc[0] == pytest.approx(here.icc()["icc"].iloc[0], rel=1e-6)
    np.testing.assert_allclose(there.marginal_cov("7"), here.marginal_cov("7"), rtol=1e-5, atol=1e-6)
