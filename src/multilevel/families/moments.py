"""Mean and variance of a response, where trials, truncation and an excess of zeros have their say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array


@dataclass(frozen=True, slots=True)
class RowParameters:
    """What the distribution of each of n responses has as parameters."""

    mu: Array  # (n,) mean of the family, before truncation and excess zeros
    phi: Array | None = None  # (n,) dispersion, over precision weights
    shape: float | Array | None = None  # Tweedie's power, Student's degrees of freedom
    trials: Array | None = None  # (n,) where the response is a share of successes
    zeros: Array | None = None  # (n,) probability of an excess zero; of a hurdle, of any zero


def response_mean(density: str, rows: RowParameters) -> Array:
    """Expected response (n,) of a density; of successes in trials, the expected share.

    >>> mu = np.array([2.0])
    >>> response_mean("poisson", RowParameters(mu, zeros=np.array([0.25])))
    array([1.5])
    >>> response_mean("truncated_poisson", RowParameters(mu)).round(3)
    array([2.313])
    """
    mean = rows.mu
    if is_truncated(density):
        mean = truncated_mean(mean, zero_before_truncation(density, rows))
    return np.asarray(mean if rows.zeros is None else (1.0 - rows.zeros) * mean)


def response_variance(density: str, rows: RowParameters) -> Array:
    """Variance of the response (n,), of a share where there are trials.

    >>> response_variance("poisson", RowParameters(np.array([2.0]), zeros=np.array([0.25])))
    array([2.25])
    """
    mean, variance = rows.mu, family_variance(density, rows)
    if is_truncated(density):
        zero = zero_before_truncation(density, rows)
        square = (variance + mean**2) / kept(zero)
        mean = truncated_mean(mean, zero)
        variance = np.maximum(square - mean**2, 0.0)
    if rows.zeros is None:
        return variance
    return np.asarray((1.0 - rows.zeros) * (variance + rows.zeros * mean**2))


def family_variance(density: str, rows: RowParameters) -> Array:
    """Variance (n,) of the family itself."""
    mu, phi = rows.mu, np.ones_like(rows.mu) if rows.phi is None else rows.phi
    match density.removeprefix("truncated_"):
        case "gaussian":
            variance = phi
        case "student":
            nu = np.broadcast_to(np.inf if rows.shape is None else rows.shape, mu.shape)
            finite = nu > 2.0
            variance = np.where(finite, phi / (1.0 - 2.0 / np.where(finite, nu, 4.0)), np.inf)
        case "gamma":
            variance = phi * mu**2
        case "inverse_gaussian":
            variance = phi * mu**3
        case "poisson":
            variance = mu
        case "nbinom2":
            variance = mu + mu**2 / phi
        case "nbinom1":
            variance = mu * (1.0 + phi)
        case "binomial" | "beta_binomial":
            variance = mu * (1.0 - mu) * share_variance(density, rows)
        case "beta":
            variance = mu * (1.0 - mu) / (1.0 + phi)
        case _:  # Tweedie
            variance = phi * mu ** (1.5 if rows.shape is None else rows.shape)
    return np.asarray(variance)


def share_variance(density: str, rows: RowParameters) -> Array:
    """Variance (n,) of a share of successes, binomial or beta-binomial, over mu (1 - mu)."""
    trials = np.ones_like(rows.mu) if rows.trials is None else rows.trials
    phi = rows.phi if density == "beta_binomial" else None
    alike = 0.0 if phi is None else 1.0 / (1.0 + phi)
    return np.asarray((1.0 + (trials - 1.0) * alike) / trials)


def is_truncated(density: str) -> bool:
    """Whether the family has no zeros of its own."""
    return density.startswith("truncated")


def truncated_mean(mu: Array, zero: Array) -> Array:
    """Mean of the counts above zero, from their mean before and the log-probability of a zero."""
    return np.where(mu > 1e-8, mu / kept(zero), 1.0)


def kept(zero: Array) -> Array:
    """Probability that a count is not zero."""
    return np.maximum(-np.expm1(zero), 1e-300)


def zero_before_truncation(density: str, rows: RowParameters) -> Array:
    """Log-probability (n,) of a zero in the counts that are cut off above it."""
    if density == "truncated_poisson" or rows.phi is None:
        return np.asarray(-rows.mu)
    if density == "truncated_nbinom2":
        return np.asarray(-rows.phi * np.log1p(rows.mu / rows.phi))
    return np.asarray(-rows.mu / rows.phi * np.log1p(rows.phi))
