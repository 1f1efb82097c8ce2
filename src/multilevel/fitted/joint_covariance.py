"""How uncertain are a generalized mixed model's parameters, taken together?

Twice the inverse Hessian of the criterion, formed in working coordinates and carried to the user's.
Directions of the covariance parameters in which a singular fit does not move (a column of T that is
zero, a rotation of columns that span fewer dimensions) are held: the Hessian has nothing to say of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.glmm import WorkingGLMM

FLAT = 1e-6  # of the largest scaled curvature: what differences of gradients leave of a curvature of zero
FLATTEST = 1e-12  # the same for coefficients, whose flat directions get a very large variance
LOST = 1e-14  # of the largest curvature, below which there is none
STEP = 1e-6


def joint_covariance(model: WorkingGLMM, psi: Array, user_theta: Callable[[Array], Array]) -> Array:
    """Covariance of (coefficients, theta) in the user's units."""
    working = working_covariance(model.kernel.hessian(psi), model.n_theta)
    back = user_jacobian(model, psi, user_theta)
    return np.asarray(back @ working @ back.T)


def user_jacobian(model: WorkingGLMM, psi: Array, user_theta: Callable[[Array], Array]) -> Array:
    """Derivatives of (coefficients, theta) in the user's units by psi, whose theta comes first."""
    G = len(psi) - model.n_theta
    slope = theta_jacobian(psi, model.n_theta, user_theta)
    back = np.zeros((G + len(slope), len(psi)))
    back[:G, model.n_theta :] = model.rows.back
    back[G:, : model.n_theta] = slope
    return back


def working_covariance(hessian: Array, n_theta: int) -> Array:
    """Twice the inverse Hessian of (theta, gamma), flat directions of theta held."""
    H = known_part(0.5 * (hessian + hessian.T))
    tt, tg, gg = H[:n_theta, :n_theta], H[:n_theta, n_theta:], H[n_theta:, n_theta:]
    free = inverse_where_curved(tt, FLAT, hold=True)
    moved = free @ tg  # how theta follows the coefficients, with a minus
    coefficients = 2.0 * inverse_where_curved(gg - tg.T @ moved, FLATTEST, hold=False)
    across = -moved @ coefficients
    own = 2.0 * free + moved @ coefficients @ moved.T
    return np.block([[own, across], [across.T, coefficients]])


def known_part(H: Array) -> Array:
    """Zero in place of what is not known of a parameter that ran off to infinity.

    It has no curvature left, or less than none on a slope that never ends; its very large variance must not
    reach others by mixed derivatives.
    """
    known = np.where(np.isfinite(H), H, 0.0)
    diagonal = np.diag(known)
    lost = diagonal < LOST * diagonal.max(initial=0.0)
    return np.where((lost[:, None] | lost) & ~np.eye(len(H), dtype=np.bool_), 0.0, known)


def inverse_where_curved(H: Array, flat: float, *, hold: bool) -> Array:
    """Inverse (k, k) of a symmetric matrix (k, k), scaled; flat directions are held, or cut at `flat`."""
    if not len(H):
        return H
    diagonal = np.abs(np.diag(H))
    size = np.sqrt(np.maximum(diagonal, 1e-14 * max(float(diagonal.max()), 1e-300)))
    values, vectors = np.linalg.eigh(H / np.outer(size, size))
    least = flat * float(values[-1])
    kept = values > least
    inverse = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0 if hold else 1.0 / max(least, 1e-300))
    return np.asarray((vectors * inverse) @ vectors.T / np.outer(size, size))


def theta_jacobian(psi: Array, n_theta: int, user_theta: Callable[[Array], Array]) -> Array:
    """d theta / d working theta, by central differences of a smooth map."""
    columns = []
    for k in range(n_theta):
        step = np.zeros(len(psi))
        step[k] = STEP * max(1.0, abs(float(psi[k])))
        columns.append((user_theta(psi + step) - user_theta(psi - step)) / (2.0 * step[k]))
    return np.array(columns).T.reshape(-1, n_theta) if columns else np.zeros((0, 0))
