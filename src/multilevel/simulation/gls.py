"""New responses from fits whose residuals have a structure."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multilevel._options import Seed, checked_choice
from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.estimation.gls import GLSSolution
from multilevel.estimation.residual.blocks import coloured
from multilevel.estimation.residual.mixed_search import MixedSolution
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.fitted.gls import GLSRecord
from multilevel.fitted.structured import StructuredRecord
from multilevel.simulation.lmm import add_effects, effect_counts
from multilevel.simulation.streams import random_streams


def simulate_gls(record: GLSRecord, rows: ResidualRows, solution: GLSSolution, n: int, seed: Seed) -> Array:
    """Responses (rows used, n): the mean, and residuals with their variances and correlations.

    Each column has a random stream of its own, so the first columns do not depend on how many follow.
    """
    white = np.column_stack([rng.standard_normal(rows.n_rows) for rng in random_streams(n, seed)])
    errors = coloured(rows, solution.point.whitening, solution.point.log_sd, white)
    return np.asarray(record.fitted[:, None] + record.sigma * rows.in_data_order(errors))


def simulate_structured(
    design: Design,
    record: StructuredRecord,
    rows: ResidualRows,
    solution: MixedSolution,
    n: int,
    seed: Seed,
    re: Literal["new", "keep"],
) -> Array:
    """The same with new random effects in each column, or the conditional modes kept."""
    checked_choice("re", re, ("new", "keep"))
    counts = effect_counts(design) if re == "new" else []
    numbers = sum(counts) + rows.n_rows
    normal = np.stack([rng.standard_normal(numbers) for rng in random_streams(n, seed)])
    white = normal[:, sum(counts) :].T
    errors = coloured(rows, solution.point.whitening, solution.point.log_sd, white)
    mean = record.fitted if re == "keep" else record.mixed.fitted_fixed
    total = np.ascontiguousarray((mean[:, None] + record.sigma * rows.in_data_order(errors)).T)
    first = 0
    for index, count in enumerate(counts):
        add_effects(total, design, record.mixed, index, normal[:, first : first + count])
        first += count
    return np.asarray(total.T)
