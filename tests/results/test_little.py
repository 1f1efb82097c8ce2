"""Little's test: a published result, its definition, its size, long data, words and misuse."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import chi2

import multilevel as ml
from airquality import airquality
from longitudinal import drop_out, trial
from multilevel.errors import DataError, DataTypeError, ModelError


def test_air_quality():
    # the documentation of R's package naniar: 35.1 on 14 df, p = 0.00142, with the covariance divided by n;
    # Little's definition divides by n - 1
    found = ml.little_test(airquality())
    assert found.df == 14
    published = found.statistic * 153.0 / 152.0
    assert published == pytest.approx(35.1, abs=0.05)
    assert chi2.sf(published, 14) == pytest.approx(0.00142, abs=5e-6)
    assert len(found.frame) == 4


def test_the_statistic_by_its_definition():
    data = pd.DataFrame(airquality())[["Ozone", "Solar", "Wind"]]
    found = ml.little_test(data)
    S = found.covariance * 153.0 / 152.0
    total = 0.0
    for seen, rows in data.groupby([data[name].notna() for name in data]):
        here = list(seen)
        apart = rows.loc[:, here].mean().to_numpy() - found.mean[here]
        total += len(rows) * apart @ np.linalg.solve(S[np.ix_(here, here)], apart)
    assert found.statistic == pytest.approx(total, rel=1e-9)
    assert found["statistic"].sum() == pytest.approx(total, rel=1e-9)
    assert found.p_value == pytest.approx(chi2.sf(total, found.df), rel=1e-9)


def test_the_size_is_right_and_dropout_at_random_is_found():
    rng = np.random.default_rng(15)
    rejected = []
    for _ in range(300):
        y = rng.normal(size=(100, 3)) @ np.array([[1.0, 0.5, 0.2], [0.0, 1.0, 0.4], [0.0, 0.0, 1.0]])
        y[:, 1:][rng.random((100, 2)) < 0.2] = np.nan
        rejected.append(ml.little_test(dict(zip("abc", y.T, strict=True))).p_value < 0.05)
    assert 0.02 < np.mean(rejected) < 0.09  # three standard errors of 300 replicates about 0.05
    long = ml.little_test(drop_out(trial()), groups="id", time="week", y="y")
    assert long.p_value < 1e-4
    assert "week 3" in long.names


def test_long_data_are_the_wide_table():
    gaps = drop_out(trial(), keep_rows=True)
    wide = gaps.pivot(index="id", columns="week", values="y")
    wide.columns = [f"w{week}" for week in wide.columns]
    one, other = ml.little_test(gaps, groups="id", time="week", y="y"), ml.little_test(pl.from_pandas(wide))
    assert one.statistic == pytest.approx(other.statistic, rel=1e-9)
    assert isinstance(other.tidy(), pl.DataFrame)


def test_what_is_printed():
    data = airquality()
    text = " ".join(str(ml.little_test({**data, "label": ["a"] * 153})).split())
    assert "Left out, since they hold labels: label" in text
    assert "not missing completely at random" in text
    assert "What it cannot show" in text
    holes = {name: values.astype(float).copy() for name, values in data.items()}
    for values in holes.values():
        values[3] = np.nan
    assert "1 rows without any value" in str(ml.little_test(holes))
    rng = np.random.default_rng(16)
    x = rng.normal(size=60)
    quiet = ml.little_test({"x": x, "z": np.where(rng.random(60) < 0.3, np.nan, rng.normal(size=60))})
    assert "no evidence against MCAR, and none for it" in " ".join(str(quiet).split())


def test_misuse():
    data = airquality()
    with pytest.raises(ModelError, match="nothing is missing"):
        ml.little_test(data, ["Wind", "Temp"])
    with pytest.raises(DataTypeError, match="'label' holds labels"):
        ml.little_test({**data, "label": ["a"] * 153}, ["Wind", "label"])
    with pytest.raises(DataError, match="'one' has no two different values"):
        ml.little_test({**data, "one": np.ones(153)})
    with pytest.raises(ModelError, match="singular"):
        ml.little_test({**data, "again": 2.0 * data["Wind"]})
    with pytest.raises(DataError, match='groups="id"'):
        ml.little_test(data, groups="Month")
    with pytest.raises(DataError, match="leave columns="):
        ml.little_test(data, ["Wind"], groups="Month", time="Day", y="Ozone")
    with pytest.raises(DataError, match="no numeric column"):
        ml.little_test({"a": ["x", "y"]})
