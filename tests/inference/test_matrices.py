import numpy as np
import pytest

import multilevel as ml


@pytest.fixture(scope="module")
def two_factors(pastes):
    return ml.lmm("strength ~ 1 + (1 | batch) + (1 | batch:cask)", pastes)


def test_the_matrices_reproduce_the_fitted_values(two_factors):
    M = two_factors.matrices()
    modes = two_factors.ranef().set_index(["group", "level", "term"])["estimate"]
    b = np.array([modes[name] for name in M.z_names])
    np.testing.assert_allclose(M.X @ two_factors.fixef + M.Z @ b, two_factors.fitted, rtol=1e-10)


def test_sigma_is_the_relative_factor_squared(two_factors):
    M = two_factors.matrices()
    expected = two_factors.sigma**2 * (M.Lambda @ M.Lambda.T)
    np.testing.assert_allclose(M.Sigma.toarray(), expected.toarray())
    variances = two_factors.varcorr()["variance"]
    assert M.Sigma.toarray()[0, 0] == pytest.approx(variances[0])
    assert M.Z.shape == (60, 40)
    assert M.Z.nnz == 120


def test_generalised_least_squares_by_hand(sleepstudy):
    w = np.linspace(0.5, 2.0, 180)
    fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleepstudy, weights=w)
    M = fit.matrices()
    V = (M.Z @ M.Sigma @ M.Z.T).toarray() + np.diag(M.residual_variance)
    information = M.X.T @ np.linalg.solve(V, M.X)
    np.testing.assert_allclose(np.linalg.inv(information), fit.vcov(), rtol=1e-6)
    np.testing.assert_allclose(
        np.linalg.solve(information, M.X.T @ np.linalg.solve(V, fit.design.y)), fit.fixef, rtol=1e-6
    )
