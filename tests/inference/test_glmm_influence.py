"""Influence on generalized mixed models against fits without the data, and against lme4's."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from glmm_data import grouped
from multilevel.errors import DataError, DataTypeError

# R 4.2.2, lme4 1.1-31:
#   m <- glmer(cbind(incidence, size - incidence) ~ period + (1 | herd), cbpp, binomial,
#              control = glmerControl("bobyqa", optCtrl = list(maxfun = 1e5), tolPwrss = 1e-10))
#   for (h in 1:3) { u <- update(m, subset = herd != h); print(c(fixef(u), getME(u, "theta")), digits = 9) }
HERDS = {
    "1": [-1.37499275, -1.16254055, -1.47426600, -1.58329575, 0.62457826],
    "2": [-1.36658567, -0.98810725, -1.11931731, -1.58746639, 0.65871037],
    "3": [-1.49225027, -0.92732528, -0.91342293, -1.62489036, 0.67722120],
}
#   m <- glmer(y ~ lbase + trt + V4 + (1 | subject), epil, poisson, control = ...), subjects 1, 25 and 49
SUBJECTS = {
    "1": [1.8338173, 1.0151926, -0.3290389, -0.1594770, 0.5281951],
    "25": [1.7973888, 0.9812024, -0.2887407, -0.1385474, 0.5086241],
    "49": [1.8415295, 0.9366778, -0.3705300, -0.1463564, 0.5041052],
}
#   influence(m, "herd")[["fixed.effects[-herd]"]], the fourth herd; its refits stop early
LME4_INFLUENCE = [-1.40365683, -0.92748386, -1.23731974, -1.52553120]


@pytest.fixture(scope="module")
def herds() -> Any:
    return ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")


@pytest.fixture(scope="module")
def slopes() -> Any:
    return ml.glmm("count ~ x + a + (1 + x | g)", grouped(), family="poisson")


def without(data: pd.DataFrame, keep: Any, formula: str, **arguments: Any) -> Any:
    return ml.glmm(formula, data[keep], **arguments)


# ---- complete refits ----


def test_lme4s_refits_of_herds(herds: Any) -> None:
    found = herds.influence("herd")
    levels = [str(level) for level in found["level"]]
    for herd, expected in HERDS.items():
        k = levels.index(herd)
        ours = [*(herds.fixef - found.dfbeta[k]), found["sd__(Intercept)|herd"][k]]
        np.testing.assert_allclose(ours, expected, atol=2e-6)  # lme4 stops at about 1e-6
    # lme4's influence() refits with a wider tolerance than its update()
    np.testing.assert_allclose(herds.fixef - found.dfbeta[levels.index("4")], LME4_INFLUENCE, atol=1e-3)


def test_lme4s_refits_of_subjects() -> None:
    fit = ml.glmm("y ~ lbase + trt + V4 + (1 | subject)", ml.datasets.epil(), family="poisson")
    found = fit.influence("subject")
    levels = [str(level) for level in found["level"]]
    for subject, expected in SUBJECTS.items():
        k = levels.index(subject)
        ours = [*(fit.fixef - found.dfbeta[k]), found["sd__(Intercept)|subject"][k]]
        np.testing.assert_allclose(ours, expected, atol=2e-6)


@pytest.mark.parametrize("nodes", [1, 7])
def test_measures_by_their_definitions(nodes: int) -> None:
    arguments: dict[str, Any] = {"family": "binomial", "nagq": nodes}
    data, formula = grouped(), "hits / size ~ x + a + (1 | g)"
    fit = ml.glmm(formula, data, **arguments)
    found, k = fit.influence("g"), 5
    other = without(data, data["g"] != k, formula, **arguments)
    change = fit.fixef - other.fixef
    # working columns are those of all rows here, and of fewer there: searches end 3e-6 errors apart
    np.testing.assert_allclose(found.dfbeta[k], change, atol=1e-5)
    np.testing.assert_allclose(found.dfbetas[k], change / other.se, atol=1e-4)
    assert found["cooks_distance"][k] == pytest.approx(
        change @ np.linalg.solve(fit.vcov(), change) / 4, rel=1e-4
    )
    ratio = np.linalg.det(other.vcov()) / np.linalg.det(fit.vcov())
    assert found["covratio"][k] == pytest.approx(ratio, rel=1e-4)
    assert found["n_obs"][k] == 10
    assert found["sd__(Intercept)|g"][k] == pytest.approx(other.theta[0], abs=1e-5)


@pytest.mark.parametrize(
    ("formula", "arguments"),
    [
        ("wide ~ x + (1 | g)", {"family": "negative_binomial"}),
        ("amount ~ x + (1 | g)", {"family": "gamma", "link": "log"}),
        ("grade ~ x + (1 | g)", {"family": "ordinal"}),
        ("empty ~ x + (1 | g)", {"family": "poisson", "zi": "~ x"}),
        ("count ~ x + (1 | g) + (1 | a)", {"family": "poisson"}),
        ("hits / size ~ x + (1 | g)", {"family": "binomial", "prior": "weak"}),
    ],
)
def test_families_and_crossed_factors(formula: str, arguments: dict[str, Any]) -> None:
    data = grouped()
    fit = ml.glmm(formula, data, **arguments)
    found, k = fit.influence("g"), 7
    other = without(data, data["g"] != k, formula, **arguments)
    # a weak prior is on columns as the rows that stay have scaled them
    tolerance = 1e-2 if "prior" in arguments else 1e-4
    np.testing.assert_allclose(found.dfbeta[k][: len(fit.fixef)], fit.fixef - other.fixef, atol=tolerance)
    if fit.family == "negative_binomial":
        assert found["dispersion"][k] == pytest.approx(other.dispersion, rel=1e-3)
        assert "sigma" not in found.columns()
    if fit.family == "gamma":
        assert found["sigma"][k] == pytest.approx(other.sigma, rel=1e-4)
    if "zi" in arguments:
        change = fit.tidy().query("component == 'zi'")["estimate"].to_numpy() - (
            other.tidy().query("component == 'zi'")["estimate"].to_numpy()
        )
        np.testing.assert_allclose(
            [found["dfbeta__zi~Intercept"][k], found["dfbeta__zi~x"][k]], change, atol=1e-4
        )


def test_rows_refitted(slopes: Any) -> None:
    data = grouped()
    found = slopes.influence(refit=True, progress=False)
    assert list(found["row"]) == list(range(240))
    other = without(data, np.arange(240) != 17, "count ~ x + a + (1 + x | g)", family="poisson")
    np.testing.assert_allclose(found.dfbeta[17], slopes.fixef - other.fixef, atol=1e-5)
    np.testing.assert_allclose(found["sd__x|g"][17], other.varcorr()["sd"][1], atol=1e-4)


# ---- one step ----


def test_one_step_is_newtons_on_the_likelihood_of_the_other_rows(herds: Any) -> None:
    """Gradient and Hessian by differences of a fit's own criterion over the rows that stay."""
    data = ml.datasets.cbpp()
    keep = data["herd"].astype(str) != "11"
    found = herds.influence("herd", refit=False)
    k = [str(level) for level in found["level"]].index("11")
    # the other fit's kernel, at the parameters of the whole, in coordinates that are not moved or scaled
    other = without(data, keep, "incidence / size ~ period + (1 | herd)", family="binomial")
    model = other._working_model()
    at = np.concatenate([herds.theta, np.linalg.solve(model.rows.back, herds.fixef - model.rows.constant)])
    gradient, hessian = model.kernel.derivatives(at)[1], model.kernel.hessian(at)
    # mixed derivatives by coefficients and by the standard deviation are those of the whole
    whole = herds._working_model()
    back = np.linalg.solve(whole.rows.back, model.rows.back)
    hessian[0, 1:] = whole.kernel.hessian(herds.optimum.theta)[0, 1:] @ back
    hessian[1:, 0] = hessian[0, 1:]
    step = -np.linalg.solve(hessian, gradient)
    np.testing.assert_allclose(-model.rows.back @ step[1:], found.dfbeta[k], atol=1e-6)
    assert found["sd__(Intercept)|herd"][k] == pytest.approx(at[0] + step[0], abs=1e-6)


