"""New responses from a fitted linear model."""

from __future__ import annotations

import numpy as np

from multilevel._options import Seed
from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.fitted.ols import OLSRecord
from multilevel.simulation.lmm import refuse_counted_rows
from multilevel.simulation.streams import random_streams


def simulate_linear(design: Design, record: OLSRecord, n: int, seed: Seed) -> Array:
    """Draw responses (n_rows, n) with independent normal errors, a random stream for each column."""
    refuse_counted_rows(design)
    streams = random_streams(n, seed)
    scale = record.sigma if design.weights is None else record.sigma / np.sqrt(design.weights)
    draws = np.empty((design.n_rows, len(streams)), order="F")
    for column, rng in enumerate(streams):
        draws[:, column] = record.fitted + scale * rng.standard_normal(design.n_rows)
    return draws
