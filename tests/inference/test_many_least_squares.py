"""Least squares in many responses at once, against `ml.ols` one by one."""

import numpy as np
import pytest

import multilevel as ml
from multilevel.inference.many_least_squares import cluster_means, least_squares, naive_tests, robust_tests

PLAN = (
    ml.Plan(school=9, pupil=[3, 5, 8, 1, 12, 4, 4, 6, 7])
    .assign("t", at="school")
    .draw("x", (0, 1), at="pupil")
)


@pytest.fixture(scope="module")
def data():
    return ml.simulate("y ~ t + x + (1 | school)", PLAN, icc=0.2, seed=1)


@pytest.mark.parametrize("coefficient", [0, 1, 2])
def test_tests_are_those_of_ols(data, coefficient):
    fit = ml.ols("y ~ t + x", data)
    ways = least_squares(fit.design.X, np.eye(3)[coefficient], 0.0)
    Y, codes = fit.simulate(4, seed=1), data["school"].to_numpy(dtype=np.int32) - 1
    naive, robust = naive_tests(ways, Y), robust_tests(ways, codes, Y)
    for b, y in enumerate(Y.T):
        alone = fit.refit(y)
        tables = alone.tidy(), ml.ols("y ~ t + x", data.assign(y=y), vcov="CR2", cluster="school").tidy()
        for found, table in zip((naive, robust), tables, strict=True):
            row = table.iloc[coefficient]
            assert found.estimate[b] == pytest.approx(row["estimate"], rel=1e-10)
            assert found.std_error[b] == pytest.approx(row["std_error"], rel=1e-10)
            assert found.df[b] == pytest.approx(row["df"], rel=1e-10)
            assert found.p_value[b] == pytest.approx(row["p_value"], rel=1e-8)


def test_means_of_clusters_are_means(data):
    codes = data["school"].to_numpy(dtype=np.int32) - 1
    means = data.groupby("school")[["t", "x"]].mean().to_numpy()
    np.testing.assert_allclose(cluster_means(codes, data[["t", "x"]].to_numpy(float)), means)
