"""`confint`: one table of limits, whichever way they are made."""

import numpy as np
import polars as pl
import pytest

import multilevel as ml
from multilevel.errors import DataError, ModelError


@pytest.fixture(scope="module")
def slopes(sleepstudy):
    return ml.lmm("Reaction ~ Days + (Days | Subject)", sleepstudy)


def test_wald_limits_are_those_of_the_coefficients(slopes):
    assert list(slopes.confint()["term"]) == ["Intercept", "Days"]
    with pytest.raises(ModelError, match='confint\\("profile", effects="ran_pars"\\)'):
        slopes.confint(effects="ran_pars")


def test_profile_limits_have_the_random_part_too(slopes):
    table = slopes.confint("profile")
    assert list(table.columns) == ["effect", "group", "term", "estimate", "conf_low", "conf_high"]
    assert list(table["term"]) == [
        "Intercept",
        "Days",
        "sd__(Intercept)",
        "sd__Days",
        "cor__(Intercept).Days",
        "sd__Observation",
    ]
    assert list(table["term"][2:]) == list(slopes.tidy("ran_pars")["term"])  # the tables join
    assert list(slopes.confint("profile", effects="fixed")["term"]) == ["Intercept", "Days"]
    np.testing.assert_allclose(
        slopes.confint("profile", level=0.8, effects="ran_pars")["conf_low"],
        slopes.profile("ran_pars").confint(0.8)["conf_low"],
        rtol=1e-6,
    )


def test_bootstrap_limits_take_its_options(slopes):
    table = slopes.confint("bootstrap", level=0.9, limits="basic", n=99, kind="case", seed=4)
    expected = slopes.bootstrap(99, "case", seed=4).confint("basic", 0.9)
    np.testing.assert_array_equal(table["conf_high"], expected["conf_high"])
    fixed = slopes.confint("bootstrap", limits="studentized", effects="fixed", n=99, seed=4)
    assert list(fixed["term"]) == ["Intercept", "Days"]


def test_tables_come_in_the_kind_of_the_data():
    fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy(frame="polars"))
    assert isinstance(fit.confint("profile"), pl.DataFrame)
    assert isinstance(fit.bootstrap(20, seed=1).frame(), pl.DataFrame)
    assert isinstance(fit.profile("sigma").frame(), pl.DataFrame)


def test_other_methods_are_refused(slopes):
    with pytest.raises(DataError, match="method='exact'"):
        slopes.confint("exact")
    with pytest.raises(DataError, match="effects='random'"):
        slopes.confint("profile", effects="random")
