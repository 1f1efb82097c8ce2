"""Correlation structures as specifications: matrices from parameters, and names that mean them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import multilevel as ml
from multilevel.covariance.working.by_name import as_correlation
from multilevel.errors import DataError, DataTypeError, ModelError

SPECIFICATIONS = [
    ml.Independence(),
    ml.Exchangeable(),
    ml.AR1(time="week"),
    ml.MDependent(2),
    ml.Unstructured(),
    ml.Toeplitz(),
    ml.ARMA(2, 1),
    ml.NestedExchangeable("physician"),
    ml.FixedCorrelation(np.eye(3)),
    ml.UserCorrelation(np.ones((3, 3, 1))),
]


@pytest.mark.parametrize("corr", SPECIFICATIONS, ids=lambda corr: corr.name)
def test_specifications_travel(corr):
    again = pickle.loads(pickle.dumps(corr))
    assert type(again) is type(corr)
    assert as_correlation(corr) is corr


def test_names():
    assert as_correlation("Independence") == ml.Independence()
    assert as_correlation("exchangeable") == as_correlation("cs") == ml.Exchangeable()
    assert as_correlation("AR-M") == as_correlation("ar(1)") == ml.AR1()
    assert as_correlation("m-dependent") == ml.MDependent(1)
    assert as_correlation("stat_M_dep3") == ml.MDependent(3)
    assert as_correlation("non-stationary2") == ml.MDependent(2, stationary=False)


def test_what_is_no_structure():
    with pytest.raises(DataError, match="corr='banana' does not exist"):
        as_correlation("banana")
    with pytest.raises(DataError, match="corr='stationary0' does not exist"):
        as_correlation("stationary0")
    with pytest.raises(DataTypeError, match="is no correlation structure"):
        as_correlation(np.eye(2))


def test_m_dependent_matrices():
    R = ml.MDependent(2).matrix(np.array([0.5, 0.2]), np.array([0, 1, 3, 4]))
    expected = [[1, 0.5, 0, 0], [0.5, 1, 0.2, 0], [0, 0.2, 1, 0.5], [0, 0, 0.5, 1]]
    np.testing.assert_array_equal(R, expected)
    R = ml.MDependent(1, stationary=False).matrix(np.array([0.5, 0.2]), np.arange(3))
    np.testing.assert_array_equal(R, [[1, 0.5, 0], [0.5, 1, 0.2], [0, 0.2, 1]])


def test_toeplitz_serves_estimating_equations_too():
    sleep = ml.datasets.sleepstudy()
    call = {"groups": "Subject", "time": "Days"}
    free = ml.gee("Reaction ~ Days", sleep, corr="toeplitz", **call)
    lagged = ml.gee("Reaction ~ Days", sleep, corr=ml.MDependent(9), **call)
    np.testing.assert_allclose(free.alpha, lagged.alpha)
    np.testing.assert_allclose(free.fixef, lagged.fixef)
    with pytest.raises(ModelError, match="is no working correlation"):
        ml.gee("Reaction ~ Days", sleep, corr=ml.ARMA(1, 1), **call)


def test_names_of_parameters():
    assert ml.MDependent(2).parameter_names(("a", "b")) == ("alpha[lag 1]", "alpha[lag 2]")
    assert ml.MDependent(1, stationary=False).parameter_names(("a", "b", "c")) == (
        "alpha[a, b]",
        "alpha[b, c]",
    )
    assert ml.Unstructured().parameter_names(("a", "b")) == ("alpha[a, b]",)
    assert ml.UserCorrelation(np.ones((2, 2, 1)), names=["r"]).parameter_names(()) == ("r",)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([[1.0, 0.5]], "square"),
        ([[1.0, 0.5], [0.4, 1.0]], "symmetric"),
        ([[2.0, 0.5], [0.5, 2.0]], "ones on its diagonal"),
        ([[1.0, 1.2], [1.2, 1.0]], "not positive definite"),
        ([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]], "not positive definite"),
    ],
)
def test_matrices_that_are_no_correlations(given, said):
    with pytest.raises(DataError, match=said):
        ml.FixedCorrelation(given)


def test_designs_that_are_none():
    with pytest.raises(DataError, match="shape"):
        ml.UserCorrelation(np.ones(3))
    with pytest.raises(DataError, match="2 names for 1 parameters"):
        ml.UserCorrelation(np.ones((2, 2, 1)), names=["a", "b"])
    with pytest.raises(DataError, match="m=0 is too few"):
        ml.MDependent(0)
