"""What does a likelihood ratio follow if the smaller model is true? Simulate from it, fit both, repeat.

Halekoh, U. and Højsgaard, S. (2014). A Kenward-Roger approximation and parametric bootstrap methods for tests
in linear mixed models. Journal of Statistical Software 59(9).
Davison, A. C. and Hinkley, D. V. (1997). Bootstrap Methods and their Application. Cambridge, section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from multilevel._options import Seed, checked_count, checked_seed
from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.estimation.lmm import working_model
from multilevel.estimation.ols import sum_of_squares, total_weights, whiten
from multilevel.estimation.refits import LONG, fit_all_responses, response_blocks
from multilevel.fitted.lmm import LMMRecord
from multilevel.fitted.ols import OLSRecord, gaussian_loglik, log_precision
from multilevel.inference.simulated_p import SimulatedP, simulated_p
from multilevel.inference.smaller_models import Candidate, restricted_loglik
from multilevel.simulation.lmm import refuse_counted_rows, simulate_responses
from multilevel.simulation.ols import simulate_linear


@dataclass(frozen=True, slots=True)
class NullDraws:
    """Likelihood ratios of B responses drawn from the smaller model."""

    statistics: Array  # (B,) of those whose fits both converged
    failed: int  # responses left out because a fit did not converge


def bootstrap_p(
    small: Candidate, large: Candidate, n: int, seed: Seed, progress: bool | None, *, reml: bool
) -> SimulatedP:
    """The p-value of the larger model's gain among n gains on data simulated from the smaller one."""
    draws = null_gains(small, large, n, seed, progress, reml=reml)
    gain = 2.0 * (large.loglik - small.loglik)
    return simulated_p(gain, draws.statistics, draws.failed, scale=abs(large.loglik))


def bootstrap_neighbours(
    models: Sequence[Candidate], nested: Sequence[bool], n: int, seed: Seed, progress: bool | None
) -> tuple[SimulatedP | None, ...]:
    """The p-value of each of K models against the one before it; None where the pair is not nested."""
    seeds = checked_seed(seed).spawn(len(nested))
    tests = [
        bootstrap_p(small, large, n, own, progress, reml=False) if is_nested else None
        for (small, large), is_nested, own in zip(pairwise(models), nested, seeds, strict=True)
    ]
    return (None, *tests)


def null_gains(
    small: Candidate, large: Candidate, n: int, seed: Seed, progress: bool | None, *, reml: bool
) -> NullDraws:
    """Twice the gain in log-likelihood on n responses drawn from the smaller model, block by block."""
    refuse_what_cannot_be_refitted(small, large)
    small, large = with_crossproducts(small), with_crossproducts(large)
    n, root, n_rows = checked_count("n", n), checked_seed(seed), small.design.n_rows
    gains, usable = [], []
    with tqdm(total=n, disable=not (n_rows * n > LONG if progress is None else progress)) as bar:
        for block in response_blocks(n_rows, n):
            Y = simulated_from(small, min(block.stop, n) - block.start, root)
            (one, one_fits), (other, other_fits) = (logliks(m, Y, reml=reml) for m in (small, large))
            gains.append(2.0 * (other - one))
            usable.append(one_fits & other_fits)
            bar.update(Y.shape[1])
    good = np.concatenate(usable)
    return NullDraws(np.maximum(np.concatenate(gains)[good], 0.0), int(np.count_nonzero(~good)))


def simulated_from(model: Candidate, n: int, seed: np.random.SeedSequence) -> Array:
    """New responses (rows, n) from a fitted model, with new random effects."""
    if isinstance(model.record, OLSRecord):
        return simulate_linear(model.design, model.record, n, seed)
    return simulate_responses(model.design, model.record, n, seed, "new")


def logliks(model: Candidate, Y: Array, *, reml: bool) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Log-likelihood (B,) of the model fitted to each column of Y (rows, B), and whether each converged."""
    if isinstance(model.record, OLSRecord):
        return linear_logliks(model, model.record, Y, reml=reml), np.ones(Y.shape[1], dtype=np.bool_)
    assert model.model is not None  # with_crossproducts made it
    optimum = model.record.optimum
    fits = fit_all_responses(model.design, model.model, optimum, Y, reml, progress=False)
    return -0.5 * fits.criterion, fits.converged


def linear_logliks(model: Candidate, record: OLSRecord, Y: Array, *, reml: bool) -> Array:
    """Log-likelihood (B,) of least squares on each column of Y."""
    design, weights = model.design, total_weights(model.design)
    basis = whiten(record.in_basis(design.X), weights)
    response = whiten(Y - record.fitted[:, None], weights)  # the fitted part changes no residual
    rest = response - basis @ (basis.T @ response)
    squares = [sum_of_squares(column, None) for column in rest.T]
    logs = log_precision(design)
    if reml:
        return np.array([restricted_loglik(rss, record, logs) for rss in squares])
    return np.array([gaussian_loglik(rss, record.n_obs, logs) for rss in squares])


def with_crossproducts(fitted: Candidate) -> Candidate:
    """The model with what refits need; least squares needs nothing."""
    if fitted.model is not None or isinstance(fitted.record, OLSRecord):
        return fitted
    return Candidate(fitted.design, fitted.record, fitted.loglik, working_model(fitted.design))


def refuse_what_cannot_be_refitted(*models: Candidate) -> None:
    """The bootstrap draws each row's response, and refits models that have a residual."""
    for model in models:
        refuse_counted_rows(model.design)
        if isinstance(model.record, LMMRecord) and model.record.sigma == 0.0:
            raise ModelError(
                'a model with residual="none" cannot be refitted by the thousand, as the bootstrap must; '
                "leave method= out for the chi-square test."
            )
