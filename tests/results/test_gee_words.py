"""What `ml.gee` says and refuses: times that are text, ratios, correlations that are none, missing rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import DataError, DataTypeError, ModelError, MultilevelWarning

WEEKS = {0: 0, 2: 1, 4: 2, 11: 3}
NAMES = {0: "start", 2: "early", 4: "late", 11: "end"}


def visits(n: int = 60) -> pd.DataFrame:
    """Measurements at weeks 0, 2, 4 and 11, each like the one before, with times in several spellings."""
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(n, 4))
    for k in range(1, 4):
        noise[:, k] = 0.6 * noise[:, k - 1] + 0.8 * noise[:, k]
    data = pd.DataFrame(
        {
            "id": np.repeat(np.arange(n), 4),
            "week": np.tile(list(WEEKS), n),
            "y": noise.ravel(),
            "x": rng.normal(size=4 * n),
        }
    )
    return data.assign(
        place=data["week"].map(WEEKS), text="week " + data["week"].astype(str), name=data["week"].map(NAMES)
    )


def flat(fit) -> str:
    return " ".join(str(fit).split())


# ---- times that are text ----


def test_text_with_numbers_is_in_the_order_of_the_numbers():
    """Alphabetically, week 11 would come before week 2."""
    one, other = (ml.gee("y ~ x", visits(), groups="id", time=time, corr="ar1") for time in ("place", "text"))
    assert other.equations.layout.visits == ("week 0", "week 2", "week 4", "week 11")
    np.testing.assert_allclose(other.alpha, one.alpha, rtol=1e-12)


def test_a_categorical_keeps_its_own_order():
    data = visits().assign(name=lambda d: pd.Categorical(d["name"], list(NAMES.values())))
    one, other = (ml.gee("y ~ x", data, groups="id", time=time, corr="ar1") for time in ("place", "name"))
    np.testing.assert_allclose(other.alpha, one.alpha, rtol=1e-12)


def test_text_without_an_order_is_refused_where_order_matters():
    said = r"order in time cannot be known \(early, end, late, start\); make it numbers, or an ordered"
    with pytest.raises(DataError, match=said):
        ml.gee("y ~ x", visits(), groups="id", time="name", corr="ar1")
    ml.gee("y ~ x", visits(), groups="id", time="name", corr="unstructured")  # any order is the same model


def test_patterns_of_missing_values_have_weeks_in_order():
    data = visits()
    found = str(ml.missing_patterns(data[data.index != 7], groups="id", time="text", y="y"))
    assert found.index("week 4") < found.index("week 11")


# ---- ratios ----


@pytest.mark.parametrize(
    "fit",
    [
        lambda d: ml.gee("y > 0 ~ x", d, groups="id", family="binomial", link="probit"),
        lambda d: ml.gee("y ~ x", d, groups="id"),
        lambda d: ml.ols("y ~ x", d),
        lambda d: ml.lmm("y ~ x + (1 | id)", d),
        lambda d: ml.glm("y ~ x", d, family="gaussian"),
    ],
    ids=["probit", "gee", "ols", "lmm", "glm"],
)
def test_exponentials_of_differences_are_refused(fit):
    with pytest.raises(ModelError, match="exponentiate=True has no meaning with the"):
        fit(visits()).tidy(exponentiate=True)


def test_exponentials_of_differences_of_logarithms_are_ratios():
    data = visits().assign(z=lambda d: np.exp(d["y"]))
    for fit in (ml.ols("log(z) ~ x", data), ml.gee("log(z) ~ x", data, groups="id")):
        np.testing.assert_allclose(fit.tidy(exponentiate=True)["estimate"], np.exp(fit.fixef))


def test_the_summary_shows_population_averaged_ratios():
    fit = ml.gee("resp ~ age", ml.datasets.ohio(), groups="id", family="binomial")
    page = flat(fit.summary(exponentiate=True))
    low, high = fit.tidy(conf_int=True, exponentiate=True).iloc[1][["conf_low", "conf_high"]]
    assert "Coefficients, as population-averaged odds ratios" in page
    assert f"age {np.exp(fit.fixef[1]):.4f} {low:.4f} {high:.4f}" in page
    counts = ml.gee("y ~ trt", ml.datasets.epil(), groups="subject", family="poisson")
    assert "as population-averaged rate ratios" in flat(counts.summary(exponentiate=True))


def test_only_estimating_equations_are_compared():
    fit = ml.gee("resp ~ age", ml.datasets.ohio(), groups="id", family="binomial")
    other = ml.glm("resp ~ age", ml.datasets.ohio(), family="binomial")
    for method in (fit.qic, fit.wald_test, fit.score_test):
        with pytest.raises(DataTypeError, match=r"compared with fits of ml\.gee, and this is of type GLMFit"):
            method(other)


# ---- advice ----


def test_a_scale_that_is_held_too_low_is_told():
    """Correlations are moments over the scale: held at 1 where residuals say 5 they exceed one."""
    epil = ml.datasets.epil()
    call = {"groups": "subject", "family": "poisson", "corr": "exchangeable"}
    free = ml.gee("y ~ trt", epil, **call)
    with pytest.warns(MultilevelWarning, match="held at 1 where the residuals say") as caught:
        fit = ml.gee("y ~ trt", epil, scale=1, **call)
    assert fit.alpha[0] > 1.0
    assert f"where the residuals say {free.scale:.3g}: leave scale= out" in str(caught[0].message)
    assert f"residuals say {free.scale:.3g}" in flat(fit)
    assert "fewer parameters" not in flat(fit)


def test_advice_does_not_name_the_structure_in_use():
    """Rows that balance within clusters: a correlation below what seven rows can have."""
    rng = np.random.default_rng(0)
    groups = [rng.normal(size=size) for size in (2,) * 60 + (9,)]
    groups = [each - each.mean() if len(each) == 2 else each for each in groups]
    data = pd.DataFrame(
        {"y": np.concatenate(groups), "id": np.repeat(np.arange(61), [len(each) for each in groups])}
    )
    with pytest.warns(MultilevelWarning, match="use corr='independence'") as caught:
        ml.gee("y ~ 1", data, groups="id", corr="exchangeable")
    assert not any("'exchangeable'" in str(each.message) for each in caught)


# ---- missing rows ----


def test_nothing_is_said_of_missing_rows_where_none_are():
    data = visits()
    call = {"groups": "id", "time": "week", "corr": "exchangeable"}
    assert "MCAR" not in flat(ml.gee("y ~ x", data, **call))
    said = "Rows that are missing are taken as missing completely at random (MCAR)"
    assert said in flat(ml.gee("y ~ x", data.drop(5), **call))
    assert said in flat(ml.gee("y ~ x", data.assign(x=data["x"].where(data.index != 5)), **call))


# ---- clusters whose numbers begin anew ----


def test_clusters_are_combinations_of_columns():
    data = visits().assign(
        centre=lambda d: np.where(d["id"] < 30, "north", "south"), within=lambda d: d["id"] % 30
    )
    call = {"time": "week", "corr": "ar1"}
    one, other = (ml.gee("y ~ x", data, groups=groups, **call) for groups in ("centre:within", "id"))
    assert one.ngroups == {"centre:within": 60}
    np.testing.assert_allclose(one.alpha, other.alpha, rtol=1e-12)
    np.testing.assert_allclose(one.se, other.se, rtol=1e-12)
    missing = data.assign(within=data["within"].where(data.index > 3))
    assert ml.gee("y ~ x", missing, groups="centre:within", **call).nobs == len(data) - 4
    with pytest.raises(ml.errors.ColumnNotFoundError, match="no column 'center'"):
        ml.gee("y ~ x", data, groups="center:within", **call)
