"""Simulated responses, scaled residuals and the looks at a fit that rest on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import kstest

import multilevel as ml
from glmm_data import MODELS, grouped
from multilevel.errors import ModelError


def fit_of(name: str, right: str = "x + (1 | g)", data: Any = None, **options: Any) -> Any:
    left, family = MODELS[name]
    link = {"probit": "probit", "amount": "log", "inverse_gaussian": "log"}.get(name)
    family = "binomial" if family == "probit" else family
    return ml.glmm(
        f"{left} ~ {right}", grouped() if data is None else data, family=family, link=link, **options
    )


@pytest.mark.parametrize("name", [name for name in MODELS if name != "grade"])
def test_simulated_responses_have_the_mean_that_is_predicted(name: str) -> None:
    fit = fit_of(name)
    draws = fit.simulate(400, seed=1)
    assert draws.shape == (240, 400)
    share = draws if fit.model.trials is None else draws / fit.model.trials[:, None]
    error = share.mean(axis=0).std() / 20.0  # of the mean of all, whose columns are independent
    assert abs(share.mean() - fit.predict(re="integrate").mean()) < 4.5 * error


def test_simulated_categories_have_their_probabilities() -> None:
    fit = fit_of("grade")
    shares = np.bincount(fit.simulate(500, seed=1).astype(int).ravel(), minlength=4) / (240 * 500)
    np.testing.assert_allclose(shares, fit.predict(re="integrate").mean(), atol=0.02)


def test_zeros_are_simulated() -> None:
    fit = ml.glmm("empty ~ x + (1 | g)", grouped(), family="poisson", zi="~ a")
    draws = fit.simulate(300, seed=3)
    assert abs((draws == 0).mean() - (grouped()["empty"] == 0).mean()) < 0.03


def test_kept_effects_and_streams() -> None:
    fit = fit_of("count")
    kept = fit.simulate(400, seed=1, re="keep")
    np.testing.assert_allclose(kept.mean(), fit.fitted.mean(), rtol=0.02)
    np.testing.assert_array_equal(fit.simulate(2, seed=9)[:, 0], fit.simulate(5, seed=9)[:, 0])
    counted = fit_of("count", data=grouped().assign(w=2), freq_weights="w")
    with pytest.raises(ModelError, match="freq_weights"):
        counted.simulate()


@pytest.mark.parametrize("name", MODELS)
def test_scaled_residuals_are_uniform_where_the_model_holds(name: str) -> None:
    data = grouped()
    fit = fit_of(name, data=data)
    residuals = fit.refit(fit.simulate(1, seed=12)[:, 0]).residuals("scaled", seed=1)
    assert ((residuals > 0) & (residuals < 1)).all()
    assert kstest(residuals, "uniform").statistic < 0.15  # groups share their effects


def test_quantile_residuals_are_the_same_as_normal_numbers() -> None:
    fit = fit_of("wide")
    scaled, normal = fit.residuals("scaled", seed=2), fit.residuals("quantile", seed=2)
    assert np.corrcoef(scaled, normal)[0, 1] > 0.95
    assert abs(normal.std() - 1.0) < 0.15


class TestLooks:
    def looks(self, fit: Any) -> dict[str, str]:
        table = fit.check(seed=1)
        return dict(zip(table["check"], table["status"], strict=True))

    def test_overdispersed_counts(self) -> None:
        poisson = self.looks(fit_of("wide", data=grouped().assign(wide=grouped()["wide"] * 2)))
        assert poisson["spread of responses"] in ("ok", "note", "warn")
        data = grouped()
        fit = ml.glmm("wide ~ x + (1 | g)", data, family="poisson")
        looks = self.looks(fit)
        assert looks["overdispersion"] == "warn"
        assert "negative_binomial" in str(fit.check(seed=1))
        assert "Overdispersion" in str(fit)
        right = self.looks(fit_of("wide"))
        assert "overdispersion" not in right
        assert right["uniform residuals"] == "ok"

    def test_too_many_zeros(self) -> None:
        data = grouped()
        looks = self.looks(ml.glmm("empty ~ x + (1 | g)", data, family="poisson"))
        assert looks["number of zeros"] in ("note", "warn")
        looks = self.looks(ml.glmm("empty ~ x + (1 | g)", data, family="poisson", zi="~ 1"))
        assert looks["number of zeros"] == "ok"

    def test_single_trials_have_no_dispersion_to_look_at(self) -> None:
        looks = self.looks(fit_of("binary"))
        assert "overdispersion" not in looks
        assert set(looks.values()) <= {"ok", "note"}

    def test_few_groups(self) -> None:
        data = grouped()
        data = data[data["g"] < 5]
        assert self.looks(fit_of("count", data=data))["number of groups"] == "note"
