"""New responses from a fitted linear model."""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.fitted.ols import OLSRecord
from multilevel.simulation.lmm import refuse_counted_rows


def simulate_linear(
    design: Design, record: OLSRecord, n: int, seed: int | np.random.SeedSequence | None
) -> Array:
    """Draw responses (n_rows, n) with independent normal errors, a random stream for each column."""
    refuse_counted_rows(design)
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    scale = record.sigma if design.weights is None else record.sigma / np.sqrt(design.weights)
    draws = np.empty((design.n_rows, n), order="F")
    for column, child in enumerate(root.spawn(n)):
        draws[:, column] = record.fitted + scale * np.random.default_rng(child).standard_normal(design.n_rows)
    return draws
