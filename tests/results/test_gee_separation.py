"""A predictor that tells the responses apart: `ml.gee` refuses it, by name, and not what only looks so."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import multilevel as ml


def visits() -> pd.DataFrame:
    """Four visits of each of 30 patients on three treatments."""
    rng = np.random.default_rng(1)
    arm = np.repeat(np.tile(["a", "b", "c"], 10), 4)
    return pd.DataFrame(
        {"id": np.repeat(np.arange(30), 4), "arm": arm, "week": np.tile([0.0, 2.0, 4.0, 8.0], 30)}
    ).assign(y=rng.integers(0, 2, 120))


@pytest.mark.parametrize("corr", ["independence", "exchangeable", "ar1", "unstructured"])
@pytest.mark.parametrize("link", ["logit", "probit", "cloglog"])
def test_a_treatment_that_always_works_is_named(corr, link):
    data = visits().assign(y=lambda d: np.where(d["arm"] == "c", 1, d["y"]))
    said = r"^arm\[T\.c\] separates the successes and failures of 'y' perfectly, so the estimating equations"
    with pytest.raises(ml.errors.SeparationError, match=said):
        ml.gee("y ~ arm + week", data, groups="id", family="binomial", link=link, corr=corr)


def test_counts_that_are_all_zero():
    data = visits().assign(y=lambda d: np.where(d["arm"] == "b", 0, 2 * d["y"]))
    with pytest.raises(ml.errors.SeparationError, match=r"arm\[T\.b\] separates the zeros of 'y' perfectly"):
        ml.gee("y ~ arm", data, groups="id", family="poisson", corr="exchangeable")


def test_shares_that_are_all_one():
    data = visits().assign(n=3, s=lambda d: np.where(d["week"] > 1.0, 3, 2 * d["y"]))
    with pytest.raises(ml.errors.SeparationError, match="week separates the successes"):
        ml.gee("s / n ~ week", data, groups="id", family="binomial")


def test_steep_is_not_separated():
    """Fitted probabilities nearer to one than 1e-5, and overlap all the same."""
    rng = np.random.default_rng(1)
    x = 5.0 * rng.normal(size=200)
    data = pd.DataFrame({"x": x, "y": rng.random(200) < 1.0 / (1.0 + np.exp(-3.0 * x))})
    data["id"] = np.repeat(np.arange(50), 4)
    fit = ml.gee("y ~ x", data, groups="id", family="binomial")
    assert fit.fitted.max() > 1.0 - 1e-5
    np.testing.assert_allclose(fit.fixef, ml.glm("y ~ x", data, family="binomial").fixef, rtol=1e-6)


def test_identity_links_have_finite_means():
    data = visits().assign(y=lambda d: np.where(d["arm"] == "c", 1, d["y"]))
    assert ml.gee("y ~ arm", data, groups="id").fixef[[0, 2]].sum() == pytest.approx(1.0)