@pytest.mark.parametrize("formula", ["count ~ x + (1 | h / g)", "count ~ x + (1 | g) + (1 | a)"])
def test_one_step_without_rows_of_nested_and_crossed_factors(formula: str) -> None:
    data = grouped()
    data["h"] = data["g"] // 3
    fit = ml.glmm(formula, data, family="poisson")
    one, anew = fit.influence(), fit.influence(refit=True)
    # a row moves estimates little, and one step then leaves hardly anything
    np.testing.assert_allclose(one.dfbeta, anew.dfbeta, atol=0.1 * np.abs(anew.dfbeta).max())
    assert np.corrcoef(one.cooks_distance, anew.cooks_distance)[0, 1] > 0.99


def test_one_step_finds_the_influential_groups(slopes: Any) -> None:
    one, anew = slopes.influence("g", refit=False), slopes.influence("g")
    assert one.cooks_distance.argmax() == anew.cooks_distance.argmax()
    assert np.corrcoef(one.cooks_distance, anew.cooks_distance)[0, 1] > 0.97


def test_groups_across_the_factor(slopes: Any) -> None:
    data = grouped()
    labels = np.arange(240) % 5
    one, anew = slopes.influence(labels, refit=False), slopes.influence(labels)
    other = without(data, labels != 3, "count ~ x + a + (1 + x | g)", family="poisson")
    np.testing.assert_allclose(anew.dfbeta[3], slopes.fixef - other.fixef, atol=1e-5)
    np.testing.assert_allclose(one.dfbeta, anew.dfbeta, atol=0.05)


