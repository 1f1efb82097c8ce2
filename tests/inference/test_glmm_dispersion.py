"""Whether rows vary as their family says, against data simulated from the fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from glmm_data import grouped
from multilevel.inference.glmm_dispersion import among_simulated, pearson_sum
from multilevel.inference.scaled_residuals import drawn_distances, scaled_residuals, simulated_uniformity

ROWS = "TICKS ~ YEAR + scale(HEIGHT) + (1 | BROOD) + (1 | INDEX) + (1 | LOCATION)"


def ticks() -> pd.DataFrame:
    data = ml.datasets.grouseticks()
    return data.assign(YEAR=data["YEAR"].astype(str))


def look(fit: Any, name: str, seed: int = 1) -> tuple[float, str]:
    """p-value and status of one look."""
    table = fit.check(seed=seed)
    at = list(table["check"]).index(name)
    return float(table["p_value"][at]), str(table["status"][at])


def test_a_random_effect_for_each_row_is_no_underdispersion() -> None:
    fit = ml.glmm(ROWS, ticks(), family="poisson")
    residuals = fit.residuals("pearson")
    assert residuals @ residuals / fit.df_residual < 0.5  # chi-square's measure, which means nothing here
    p_value, status = look(fit, "overdispersion")
    assert p_value > 0.05
    assert status == "ok"


def test_overdispersion_is_found_where_it_is() -> None:
    fit = ml.glmm(ROWS.replace("(1 | INDEX) + ", ""), ticks(), family="poisson")
    assert look(fit, "overdispersion")[1] == "warn"
    assert "random effect for each row" in " ".join(str(fit.check(seed=1)).split())
    counts = grouped()
    counts["hits"] = np.where(
        np.arange(240) % 2 == 0, counts["hits"] // 4, counts["size"] - counts["hits"] // 4
    )
    fit = ml.glmm("hits / size ~ x + (1 | g)", counts, family="binomial")
    assert look(fit, "overdispersion")[1] == "warn"


def test_underdispersion_is_found_where_it_is() -> None:
    rng = np.random.default_rng(3)
    counts = pd.DataFrame({"y": 10 + rng.integers(-1, 2, 200), "g": np.repeat(np.arange(20), 10)})
    fit = ml.glmm("y ~ 1 + (1 | g)", counts, family="poisson")
    table = fit.check(seed=2)
    at = list(table["check"]).index("overdispersion")
    assert (table["status"][at], table["statistic"][at] < 0.2) == ("warn", True)
    assert "vary less" in table["message"][at]


def test_the_response_of_the_fit_is_put_back() -> None:
    fit = ml.glmm("count ~ x + (1 | g)", grouped(), family="poisson")
    before = fit._working_model().kernel.value(fit.optimum.theta)
    fit.check(seed=1)
    assert fit._working_model().kernel.value(fit.optimum.theta) == pytest.approx(before, rel=1e-12)


def test_the_sum_is_that_of_pearsons_residuals() -> None:
    for formula, family in (("count ~ x + (1 | g)", "poisson"), ("hits / size ~ x + (1 | g)", "binomial")):
        fit = ml.glmm(formula, grouped(), family=family)
        total = pearson_sum(fit.model, fit.record, fit.design.y, fit.record.eta)
        assert total == pytest.approx((fit.residuals("pearson") ** 2).sum(), rel=1e-12)


def test_a_sum_among_simulated_ones() -> None:
    """Logarithms that hang on the estimates: the p-value is that of the deviation at unmoved estimates."""
    rng = np.random.default_rng(5)
    p_values = []
    for _ in range(500):
        moved = rng.normal(size=(40, 2))
        drawn = np.exp(3.0 + moved @ [0.5, -1.0] + 0.1 * rng.normal(size=40))
        p_values.append(among_simulated(float(np.exp(3.0 + 0.1 * rng.normal())), drawn, moved).p_value)
    share = np.mean(np.array(p_values) < 0.05)
    assert abs(share - 0.05) < 4.0 * np.sqrt(0.05 * 0.95 / 500)
    far = among_simulated(float(np.exp(4.0)), drawn, moved)
    assert far.ratio == pytest.approx(np.e, rel=0.1)
    assert far.p_value < 1e-6


def test_uniformity_counts_groups_that_share_effects_as_few() -> None:
    """Twenty copies of each of 30 numbers say no more than the 30 do."""
    rng = np.random.default_rng(8)
    low = 0
    for _ in range(200):
        draws = np.repeat(rng.normal(size=(30, 61)), 20, axis=0)
        residuals = scaled_residuals(draws[:, 0], draws[:, 1:], rng)
        distances = drawn_distances(draws[:, 1:], rng)
        low += simulated_uniformity(residuals, distances).p_value < 0.05
    assert low / 200 < 0.05 + 4.0 * np.sqrt(0.05 * 0.95 / 200)
    independent = drawn_distances(rng.normal(size=(400, 80)), rng)
    assert independent.mean() * 20.0 == pytest.approx(0.8687, rel=0.08)  # of Kolmogorov's distribution


def test_freq_weights_leave_out_what_is_simulated_and_say_so() -> None:
    fit = ml.glmm("count ~ x + (1 | g)", grouped().assign(w=2), family="poisson", freq_weights="w")
    checks = fit.check()
    assert "uniform residuals" not in checks["check"]
    assert "convergence" in checks["check"]
    assert "Not looked at: how responses stand among simulated ones" in " ".join(str(checks).split())


@pytest.mark.parametrize("right", ["period + (1 | herd)", "period + (1 | herd) + (1 | row)"])
def test_data_simulated_from_a_fit_are_flagged_rarely(right: str) -> None:
    cbpp = ml.datasets.cbpp()
    fit = ml.glmm(f"incidence / size ~ {right}", cbpp.assign(row=range(len(cbpp))), family="binomial")
    Y = fit.simulate(40, seed=4)
    low = sum(look(fit.refit(y), "overdispersion", seed=k)[0] < 0.05 for k, y in enumerate(Y.T))
    assert low <= 7  # of 40: beyond that with probability 0.003 where each has one in twenty


@pytest.mark.study
def test_the_size_of_the_look_at_overdispersion() -> None:
    fit = ml.glmm(ROWS, ticks(), family="poisson")
    Y = fit.simulate(400, seed=77)
    low = np.mean([look(fit.refit(y), "overdispersion", seed=k)[0] < 0.05 for k, y in enumerate(Y.T)])
    assert abs(low - 0.05) < 3.0 * np.sqrt(0.05 * 0.95 / 400)
