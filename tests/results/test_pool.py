"""Pooled fits: one face for every model, and what must not be pooled."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import DataError, ModelError

FORMULA = "Reaction ~ Days + (1 | Subject)"


@pytest.fixture(scope="module")
def imputed(sleepstudy):
    rng = np.random.default_rng(7)
    hidden = rng.random(180) < 0.3
    drawn = [251.0 + 10.5 * sleepstudy["Days"] + rng.normal(0.0, 45.0, 180) for _ in range(4)]
    return [sleepstudy.assign(Reaction=np.where(hidden, d, sleepstudy["Reaction"])) for d in drawn]


@pytest.fixture(scope="module")
def fits(imputed):
    return [ml.lmm(FORMULA, data) for data in imputed]


def test_rubins_rules_over_mixed_models(fits):
    pooled = ml.pool(*fits)
    estimates = np.array([fit.fixef for fit in fits])
    total = np.mean([fit.se**2 for fit in fits], axis=0) + 1.25 * estimates.var(axis=0, ddof=1)
    np.testing.assert_allclose(pooled.fixef, estimates.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(pooled.se, np.sqrt(total), rtol=1e-10)
    np.testing.assert_allclose(
        pooled.vcov(), pooled.vcov("within") + 1.25 * pooled.vcov("between"), rtol=1e-12
    )
    table = pooled.tidy(conf_int=True)
    assert list(table["term"]) == ["Intercept", "Days"]
    assert (table["df"] < np.mean([fit.tidy()["df"] for fit in fits], axis=0)).all()
    np.testing.assert_allclose(table["conf_low"], pooled.confint()["conf_low"])
    sds = pooled.tidy("ran_pars").set_index("term")["estimate"]
    assert sds["sd__Observation"] == pytest.approx(np.mean([fit.sigma for fit in fits]))


def test_identical_fits_are_that_fit(fits):
    one = fits[0]
    pooled = ml.pool([one, one, one])
    np.testing.assert_allclose(pooled.tidy()["p_value"], one.tidy()["p_value"], rtol=1e-9)
    np.testing.assert_allclose(pooled.tidy()["df"], one.tidy()["df"], rtol=1e-12)
    assert "nothing that matters" in str(pooled)


def test_tests_of_several_coefficients(fits):
    pooled = ml.pool(fits)
    alone = pooled.test("Days = 10")
    assert alone["estimate"][0] == pytest.approx(pooled.fixef[1])
    joint = pooled.test("Days = 10, Intercept = 251", joint=True)
    assert joint["df_num"][0] == 2
    assert 0.0 < joint["p_value"][0] < 1.0
    single = pooled.test("Days = 10", joint=True)
    assert single["p_value"][0] == pytest.approx(alone["p_value"][0], rel=1e-8)


def test_least_squares_too_in_the_users_kind_of_frame(imputed):
    pooled = ml.pool([ml.ols("Reaction ~ Days", pl.from_pandas(data)) for data in imputed])
    assert isinstance(pooled.frame, pl.DataFrame)
    assert "fits by ols, pooled" in str(pooled)
    assert "nan" not in str(pooled).lower()
    with pytest.raises(ModelError, match="no random effects"):
        pooled.tidy("ran_pars")


def test_the_method_for_complete_degrees_of_freedom(fits):
    normal = ml.pool(fits, df="z")
    assert (normal.tidy()["df"] > ml.pool(fits).tidy()["df"]).all()


def test_ratios(imputed):
    fits = [ml.ols("log(Reaction) ~ Days", data) for data in imputed]
    ratio = ml.pool(fits).tidy(exponentiate=True)
    np.testing.assert_allclose(ratio["estimate"], np.exp(ml.pool(fits).fixef), rtol=1e-12)
    plain = [ml.ols("Reaction ~ Days", data) for data in imputed]
    with pytest.raises(ModelError, match="exponentiate=True has no meaning with the identity link"):
        ml.pool(plain).tidy(exponentiate=True)


def test_what_must_not_be_pooled(fits, imputed):
    with pytest.raises(DataError, match="at least two"):
        ml.pool(fits[:1])
    with pytest.raises(ModelError, match=r"ml\.sidebyside compares"):
        ml.pool(fits[0], ml.ols("Reaction ~ Days", imputed[1]))
    with pytest.raises(ModelError, match="one model fitted to several"):
        ml.pool(fits[0], ml.lmm("Reaction ~ 1 + (1 | Subject)", imputed[1]))
    a = pd.DataFrame({"y": [1.0, 2.0, 4.0, 3.0, 5.0], "f": list("aabba")})
    b = a.assign(f=list("aaccb"))
    with pytest.raises(ModelError, match=r"f\[T\.c\].*same categories"):
        ml.pool(ml.ols("y ~ f", a), ml.ols("y ~ f", b))


def test_data_sets_that_still_have_gaps_are_pointed_out(imputed):
    gaps = imputed[1].copy()
    gaps.loc[3, "Reaction"] = np.nan
    text = str(ml.pool(ml.ols("Reaction ~ Days", imputed[0]), ml.ols("Reaction ~ Days", gaps)))
    assert "179 to 180" in text
    assert "check that all missing values were filled" in text