# ---- algebra ----


@pytest.mark.parametrize("refit", [True, False])
def test_counted_rows_are_repeated_rows(refit: bool) -> None:
    data = grouped().iloc[:60]
    data["times"] = np.random.default_rng(1).integers(1, 4, len(data))
    counted = ml.glmm("count ~ x + (1 | g)", data, family="poisson", freq_weights="times")
    again = data.loc[data.index.repeat(data["times"])].reset_index(drop=True)
    repeated = ml.glmm("count ~ x + (1 | g)", again, family="poisson")
    groups = [fit.influence("g", refit=refit) for fit in (counted, repeated)]
    np.testing.assert_allclose(groups[0].dfbeta, groups[1].dfbeta, atol=1e-5)
    np.testing.assert_array_equal(groups[0]["n_obs"], groups[1]["n_obs"])
    rows = [fit.influence(refit=refit) for fit in (counted, repeated)]
    first = np.concatenate([[0], np.cumsum(data["times"])[:-1]])
    np.testing.assert_allclose(rows[0].dfbeta, rows[1].dfbeta[first], atol=1e-5)


def test_order_of_rows_and_kind_of_frame(herds: Any) -> None:
    data = ml.datasets.cbpp().sample(frac=1.0, random_state=2)
    shuffled = ml.glmm("incidence / size ~ period + (1 | herd)", pl.from_pandas(data), family="binomial")
    found, other = herds.influence("herd"), shuffled.influence("herd")
    assert isinstance(other.frame, pl.DataFrame)
    order = [[str(level) for level in found["level"]].index(str(level)) for level in other["level"]]
    np.testing.assert_allclose(other.cooks_distance, found.cooks_distance[order], rtol=1e-4)
    assert list(found.frame.columns)[:5] == ["group", "level", "n_obs", "cooks_distance", "covratio"]
    assert list(found.frame.columns)[-1] == "sd__(Intercept)|herd"


