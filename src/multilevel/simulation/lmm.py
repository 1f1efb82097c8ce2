"""New responses from a fitted linear mixed model."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multilevel._options import Seed, checked_choice
from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.fitted.lmm import LMMRecord, TermCovariance
from multilevel.simulation.streams import random_streams


def simulate_responses(
    design: Design,
    record: LMMRecord,
    n: int,
    seed: Seed,
    re: Literal["new", "keep"],
) -> Array:
    """Draw responses (n_rows, n): new random effects in each column, or the conditional modes kept.

    Each column has a random stream of its own, so the first columns do not depend on how many follow.
    """
    refuse_counted_rows(design)
    checked_choice("re", re, ("new", "keep"))
    keep = re == "keep"
    streams = random_streams(n, seed)
    mean = record.fitted if keep else record.fitted_fixed
    scale = record.sigma if design.weights is None else record.sigma / np.sqrt(design.weights)
    draws = np.empty((design.n_rows, len(streams)), order="F")
    for column, rng in enumerate(streams):
        effects = 0.0 if keep else random_part(design, record, rng)
        draws[:, column] = mean + effects + scale * rng.standard_normal(design.n_rows)
    return draws


def random_part(design: Design, record: LMMRecord, rng: np.random.Generator) -> Array:
    """Z b (n,) for one new draw of all random effects."""
    total = np.zeros(design.n_rows)
    for term, fit in zip(design.terms, record.terms, strict=True):
        grouping = design.groupings[term.grouping]
        effects = draw_effects(fit, record.sigma, grouping.n_levels, rng)
        total += np.einsum("ij,ij->i", term.Z, effects[grouping.codes])
    return total


def draw_effects(term: TermCovariance, sigma: float, n_levels: int, rng: np.random.Generator) -> Array:
    """Random effects (J, q) of one term, each row from N(0, sigma^2 T T')."""
    return np.asarray(sigma * rng.standard_normal((n_levels, len(term.names))) @ term.factor.T)


def refuse_counted_rows(design: Design) -> None:
    """A row that stands for several observations has no single response to draw."""
    if design.freq_weights is not None and (design.freq_weights != 1.0).any():
        raise ModelError(
            "rows with freq_weights stand for several observations, which one simulated value cannot; "
            "repeat the rows as often as their weight says and fit again."
        )
