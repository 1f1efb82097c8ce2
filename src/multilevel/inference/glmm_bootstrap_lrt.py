"""What does the likelihood ratio of two generalized mixed models follow if the smaller one is true?

Responses are drawn from the smaller model with new random effects, each from a random stream of its own, and
both models are fitted to each. Where the larger model then seems to fit worse, or its search fails, it is
searched for from elsewhere: it holds the smaller one.

Davison, A. C. and Hinkley, D. V. (1997). Bootstrap Methods and their Application. Cambridge, section 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from tqdm.auto import tqdm

from multilevel._options import Seed, checked_count, checked_seed
from multilevel._typing import Array, Mask
from multilevel.estimation.glmm import WorkingGLMM, starts, working_glmm
from multilevel.estimation.glmm_refits import GLMMFits, fit_many, in_core
from multilevel.estimation.refits import response_blocks
from multilevel.inference.bootstrap_lrt import NullDraws
from multilevel.inference.glmm_fixed_model import FixedModel
from multilevel.inference.glmm_nesting import GLMMCandidate
from multilevel.inference.simulated_p import SimulatedP, simulated_p
from multilevel.simulation.glmm import draw_glmm
from multilevel.simulation.lmm import refuse_counted_rows
from multilevel.simulation.streams import random_streams

DELAY = 1.0  # seconds before a progress bar is shown unless told
BLOCK = 100  # responses between two looks at the keyboard
WORSE = 1e-6  # by which a log-likelihood may fall short of the smaller model's, by rounding of both searches


@dataclass(frozen=True, slots=True)
class Refitted:
    """A model that is fitted to many responses."""

    candidate: GLMMCandidate
    model: WorkingGLMM

    def draw(self, streams: Sequence[np.random.Generator]) -> Array:
        """A response from each stream, with new random effects: (n, B)."""
        return draw_glmm(self.candidate.design, self.candidate.record, streams, keep=False)

    def logliks(self, Y: Array) -> tuple[Array, Mask]:
        """Log-likelihood (B,) of the fit to each column of Y (n, B), and whether its search converged."""
        fits = fits_of(self, Y)
        return fits.loglik, fits.converged


def bootstrap_glmm_neighbours(
    models: Sequence[GLMMCandidate | None],
    nested: Sequence[bool],
    n: int,
    seed: Seed,
    progress: bool | None,
) -> tuple[SimulatedP | None, ...]:
    """The p-value of each of K models against the one before it; None where the pair is not nested."""
    seeds = checked_seed(seed).spawn(len(nested))
    tests = [
        bootstrap_glmm_p(small, large, n, own, progress) if is_nested and small and large else None
        for (small, large), is_nested, own in zip(pairwise(models), nested, seeds, strict=True)
    ]
    return (None, *tests)


def bootstrap_glmm_p(
    small: GLMMCandidate, large: GLMMCandidate, n: int, seed: Seed, progress: bool | None
) -> SimulatedP:
    """The p-value of the larger model's gain among n gains on data simulated from the smaller one."""
    draws = glmm_null_gains(small, large, n, seed, progress)
    gain = 2.0 * (large.record.loglik - small.record.loglik)
    return simulated_p(gain, draws.statistics, draws.failed, scale=abs(large.record.loglik))


def glmm_null_gains(
    small: GLMMCandidate, large: GLMMCandidate, n: int, seed: Seed, progress: bool | None
) -> NullDraws:
    """Twice the gain in log-likelihood on n responses drawn from the smaller model, block by block."""
    return gains_on_draws(refitted(small), refitted(large), n, seed, progress)


def gains_on_draws(
    small: Refitted | FixedModel, large: Refitted, n: int, seed: Seed, progress: bool | None
) -> NullDraws:
    """The same of models that are ready to be refitted."""
    main = large.candidate.design.main
    refuse_counted_rows(main)
    streams = random_streams(checked_count("n", n), checked_seed(seed))
    gains, usable = [], []
    bar = tqdm(
        total=n, desc="bootstrap", disable=progress is False, delay=0.0 if progress else DELAY, leave=False
    )
    with bar:
        for block in blocks(main.n_rows, n):
            Y = small.draw(streams[block])
            loglik, converged = small.logliks(Y)
            better = fits_of_larger(large, Y, loglik)
            gains.append(2.0 * (better.loglik - loglik))
            usable.append(converged & better.converged & np.isfinite(gains[-1]))
            bar.update(Y.shape[1])
    good = np.concatenate(usable)
    return NullDraws(np.maximum(np.concatenate(gains)[good], 0.0), int(np.count_nonzero(~good)))


def blocks(n_rows: int, count: int) -> list[slice]:
    """Blocks of responses that are drawn and fitted together."""
    return [
        slice(begin, min(begin + BLOCK, whole.stop))
        for whole in response_blocks(n_rows, count)
        for begin in range(whole.start, whole.stop, BLOCK)
    ]


def refitted(candidate: GLMMCandidate) -> Refitted:
    """A model with what refits need."""
    record = candidate.record
    return Refitted(candidate, working_glmm(candidate.design, record.family, nodes=record.nodes))


def fits_of(each: Refitted, Y: Array) -> GLMMFits:
    """Fits to the columns of Y (n, B), from the optimum of the fit."""
    record = each.candidate.record
    return fit_many(
        each.candidate.design,
        record.family,
        each.model,
        record.optimum.theta,
        Y,
        False,
        nodes=record.nodes,
    )


def fits_of_larger(each: Refitted, Y: Array, least: Array) -> GLMMFits:
    """The same for the larger model, again from elsewhere where it fits worse than `least` (B,) or fails."""
    found = fits_of(each, Y)
    if each.candidate.record.family.response == "ordered":  # whose kernels are made for each response
        return found
    for start in starts(each.model):
        doubtful = ~found.converged | ~(found.loglik >= least - WORSE * (1.0 + np.abs(least)))
        if not doubtful.any():
            break
        found = better_of(found, in_core(each.model, Y[:, doubtful], start), doubtful)
    return found


def better_of(found: GLMMFits, again: GLMMFits, where: Mask) -> GLMMFits:
    """The fits, some of them tried again: of each the one that converged, or is more likely."""
    places = np.flatnonzero(where)
    old, new = found.loglik[places], again.loglik
    tried = again.converged & ~found.converged[places]
    better = tried | ((again.converged == found.converged[places]) & (new > np.nan_to_num(old, nan=-np.inf)))
    columns = {name: getattr(found, name).copy() for name in GLMMFits.__slots__}
    for name, column in columns.items():
        column[places[better]] = getattr(again, name)[better]
    return GLMMFits(**columns)