def test_rows_that_were_not_used_keep_their_numbers() -> None:
    data = grouped().astype({"count": float}).set_index(np.arange(240) + 1000)
    data.iloc[[3, 50], data.columns.get_loc("count")] = np.nan
    fit = pickle.loads(pickle.dumps(ml.glmm("count ~ x + (1 | g)", data, family="poisson")))
    found = fit.influence()
    assert len(found) == 238
    assert 3 not in found["row"]
    assert found["row"][-1] == 239
    labels = data["g"].to_numpy()  # one for each row of the data
    np.testing.assert_allclose(fit.influence(labels).dfbeta, fit.influence("g").dfbeta, atol=1e-9)
    assert fit.influence("g")["n_obs"].tolist()[:2] == [9, 10]


def test_check_names_a_group_that_moves_a_coefficient() -> None:
    data = grouped()
    clean = ml.glmm("count ~ x + (1 | g)", data, family="poisson").check(seed=1)
    assert dict(zip(clean["check"], clean["status"], strict=True))["influential groups"] == "ok"
    data.loc[data["g"] == 9, "x"] *= -4.0
    moved = ml.glmm("count ~ x + (1 | g)", data, family="poisson")
    checks = moved.check(seed=1)
    assert dict(zip(checks["check"], checks["status"], strict=True))["influential groups"] == "note"
    assert "Without g 9 the coefficient of x would change by" in str(checks).replace("\n ", "")
    crossed = ml.glmm("count ~ x + (1 | g) + (1 | a)", data, family="poisson").check(seed=1)
    assert list(crossed["check"]).count("influential groups") == 2


# ---- what cannot be answered, and what is said ----


def test_deletions_that_leave_no_model() -> None:
    data = grouped()
    data["only"] = (data["g"] == 4) * 1.0
    fit = ml.glmm("count ~ x + only + (1 | g)", data, family="poisson")
    found = fit.influence("g")
    assert found.notes == {4: "the other rows do not identify all coefficients"}
    assert np.isnan(found.dfbeta[4]).all()
    assert np.isfinite(np.delete(found.dfbeta, 4, axis=0)).all()
    assert "No answer for 4: the other rows do not identify all coefficients." in str(found)
    few = data[data["g"] < 2]
    pair = ml.glmm("count ~ x + (1 | g)", few, family="poisson").influence("g")
    assert set(pair.notes.values()) == {"the other rows have one level of g"}


def test_separated_without_a_row() -> None:
    """One group holds the only failures of a treatment."""
    data = pd.DataFrame({"g": np.repeat(np.arange(8), 6), "t": np.repeat([0, 1], 24)})
    data["y"] = np.tile([0, 1, 1, 0, 1, 1], 8)
    data.loc[(data["t"] == 1) & (data["g"] != 5), "y"] = 1
    found = ml.glmm("y ~ t + (1 | g)", data, family="binomial").influence("g")
    assert found.notes[5] == "the likelihood of the other rows has no finite maximum"
    assert np.isnan(found.cooks_distance[5])
    assert np.isfinite(np.delete(found.cooks_distance, 5)).all()


def test_the_page(herds: Any) -> None:
    page = str(herds.influence("herd"))
    assert page.startswith("Influence of each herd, left out one at a time; refitted without it")
    assert "sd__(Intercept)|herd: the estimate without the level." in page
    assert "sigma" not in page
    assert "one step of Newton's method in all parameters" in str(herds.influence())


def test_misuse(herds: Any) -> None:
    with pytest.raises(DataTypeError, match="refit=1 is neither True nor False"):
        herds.influence("herd", refit=1)
    with pytest.raises(DataError, match="one level; without it no data are left"):
        herds.influence(np.zeros(56))
    with pytest.raises(DataError, match="one label for each of the 56 rows"):
        herds.influence(np.zeros(5))
