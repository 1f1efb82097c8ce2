"""Maximum likelihood of a logistic regression, by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.estimation.centring import centre

MOST_STEPS = 60
DECREMENT = 1e-18  # a row, of twice the log-likelihood that a step gains: the step before it changed no digit
ROUNDING = 1e-13  # of the log-likelihood: a loss below it is none
CERTAIN = 1e-9  # fitted probabilities nearer to 0 or 1 mean that no finite coefficient fits best


@dataclass(frozen=True, slots=True)
class LogisticFit:
    """Coefficients and fitted probabilities of n rows."""

    beta: Array  # (p,)
    probability: Array  # (n,) of a 1
    converged: bool

    @property
    def separated(self) -> bool:
        """Whether some combination of the predictors tells ones from zeros without fail."""
        p = self.probability
        return not self.converged or bool((np.minimum(p, 1.0 - p) < CERTAIN).any())


def fit_logistic(X: Array, y: Array) -> LogisticFit:
    """Coefficients of columns X (n, p) of full rank for a response y (n,) of zeros and ones.

    >>> fit = fit_logistic(np.ones((4, 1)), np.array([1.0, 1.0, 1.0, 0.0]))
    >>> fit.probability[0].round(6), fit.beta.round(4)  # log(3)
    (np.float64(0.75), array([1.0986]))
    """
    centring = centre(X, None)
    columns = centring.columns(X)
    scale = np.sqrt((columns**2).mean(axis=0))
    Z = columns / scale
    gamma = np.zeros(X.shape[1])
    loglik = log_likelihood(Z @ gamma, y)
    for _ in range(MOST_STEPS):
        p = expit(Z @ gamma)
        gradient = Z.T @ (y - p)
        step = np.linalg.lstsq((Z.T * (p * (1.0 - p))) @ Z, gradient, rcond=None)[0]
        if float(gradient @ step) < DECREMENT * len(y):
            return LogisticFit(centring.coefficients(gamma / scale, 0.0), p, converged=True)
        gamma, loglik = damped(Z, y, gamma, step, loglik)
    return LogisticFit(centring.coefficients(gamma / scale, 0.0), expit(Z @ gamma), converged=False)


def damped(Z: Array, y: Array, gamma: Array, step: Array, loglik: float) -> tuple[Array, float]:
    """The longest of the halved steps that does not lose likelihood."""
    for _ in range(30):
        new = gamma + step
        reached = log_likelihood(Z @ new, y)
        if reached >= loglik - ROUNDING * abs(loglik):
            return new, reached
        step = 0.5 * step
    return gamma, loglik


def log_likelihood(eta: Array, y: Array) -> float:
    """Sum over rows of y eta - log(1 + exp(eta))."""
    return float(y @ eta - np.logaddexp(0.0, eta).sum())


def expit(eta: Array) -> Array:
    """The logistic curve."""
    return np.asarray(np.exp(-np.logaddexp(0.0, -eta)))
