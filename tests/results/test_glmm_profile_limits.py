"""Profile limits of generalized mixed models where covariances are singular, against refits."""

from __future__ import annotations

from math import lgamma

import numpy as np
import pandas as pd
import pytest

import multilevel as ml

CHI_SQUARE = 3.841458820694124  # 95%, one degree of freedom


def visits(seed: int) -> pd.DataFrame:
    """Yes or no at five visits of 40 patients, whose slopes hardly differ."""
    rng = np.random.default_rng(seed)
    patient, week = np.repeat(np.arange(40), 5), np.tile(np.arange(5.0), 40)
    eta = 1.0 - 0.2 * week + rng.normal(0.0, 0.8, 40)[patient]
    return pd.DataFrame(
        {"y": (rng.random(200) < 1.0 / (1.0 + np.exp(-eta))) * 1, "week": week, "patient": patient}
    )


@pytest.fixture(scope="module")
def singular() -> tuple[pd.DataFrame, ml.GLMMFit]:
    for seed in range(20):
        data = visits(seed)
        fit = ml.glmm("y ~ week + (1 + week | patient)", data, family="binomial", nagq=5)
        if fit.singular:
            return data, fit
    raise AssertionError("one of twenty such data sets has a singular fit")


def test_a_fit_with_the_coefficient_held_at_its_limit_is_that_much_worse(singular):
    data, fit = singular
    limits = fit.profile("week").confint(progress=False).iloc[0]
    for limit in (limits.conf_low, limits.conf_high):
        held = ml.glmm(
            "y ~ 1 + offset(held) + (1 + week | patient)",
            data.assign(held=limit * data.week),
            family="binomial",
            nagq=5,
        )
        # both are minima to 1e-10, and the limit is found to 1e-6 in zeta
        assert 2.0 * (fit.loglik - held.loglik) == pytest.approx(CHI_SQUARE, abs=1e-4)


def test_limits_do_not_depend_on_what_was_profiled_before(singular):
    data, fit = singular
    fresh = ml.glmm("y ~ week + (1 + week | patient)", data, family="binomial", nagq=5)
    fresh.profile("fixed").confint(progress=False)
    fresh.profile("ran_pars").confint(progress=False)
    again = fresh.profile("week").confint(progress=False)
    once = fit.profile("week").confint(progress=False)
    np.testing.assert_allclose(again[["conf_low", "conf_high"]], once[["conf_low", "conf_high"]], atol=1e-5)


def test_a_correlation_with_slopes_that_may_be_none_may_be_anything(singular):
    _, fit = singular
    limits = fit.profile("ran_pars").confint(progress=False).set_index("term")
    assert limits.loc["sd__week", "conf_low"] == 0.0
    assert limits.loc["cor__(Intercept).week", ["conf_low", "conf_high"]].tolist() == [-1.0, 1.0]
    assert (limits["conf_low"] <= limits["estimate"] + 1e-12).all()
    assert (limits["conf_high"] >= limits["estimate"] - 1e-12).all()


def test_a_variance_of_zero_has_an_upper_limit():
    """Patients who do not differ: a bound at zero below, and how much they may differ at most above."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        data = pd.DataFrame({"y": rng.poisson(2.0, 90), "g": np.repeat(np.arange(30), 3)})
        fit = ml.glmm("y ~ 1 + (1 | g)", data, family="poisson", nagq=25)
        if fit.singular:
            break
    limits = fit.profile("ran_pars").confint(progress=False).iloc[0]
    assert (limits.estimate, limits.conf_low) == (0.0, 0.0)
    assert 0.05 < limits.conf_high < 1.0
    # at that standard deviation the likelihood has fallen by as much: integrated by brute force
    # (means a thousandth apart miss the largest likelihood by 2e-5)
    assert integrated(data, limits.conf_high) == pytest.approx(fit.loglik - CHI_SQUARE / 2.0, abs=1e-4)


def integrated(data: pd.DataFrame, sd: float) -> float:
    """The largest Poisson log-likelihood with normal effects of one standard deviation, on a fine grid."""
    z = np.linspace(-8.0, 8.0, 1601)
    weight = np.exp(-0.5 * z**2)
    weight /= weight.sum()
    sums = data.groupby("g")["y"].agg(["sum", "count"]).to_numpy()
    constant = -sum(lgamma(y + 1.0) for y in data["y"])

    def loglik(mean: float) -> float:
        eta = mean + sd * z
        height = sums[:, :1] * eta - sums[:, 1:] * np.exp(eta)
        top = height.max(axis=1)
        return float((top + np.log(np.exp(height - top[:, None]) @ weight)).sum()) + constant

    return max(loglik(mean) for mean in np.linspace(0.3, 1.0, 701))
