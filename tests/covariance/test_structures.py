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


@pytest.mark.parametrize(("name", "hom", "size"), SHAPES)
def test_factor_is_that_of_the_kernels(name, hom, size):
    structure = structure_by_name(name, size, hom)
    theta = np.random.default_rng(size).normal(size=structure.n_parameters)
    np.testing.assert_allclose(structure.factor(theta), term_factor(name, hom, size, theta), atol=1e-14)


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


@given(points())
def test_signs_do_not_matter(point):
    structure, theta = point
    turned = theta.copy()
    if isinstance(structure, Unstructured):
        turned[: structure.size] *= -1.0  # the first column of T
    else:
        turned[:-1] *= -1.0
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


@given(eta=st.floats(-10.0, 10.0), size=st.integers(2, 6))
def test_compound_symmetry_has_one_correlation_above_its_bound(eta, size):
    R = covariance(CompoundSymmetry(size, hom=True), np.array([1.0, eta]))
    rho = CompoundSymmetry(size).correlation(eta)
    assert -1.0 / (size - 1) - 1e-12 <= rho <= 1.0
    np.testing.assert_allclose(R, np.where(np.eye(size) == 1.0, 1.0, rho), atol=1e-12)


@given(eta=st.floats(-10.0, 10.0), size=st.integers(2, 6))
def test_autoregression_falls_by_powers_of_the_lag(eta, size):
    R = covariance(Autoregressive(size), np.array([1.0, eta]))
    lag = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    np.testing.assert_allclose(R, np.cos(eta) ** lag, atol=1e-12)


@pytest.mark.parametrize(("structure", "eta", "rank"), [
    (CompoundSymmetry(4), 0.0, 1),
    (CompoundSymmetry(4), np.pi / 2.0, 3),
    (Autoregressive(4, hom=False), 0.0, 1),
    (Autoregressive(4, hom=False), np.pi, 1),
])  # fmt: skip
def test_the_ends_of_the_range_are_reached_and_left_smoothly(structure, eta, rank):
    at, step = np.append(np.ones(4), eta), np.append(np.zeros(4), 1e-3)
    Sigma = covariance(structure, at)
    assert np.linalg.matrix_rank(Sigma, tol=1e-12) == rank
    np.testing.assert_allclose(covariance(structure, at + step), covariance(structure, at - step), atol=1e-15)
    np.testing.assert_allclose(covariance_slopes(structure, at)[-1], 0.0, atol=1e-15)


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
        uncorrelated = structure.start(np.array([1.0, 1e-3]), 0.0)
        collapsed = structure.collapsed(uncorrelated, 1e-4)
        np.testing.assert_array_equal(collapsed[:2], [1.0, 0.0])
        assert structure.null_slope(collapsed, np.diag([5.0, 3.0])) == pytest.approx(3.0)
        assert structure.null_slope(uncorrelated, -np.eye(2)) == np.inf

    @pytest.mark.parametrize(
        "structure", [Diagonal(2, hom=True), CompoundSymmetry(2, hom=True), Autoregressive(2)]
    )
    def test_of_one_common_deviation(self, structure):
        uncorrelated = structure.start(np.array([1e-3, 1e-3]), 0.0)
        collapsed = structure.collapsed(uncorrelated, 1e-4)
        assert collapsed[0] == 0.0
        G = np.array([[5.0, 1.0], [1.0, -2.0]])  # all variances grow together, so the slope is the sum
        assert structure.null_slope(collapsed, G) == pytest.approx(5.0 - 2.0)

    @pytest.mark.parametrize("structure", [CompoundSymmetry(3), Autoregressive(3, hom=False)])
    def test_of_a_correlation_close_to_one(self, structure):
        close = structure.start(np.ones(3), 1.0 - 1e-6)
        collapsed = structure.collapsed(close, 1e-4)
        np.testing.assert_allclose(covariance(structure, collapsed), np.ones((3, 3)), atol=1e-15)
        assert structure.null_slope(collapsed, np.ones((3, 3))) < 0.0  # less correlation would be better
        assert structure.null_slope(collapsed, -np.ones((3, 3))) > 0.0
        assert structure.null_slope(close, np.ones((3, 3))) == np.inf

    def test_a_deviation_of_zero_may_grow_by_its_correlation(self):
        """Where others vary, a small deviation moves Sigma at once, not by its square."""
        structure = CompoundSymmetry(2)
        theta = structure.start(np.array([1.0, 0.0]), 0.5)
        assert structure.null_slope(theta, np.array([[0.0, -1.0], [-1.0, 3.0]])) < -50.0
