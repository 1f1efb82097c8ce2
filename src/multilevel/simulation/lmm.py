"""New responses from a fitted linear mixed model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np

from multilevel._options import Seed, checked_choice
from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.fitted.lmm import LMMRecord, TermCovariance
from multilevel.simulation.streams import random_streams

BLOCK_BYTES = 64e6  # of random numbers held at once
Streams = Sequence[np.random.Generator]


class LinearModel(Protocol):
    """What responses are drawn from: the record of a fit, or what is true in a planned study."""

    @property
    def sigma(self) -> float: ...  # noqa: D102
    @property
    def unit(self) -> float: ...  # noqa: D102
    @property
    def terms(self) -> tuple[TermCovariance, ...]: ...  # noqa: D102
    @property
    def fitted(self) -> Array: ...  # noqa: D102
    @property
    def fitted_fixed(self) -> Array: ...  # noqa: D102


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
    return draw_responses(design, record, random_streams(n, seed), keep=re == "keep")


def draw_responses(design: Design, record: LinearModel, streams: Streams, *, keep: bool) -> Array:
    """A response (n_rows,) from each stream: (n_rows, len(streams)), Fortran order."""
    draws = np.empty((len(streams), design.n_rows))
    numbers = sum(effect_counts(design)) + design.n_rows
    step = max(1, int(BLOCK_BYTES / (8 * numbers)))
    for first in range(0, len(streams), step):
        block = slice(first, first + step)
        draws[block] = draw_block(design, record, streams[block], keep)
    return draws.T


def draw_block(design: Design, record: LinearModel, streams: Streams, keep: bool) -> Array:
    """Responses (b, n_rows): each stream gives its random effects first, then its errors."""
    counts = [] if keep else effect_counts(design)
    normal = np.empty((len(streams), sum(counts) + design.n_rows))
    for row, rng in zip(normal, streams, strict=True):
        rng.standard_normal(out=row)
    scale = record.sigma if design.weights is None else record.sigma / np.sqrt(design.weights)
    total = scale * normal[:, sum(counts) :] + (record.fitted if keep else record.fitted_fixed)
    first = 0
    for index, count in enumerate(counts):
        add_effects(total, design, record, index, normal[:, first : first + count])
        first += count
    return total


def effect_counts(design: Design) -> list[int]:
    """Number of random effects of each term."""
    return [design.groupings[term.grouping].n_levels * term.n_columns for term in design.terms]


def add_effects(total: Array, design: Design, record: LinearModel, index: int, normal: Array) -> None:
    """Add a term's Z b to `total` (b, n_rows), from standard normal numbers (b, J q)."""
    term = design.terms[index]
    codes = design.groupings[term.grouping].codes
    spherical = normal.reshape(len(normal), -1, term.n_columns)
    effects = record.unit * spherical @ record.terms[index].factor.T
    for column in range(term.n_columns):
        total += effects[:, codes, column] * term.Z[:, column]


def draw_effects(term: TermCovariance, unit: float, n_levels: int, rng: np.random.Generator) -> Array:
    """Random effects (J, q) of one term, each row from N(0, unit^2 T T')."""
    return np.asarray(unit * rng.standard_normal((n_levels, len(term.names))) @ term.factor.T)


def refuse_counted_rows(design: Design) -> None:
    """A row that stands for several observations has no single response to draw."""
    if has_counted_rows(design):
        raise ModelError(
            "rows with freq_weights stand for several observations, which one simulated value cannot; "
            "repeat the rows as often as their weight says and fit again."
        )


def has_counted_rows(design: Design) -> bool:
    """Whether some row stands for several observations."""
    return design.freq_weights is not None and bool((design.freq_weights != 1.0).any())
