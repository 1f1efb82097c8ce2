"""How uncertain are a generalized mixed model's parameters, taken together?

Twice the inverse Hessian of the criterion, formed in working coordinates and carried to the user's.
Directions of the covariance parameters in which a singular fit does not move (a column of T that is
zero, a rotation of columns that span fewer dimensions) are held: the Hessian has nothing to say of them.

Where coefficients were found with the modes of the random effects (nagq=0), the criterion is a function of
the other parameters alone. Those coefficients have the covariance that they and the random effects have
together at given theta, as lme4 has it; to which is added how they follow a dispersion that is estimated.
"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.estimation.glmm import PlacedTerm, WorkingGLMM
from multilevel.estimation.term_factors import term_factor
from multilevel.fitted.assemble import lower_triangular, theta_of

FLAT = 1e-6  # of the largest scaled curvature: what differences of gradients leave of a curvature of zero
FLATTEST = 1e-12  # the same for coefficients, whose flat directions get a very large variance
LOST = 1e-14  # of the largest curvature, below which there is none
STEP = 1e-6
SHARE_OF_ERROR = 1e-3  # of a standard error: a step to see what follows a coefficient


def joint_covariance(model: WorkingGLMM, psi: Array, slope: Array) -> Array:
    """Covariance of (coefficients, theta) in the user's units; `slope` is d theta / d working theta."""
    back = user_jacobian(model, psi, slope)
    return np.asarray(back @ parameter_covariance(model, psi) @ back.T)


def user_jacobian(model: WorkingGLMM, psi: Array, slope: Array) -> Array:
    """Derivatives of (coefficients, theta) in the user's units by psi, whose theta comes first."""
    G = len(psi) - model.n_theta
    back = np.zeros((G + len(slope), len(psi)))
    back[:G, model.n_theta :] = model.rows.back
    back[G:, : model.n_theta] = slope
    return back


def parameter_covariance(model: WorkingGLMM, psi: Array) -> Array:
    """Covariance of (theta, coefficients) in working coordinates."""
    if not model.joint:
        return working_covariance(model.kernel.hessian(psi), model.n_theta)
    joint = model.n_theta + np.array(model.joint)
    outer = np.setdiff1d(np.arange(len(psi)), joint)
    free = np.ones(len(psi), dtype=np.bool_)
    free[joint] = False
    V = working_covariance(model.kernel.hessian(psi, free)[np.ix_(outer, outer)], model.n_theta)
    J = slopes_of_joint(model, psi, joint, outer, np.sqrt(np.diag(V)))
    own = model.kernel.joint_mode(psi)[1]
    covariance = np.empty((len(psi), len(psi)))
    covariance[np.ix_(outer, outer)] = V
    covariance[np.ix_(joint, outer)] = J @ V
    covariance[np.ix_(outer, joint)] = V @ J.T
    covariance[np.ix_(joint, joint)] = own + J @ V @ J.T
    return covariance


def slopes_of_joint(model: WorkingGLMM, psi: Array, joint: Codes, outer: Codes, se: Array) -> Array:
    """How joint coefficients follow the other ones; theta is held."""
    slopes = np.zeros((len(joint), len(outer)))
    for column in range(model.n_theta, len(outer)):
        step = np.zeros(len(psi))
        step[outer[column]] = SHARE_OF_ERROR * min(max(float(se[column]), STEP), 1.0)
        high, low = (model.kernel.joint_mode(psi + sign * step)[0][joint] for sign in (1.0, -1.0))
        slopes[:, column] = (high - low) / (2.0 * step[outer[column]])
    return slopes


def working_covariance(hessian: Array, n_theta: int) -> Array:
    """Twice the inverse Hessian of (theta, gamma), flat directions of theta held."""
    H = known_part(0.5 * (hessian + hessian.T))
    tt, tg, gg = H[:n_theta, :n_theta], H[:n_theta, n_theta:], H[n_theta:, n_theta:]
    free = inverse_where_curved(tt, FLAT, hold=True)
    moved = free @ tg  # how theta follows the coefficients, with a minus
    coefficients = 2.0 * inverse_where_curved(gg - tg.T @ moved, FLATTEST, hold=False)
    across = -moved @ coefficients
    covariance = np.empty_like(H)
    covariance[:n_theta, :n_theta] = 2.0 * free + moved @ coefficients @ moved.T
    covariance[:n_theta, n_theta:] = across
    covariance[n_theta:, :n_theta] = across.T
    covariance[n_theta:, n_theta:] = coefficients
    return covariance


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
    if len(H) == 1 and H[0, 0] > 1e-300:
        return 1.0 / H
    diagonal = np.abs(H.diagonal())
    size = np.sqrt(np.maximum(diagonal, 1e-14 * max(*diagonal.tolist(), 1e-300)))
    sizes = size[:, None] * size
    values, vectors = np.linalg.eigh(H / sizes)
    least = flat * float(values[-1])
    flattest = 0.0 if hold else 1.0 / max(least, 1e-300)
    inverse = [1.0 / value if value > least else flattest for value in values.tolist()]
    return np.asarray((vectors * inverse) @ vectors.T / sizes)


def theta_slopes(model: WorkingGLMM, psi: Array) -> Array:
    """d theta / d working theta (t, t): a block for each term, by central differences of a smooth map."""
    slopes = np.zeros((model.n_theta, model.n_theta))
    first = 0
    for k, placed in enumerate(model.terms):
        here = slice(first, first + placed.layout.n_parameters)
        slopes[here, here] = slopes_of_term(placed, psi[here], model.theta_scale(k))
        first = here.stop
    return slopes


def slopes_of_term(placed: PlacedTerm, theta: Array, scale: float) -> Array:
    """Slopes of the parameters of one term in its working ones."""
    if len(theta) == 1 and placed.layout.width == 1:
        return np.sign(theta)[:, None] * np.abs(placed.working.back) / scale
    columns = []
    for k, value in enumerate(theta.tolist()):
        step = np.zeros(len(theta))
        step[k] = STEP * max(1.0, abs(value))
        high, low = (np.array(user_theta(placed, theta + sign * step, scale)) for sign in (1.0, -1.0))
        columns.append((high - low) / (2.0 * step[k]))
    return np.array(columns).T


def user_theta(placed: PlacedTerm, theta: Array, scale: float) -> list[float]:
    """The parameters of one term as the user reads them, from its working ones."""
    root = placed.working.back @ term_factor(placed.layout, theta) / scale
    return theta_of(placed.term.structure, placed.term.hom, lower_triangular(root))
