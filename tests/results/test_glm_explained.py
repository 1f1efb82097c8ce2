"""`ml.glm(...).r2()`: against R's performance, against least squares, and by algebra."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import ModelError


def measures(fit):
    return fit.r2().set_index("measure")["estimate"]


def test_single_trials_against_r():
    found = measures(ml.glm("resp ~ age + smoke", ml.datasets.ohio(), family="binomial"))
    assert found["mcfadden"] == pytest.approx(0.005029470116, rel=1e-8)
    assert found["cox_snell"] == pytest.approx(0.004273591975, rel=1e-8)
    assert found["nagelkerke"] == pytest.approx(0.007455166743, rel=1e-8)
    assert found["tjur"] == pytest.approx(0.004218222666, rel=1e-8)


def test_counts_against_r():
    found = measures(ml.glm("y ~ trt + age", ml.datasets.epil(), family="poisson"))
    assert found["mcfadden"] == pytest.approx(0.004815262128, rel=1e-8)
    assert found["cox_snell"] == pytest.approx(0.06480506477, rel=1e-8)
    assert found["nagelkerke"] == pytest.approx(0.06480657215, rel=1e-8)
    assert list(found.index) == ["mcfadden", "cox_snell", "nagelkerke", "deviance"]


def test_a_size_is_estimated_again():
    fit = ml.glm("y ~ trt + age", ml.datasets.epil(), family="negative_binomial")
    l1, l0 = -746.3172734, -747.3111841  # R's MASS::glm.nb, both
    found = measures(fit)
    assert found["mcfadden"] == pytest.approx(1.0 - l1 / l0, abs=1e-8)
    assert found["cox_snell"] == pytest.approx(1.0 - np.exp(2.0 * (l0 - l1) / 236.0), abs=1e-8)


def test_ordered_categories_against_r():
    found = measures(ml.glm("rating ~ temp + contact", ml.datasets.wine(), family="ordinal"))
    assert found["nagelkerke"] == pytest.approx(0.4028997261, rel=1e-7)
    assert found["cox_snell"] == pytest.approx(0.3803075815, rel=1e-7)
    assert found["mcfadden"] == pytest.approx(0.1660943528, rel=1e-7)


def test_normal_responses_have_the_r_squared_of_least_squares():
    sleep = ml.datasets.sleepstudy()
    found = measures(ml.glm("Reaction ~ Days", sleep, family="gaussian"))
    expected = ml.ols("Reaction ~ Days", sleep).r_squared
    assert found["deviance"] == pytest.approx(expected, rel=1e-9)
    assert found["cox_snell"] == pytest.approx(expected, rel=1e-7)
    assert "mcfadden" not in found.index


def test_trials_count_one_by_one():
    data = ml.datasets.cbpp()
    grouped = ml.glm("incidence / size ~ period", data, family="binomial")
    cases = zip(data["period"], data["incidence"], data["size"], strict=True)
    rows = [(period, float(k < y)) for period, y, n in cases for k in range(int(n))]
    single = ml.glm("y ~ period", pd.DataFrame(rows, columns=["period", "y"]), family="binomial")
    for name in ("mcfadden", "cox_snell", "nagelkerke", "tjur"):
        assert measures(grouped)[name] == pytest.approx(measures(single)[name], rel=1e-7)


def test_counted_rows():
    data = ml.datasets.ohio().iloc[::5].reset_index(drop=True).assign(w=lambda d: 1 + np.arange(len(d)) % 3)
    counted = ml.glm("resp ~ age", data, family="binomial", freq_weights="w")
    repeated = ml.glm("resp ~ age", data.loc[data.index.repeat(data["w"])], family="binomial")
    pd.testing.assert_series_equal(measures(counted), measures(repeated), rtol=1e-7)


def test_an_intercept_explains_nothing():
    found = measures(ml.glm("y ~ 1", ml.datasets.epil(), family="poisson"))
    np.testing.assert_allclose(found, 0.0, atol=1e-10)
    with pytest.raises(ModelError, match="this fit has a prior"):
        ml.glm("y ~ age", ml.datasets.epil(), family="poisson", prior="weak").r2()
