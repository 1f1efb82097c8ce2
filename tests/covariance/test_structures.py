"""Covariance structures: against the kernels' plain twins, numerical derivatives, and their algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from multilevel._typing import Array
from multilevel.covariance.autoregressive import Autoregressive
from multilevel.covariance.by_name import structure_by_name
from multilevel.covariance.compound_symmetry import CompoundSymmetry
from multilevel.covariance.diagonal import Diagonal
from multilevel.covariance.structure import Structure, covariance, covariance_slopes
from multilevel.covariance.unstructured import Unstructured
from multilevel.kernels.reference import term_factor

SHAPES = [
    (name, hom, size)
    for name in ("us", "diag", "cs", "ar1")
    for hom in (False, True)
    for size in (2, 3, 5)
    if not (name == "us" and hom)
]
structures = st.sampled_from([structure_by_name(name, size, hom) for name, hom, size in SHAPES])


@st.composite
def points(draw: st.DrawFn) -> tuple[Structure, Array]:
    """A structure and a theta of any sign, zeros among them."""
    structure = draw(structures)
    entries = st.floats(-20.0, 20.0).map(lambda x: round(x, 6))
    return structure, draw(arrays(float, structure.n_parameters, elements=entries))


def numerical_slopes(function, theta, step=1e-6):
    moves = step * np.eye(len(theta))
    return np.array([(function(theta + move) - function(theta - move)) / (2.0 * step) for move in moves])


def core_parameters(name, size, theta):
    """The same covariance as the core has it: an angle in the place of our unbounded eta."""
    if name not in {"cs", "ar1"}:
        return theta
    unit = np.append(np.ones(size), theta[-1])
    rho = covariance(structure_by_name(name, size, False), unit)[1, 0]
    angle = np.arccos(rho) if name == "ar1" else np.arcsin(np.sqrt((1.0 - rho) * (size - 1) / size))
    return np.append(theta[:-1], angle)


@pytest.mark.parametrize(("name", "hom", "size"), SHAPES)
def test_covariance_is_that_of_the_kernels(name, hom, size):
    structure = structure_by_name(name, size, hom)
    theta = np.random.default_rng(size).normal(size=structure.n_parameters)
    if name in {"cs", "ar1"}:
        theta[:-1] = np.abs(theta[:-1])  # the core reads the size of a deviation only
    factor = term_factor(name, hom, size, core_parameters(name, size, theta))
    np.testing.assert_allclose(covariance(structure, theta), factor @ factor.T, atol=1e-13)


@pytest.mark.parametrize(("name", "hom", "size"), SHAPES)
def test_slopes_are_the_derivatives(name, hom, size):
    structure = structure_by_name(name, size, hom)
    theta = np.random.default_rng(size + 10).normal(size=structure.n_parameters)
    # central differences with a step of 1e-6 carry about nine digits
    np.testing.assert_allclose(
        structure.factor_slopes(theta), numerical_slopes(structure.factor, theta), atol=1e-8
    )
    np.testing.assert_allclose(
        covariance_slopes(structure, theta),
        numerical_slopes(lambda t: covariance(structure, t), theta),
        atol=1e-8,
    )


@given(points())
def test_covariance_is_symmetric_and_positive_semidefinite(point):
    structure, theta = point
    Sigma = covariance(structure, theta)
    np.testing.assert_array_equal(Sigma, Sigma.T)
    assert np.linalg.eigvalsh(Sigma)[0] >= -1e-12 * max(1.0, np.abs(Sigma).max())
    np.testing.assert_array_equal(structure.factor(theta), np.tril(structure.factor(theta)))


@given(points())
def test_a_column_of_T_may_change_its_sign(point):
    structure, theta = point
    turned = theta.copy()
    if isinstance(structure, Unstructured):
        turned[: structure.size] *= -1.0  # the first column of T
    elif isinstance(structure, Diagonal) or structure.hom:
        turned[0] *= -1.0
    np.testing.assert_allclose(covariance(structure, turned), covariance(structure, theta), atol=1e-10)


@given(points())
def test_names_and_start_have_one_entry_a_parameter(point):
    structure, theta = point
    names = structure.parameter_names([f"x{i}" for i in range(structure.size)])
    assert len(names) == len(set(names)) == len(theta) == structure.n_parameters
    assert len(structure.start(np.ones(structure.size), 0.3)) == structure.n_parameters


@pytest.mark.parametrize(("name", "hom", "size"), SHAPES)
@pytest.mark.parametrize("correlation", [0.0, 0.1, 0.75])
def test_start_has_the_deviations_and_the_correlation_asked_for(name, hom, size, correlation):
    structure = structure_by_name(name, size, hom)
    deviations = np.full(size, 2.0) if hom else np.arange(1.0, size + 1.0)
    Sigma = covariance(structure, structure.start(deviations, correlation))
    np.testing.assert_allclose(np.sqrt(np.diag(Sigma)), deviations, rtol=1e-12)
    neighbours = Sigma[1, 0] / (deviations[0] * deviations[1])
    assert neighbours == pytest.approx(0.0 if name == "diag" else correlation, abs=1e-12)


def test_names_follow_the_columns():
    assert Unstructured(2).parameter_names(["a", "b"]) == ("a", "b.a", "b")
    assert Diagonal(2).parameter_names(["a", "b"]) == ("a", "b")
    assert Diagonal(2, hom=True).parameter_names(["a", "b"]) == ("sd",)
    assert CompoundSymmetry(2).parameter_names(["a", "b"]) == ("a", "b", "correlation")
    assert Autoregressive(2).parameter_names(["a", "b"]) == ("sd", "correlation")


@given(eta=st.floats(-1e3, 1e3), size=st.integers(2, 6))
def test_compound_symmetry_has_one_correlation_above_its_bound(eta, size):
    R = covariance(CompoundSymmetry(size, hom=True), np.array([1.0, eta]))
    rho = R[1, 0]
    assert -1.0 / (size - 1) - 1e-12 <= rho <= 1.0
    np.testing.assert_allclose(R, np.where(np.eye(size) == 1.0, 1.0, rho), atol=1e-12)


@given(eta=st.floats(-1e3, 1e3), size=st.integers(2, 6))
def test_autoregression_falls_by_powers_of_the_lag(eta, size):
    R = covariance(Autoregressive(size), np.array([1.0, eta]))
    rho = eta / np.sqrt(1.0 + eta**2)
    lag = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    np.testing.assert_allclose(R, rho**lag, atol=1e-12)


def test_autoregression_keeps_its_innovations_near_a_correlation_of_one():
    T = Autoregressive(3).factor(np.array([1.0, 1e9]))
    np.testing.assert_allclose(np.diag(T), [1.0, 1e-9, 1e-9], rtol=1e-12)  # sqrt(1 - rho^2), not zero


@pytest.mark.parametrize("name", ["us", "diag", "cs", "ar1"])
def test_one_column_has_one_parameter_whatever_its_structure(name):
    assert structure_by_name(name, 1, hom=False) == Diagonal(1)


class TestCollapse:
    """What is as good as zero becomes zero, and the slope there says whether it should grow again."""

    def test_of_an_unstructured_matrix_drops_its_small_eigenvectors(self):
        direction = np.array([3.0, 4.0]) / 5.0
        lower = np.linalg.cholesky(4.0 * np.outer(direction, direction) + 1e-9 * np.eye(2))
        structure = Unstructured(2)
        theta = structure.collapsed(lower[structure.positions()], 1e-4)
        Sigma = covariance(structure, theta)
        np.testing.assert_allclose(Sigma, 4.0 * np.outer(direction, direction), atol=1e-8)
        assert np.linalg.matrix_rank(Sigma, tol=1e-12) == 1
        across = np.array([4.0, -3.0]) / 5.0
        assert structure.null_slope(theta, np.outer(across, across)) == pytest.approx(1.0)
        assert structure.null_slope(theta, -2.0 * np.outer(across, across)) == pytest.approx(-2.0)

    def test_leaves_what_is_large_enough(self):
        structure, theta = Unstructured(2), np.array([1.0, -0.5, 0.3])
        np.testing.assert_allclose(
            covariance(structure, structure.collapsed(theta, 1e-4)), covariance(structure, theta)
        )
        assert structure.null_slope(theta, -np.eye(2)) == np.inf

    @pytest.mark.parametrize("structure", [Diagonal(2), CompoundSymmetry(2), Autoregressive(2, hom=False)])
    def test_of_deviations(self, structure):
        theta = np.array([1.0, -1e-3, 0.7])[: structure.n_parameters]
        collapsed = structure.collapsed(theta, 1e-4)
        np.testing.assert_array_equal(collapsed[:2], [1.0, 0.0])
        assert structure.null_slope(collapsed, np.diag([5.0, 3.0])) == pytest.approx(3.0)
        assert structure.null_slope(theta, -np.eye(2)) == np.inf

    @pytest.mark.parametrize("structure", [Diagonal(2, hom=True), CompoundSymmetry(2, hom=True)])
    def test_of_one_common_deviation(self, structure):
        theta = np.array([1e-3, 0.0])[: structure.n_parameters]
        collapsed = structure.collapsed(theta, 1e-4)
        assert collapsed[0] == 0.0
        # all variances grow together, so the slope is the sum
        correlation = 0.0  # of CompoundSymmetry(2) at eta = 0, the middle of (-1, 1)
        G = np.array([[5.0, 1.0], [1.0, -2.0]])
        assert structure.null_slope(collapsed, G) == pytest.approx(5.0 - 2.0 + 2.0 * correlation)
