"""How sure are the parameters of a residual structure? Intervals on their own scales.

A normal interval is formed where a parameter has no bounds, and taken back: logarithms of standard deviations
and ratios, Fisher's z of correlations, powers as they are.

Pinheiro, J. C. & Bates, D. M. (2000). Mixed-Effects Models in S and S-PLUS, section 2.4.3. Springer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.residual.chart import Limits, bounded, line_slopes, unbounded
from multilevel.inference.wald import critical_value


@dataclass(frozen=True, slots=True)
class ParameterTable:
    """sigma and the residual parameters (1 + k rows)."""

    group: tuple[str, ...]  # "Residual", "Variance" or "Correlation"
    term: tuple[str, ...]
    estimate: Array
    std_error: Array  # NaN of what is at a boundary
    conf_low: Array
    conf_high: Array


class ResidualEstimates(Protocol):
    """What a record says of its residual structure."""

    @property
    def sigma(self) -> float: ...  # noqa: D102
    @property
    def parameters(self) -> Array: ...  # noqa: D102
    @property
    def parameter_names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def parameter_limits(self) -> tuple[Limits, ...]: ...  # noqa: D102
    @property
    def n_scale(self) -> int: ...  # noqa: D102


def parameter_table(
    record: ResidualEstimates, log_sigma_error: float, errors: Array, level: float
) -> ParameterTable:
    """Estimates, standard errors and limits."""
    limits = record.parameter_limits
    z = float(critical_value(level, None))
    with np.errstate(invalid="ignore"):
        on_line = unbounded(record.parameters, limits)
        half = z * errors * line_slopes(record.parameters, limits)
        low, high = bounded(on_line - half, limits), bounded(on_line + half, limits)
    known = np.isfinite(errors)
    spread = np.exp(z * log_sigma_error)
    k, scale = len(record.parameters), record.n_scale
    return ParameterTable(
        group=("Residual", *("Variance",) * scale, *("Correlation",) * (k - scale)),
        term=("sigma", *record.parameter_names),
        estimate=np.append(record.sigma, record.parameters),
        std_error=np.append(record.sigma * log_sigma_error, errors),
        conf_low=np.append(record.sigma / spread, np.where(known, low, np.nan)),
        conf_high=np.append(record.sigma * spread, np.where(known, high, np.nan)),
    )
