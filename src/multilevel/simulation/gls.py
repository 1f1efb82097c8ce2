"""New responses from a fit by generalised least squares."""

from __future__ import annotations

import numpy as np

from multilevel._options import Seed, checked_count, checked_seed
from multilevel._typing import Array
from multilevel.estimation.gls import GLSSolution
from multilevel.estimation.residual.blocks import row_stacks, whitened_units
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.fitted.gls import GLSRecord


def simulate_gls(record: GLSRecord, rows: ResidualRows, solution: GLSSolution, n: int, seed: Seed) -> Array:
    """Responses (rows used, n): the mean, and residuals with their variances and correlations.

    One random stream a replicate; a draw does not depend on the order in which structures are handled.
    """
    count = checked_count("n", n)
    white = np.column_stack(
        [
            np.random.default_rng(stream).standard_normal(rows.n_rows)
            for stream in checked_seed(seed).spawn(count)
        ]
    )
    stacks = row_stacks(rows)
    widest = max(stack.shape[1] for stack in stacks)
    errors = np.empty_like(white)
    for stack, half in zip(stacks, whitened_units(solution.point, stacks, widest), strict=True):
        errors[stack] = np.linalg.solve(half, white[stack])
    return np.asarray(record.fitted[:, None] + record.sigma * rows.in_data_order(errors))
