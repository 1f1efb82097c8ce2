"""`ml.glm(...).influence()` against R's measures and against refits; `check()` and its residuals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import multilevel as ml
from multilevel.errors import ModelError

R_DIGITS = 1e-7  # R's working weights are those before its last step


def cbpp():
    return ml.glm("incidence / size ~ period", ml.datasets.cbpp(), family="binomial")


def epil(family="poisson", **options):
    return ml.glm("y ~ trt + age", ml.datasets.epil(), family=family, **options)


def statuses(checks):
    return dict(zip(checks["check"], checks["status"], strict=True))


# ---- influence ----

MEASURES = [  # row, dfbetas, covratio, Cook's distance, hat value
    (
        cbpp,
        0,
        [-1.152004841e-01, 5.727846237e-02, 5.335831768e-02, 4.041778426e-02],
        1.1160151424,
        0.006689904377,
        0.05035971223,
    ),
    (cbpp, 2, [0.0, 0.0, 4.287560572e-01, 0.0], 0.7852726705, 0.238356714106, 0.04568527919),
    (
        epil,
        0,
        [-0.0007671759707, 0.02414334754, -0.01007849990],
        1.0206325727,
        0.004229466166,
        0.009358024544,
    ),
    (
        epil,
        99,
        [0.0174912454876, -0.09169331195, 0.02227729080],
        0.9962546696,
        0.099566000522,
        0.009029577609,
    ),
]


@pytest.mark.parametrize(("fit", "row", "dfbetas", "covratio", "cook", "hat"), MEASURES)
def test_rows_against_r(fit, row, dfbetas, covratio, cook, hat):
    table = fit().influence()
    np.testing.assert_allclose(table.dfbetas[row], dfbetas, rtol=R_DIGITS, atol=1e-12)
    assert table["covratio"][row] == pytest.approx(covratio, rel=R_DIGITS)
    assert table["cooks_distance"][row] == pytest.approx(cook, rel=R_DIGITS)
    assert table["leverage"][row] == pytest.approx(hat, rel=R_DIGITS)


def test_a_dispersion_that_is_estimated_against_r():
    fit = ml.glm("I(y + 1) ~ trt + age", ml.datasets.epil(), family="gamma", link="log")
    table = fit.influence()
    np.testing.assert_allclose(
        table.dfbeta[99], [6.910387210e-03, -1.0567094545e-02, 1.318115435e-04], rtol=R_DIGITS
    )
    assert table["sigma"][99] == pytest.approx(0.9796465747, rel=R_DIGITS)
    assert table["cooks_distance"][99] == pytest.approx(0.0050986466329, rel=R_DIGITS)


def test_leverages_sum_to_the_number_of_coefficients():
    for fit in (cbpp(), epil(), epil("negative_binomial")):
        assert fit.influence()["leverage"].sum() == pytest.approx(len(fit.fixef), rel=1e-9)
        assert fit.augment()["cooks_distance"].to_numpy() == pytest.approx(fit.influence()["cooks_distance"])


def test_refits_are_fits_without_the_row():
    data = ml.datasets.cbpp()
    table = cbpp().influence(refit=True)
    for row in (0, 17):
        other = ml.glm("incidence / size ~ period", data.drop(index=row), family="binomial")
        np.testing.assert_allclose(table.dfbeta[row], cbpp().fixef - other.fixef, atol=1e-8)
        np.testing.assert_allclose(table.dfbetas[row], (cbpp().fixef - other.fixef) / other.se, atol=1e-7)


def test_clusters_are_left_out_by_fits_without_them():
    data, fit = ml.datasets.epil(), epil()
    table = fit.influence("subject")
    assert len(table) == 59
    worst = int(np.argmax(table.cooks_distance))
    other = ml.glm("y ~ trt + age", data[data["subject"] != table["level"][worst]], family="poisson")
    change = fit.fixef - other.fixef
    np.testing.assert_allclose(table.dfbeta[worst], change, atol=1e-8)
    distance = change @ np.linalg.inv(fit.vcov()) @ change / 3.0
    assert table.cooks_distance[worst] == pytest.approx(distance, rel=1e-6)


def test_what_cannot_be_fitted_says_why():
    """Without its only treated cluster nothing is known of the treatment."""
    data = pd.DataFrame({"g": np.repeat(list("abcd"), 10), "y": np.tile([0, 0, 1, 0, 1, 1, 0], 6)[:40]})
    data["treated"] = (data["g"] == "b").astype(int)
    table = ml.glm("y ~ treated", data, family="binomial").influence("g")
    assert np.isnan(table.cooks_distance[1])
    assert table["note"][1] == "the other rows do not identify all coefficients"
    assert np.isfinite(table.cooks_distance[[0, 2, 3]]).all()


def test_counted_rows_lose_one_observation():
    data = ml.datasets.epil().iloc[:40].assign(w=lambda d: 1.0 + np.arange(40) % 3)
    counted = ml.glm("y ~ age", data, family="poisson", freq_weights="w")
    repeated = data.loc[data.index.repeat(data["w"].astype(int))].reset_index(drop=True)
    fit = ml.glm("y ~ age", repeated, family="poisson")
    first = np.concatenate([[0], np.cumsum(data["w"])[:-1]]).astype(int)
    for refit in (False, True):
        one, other = counted.influence(refit=refit), fit.influence(refit=refit)
        np.testing.assert_allclose(one.dfbetas, other.dfbetas[first], atol=1e-6)


def test_families_that_are_no_regression_are_refitted():
    wine = ml.datasets.wine()
    fit = ml.glm("rating ~ temp + contact", wine, family="ordinal")
    other = ml.glm("rating ~ temp + contact", wine.drop(index=5), family="ordinal")
    np.testing.assert_allclose(fit.influence().dfbeta[5], fit.fixef - other.fixef, atol=1e-7)
    with pytest.raises(ModelError, match="rows of the ordinal family are left out by fits without them"):
        fit.influence(refit=False)
    with pytest.raises(ModelError, match="fit without prior="):
        epil(prior="weak").influence()


# ---- residuals by simulation, and looks ----


def test_scaled_residuals_are_uniform_where_the_model_holds():
    rng = np.random.default_rng(8)
    x = rng.normal(size=600)
    data = pd.DataFrame({"x": x, "y": rng.poisson(np.exp(0.5 + 0.5 * x))})
    fit = ml.glm("y ~ x", data, family="poisson")
    scaled = fit.residuals("scaled", seed=1)
    assert stats.kstest(scaled, "uniform").pvalue > 0.01
    np.testing.assert_allclose(fit.residuals("quantile", seed=1), stats.norm.ppf(scaled), rtol=1e-9)


def test_nothing_is_raised_where_all_is_well():
    rng = np.random.default_rng(3)
    x = rng.normal(size=200)
    data = pd.DataFrame({"x": x, "g": np.arange(200) % 20, "n": 8})
    data["count"] = rng.poisson(np.exp(0.5 + 0.5 * x))
    data["share"] = rng.binomial(8, 1.0 / (1.0 + np.exp(-x)))
    for formula, family in (("count ~ x", "poisson"), ("share / n ~ x", "binomial")):
        found = statuses(ml.glm(formula, data, family=family).check("g", seed=1))
        assert set(found.values()) == {"ok"}, found


def test_counts_that_vary_too_much_are_told():
    fit = epil()
    checks = fit.check(seed=1)
    assert statuses(checks)["excess variation"] == "warn"
    assert statuses(checks)["number of zeros"] == "warn"
    pearson = (fit.residuals("pearson") ** 2).sum() / fit.df_residual
    assert f"Pearson's chi-square is {pearson:.3g} times its degrees of freedom" in " ".join(
        str(checks).split()
    )
    robust = epil(cluster="subject").check(seed=1)
    assert statuses(robust)["excess variation"] == "note"
    assert "robust standard errors in use allow for that" in " ".join(str(robust).split())
    assert statuses(epil("negative_binomial").check(seed=1))["number of zeros"] == "ok"


def test_rows_of_one_group_that_are_alike_are_told():
    fit = ml.glm("resp ~ age + smoke", ml.datasets.ohio(), family="binomial")
    checks = fit.check("id", seed=1)
    assert statuses(checks)["alike within clusters"] == "warn"
    assert 'Use cluster="id", or ml.glmm with (1 | id)' in " ".join(str(checks).split())
    assert "Not looked at: clustering" in str(fit.check(seed=1))


def test_few_events_are_told():
    rng = np.random.default_rng(2)
    data = pd.DataFrame(rng.normal(size=(60, 3)), columns=list("abc")).assign(y=np.arange(60) % 5 == 0)
    checks = ml.glm("y ~ a + b + c", data, family="binomial").check(seed=1)
    assert statuses(checks)["events per coefficient"] == "warn"
    assert "12 events of the rarer kind for 3 coefficients, 4 for each" in " ".join(str(checks).split())


def test_counted_rows_are_not_simulated():
    data = ml.datasets.epil().assign(w=2)
    checks = ml.glm("y ~ age", data, family="poisson", freq_weights="w").check()
    assert "uniform residuals" not in statuses(checks)
    assert "rows with freq_weights stand for several" in " ".join(str(checks).split())


def test_the_same_seed_gives_the_same_looks():
    np.testing.assert_array_equal(cbpp().check(seed=4)["p_value"], cbpp().check(seed=4)["p_value"])
