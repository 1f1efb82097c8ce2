"""Residuals without correlation."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.residual.chart import Limits


@dataclass(frozen=True, slots=True)
class NoParameters:
    """Nothing to estimate."""

    names: tuple[str, ...] = ()
    limits: tuple[Limits, ...] = ()

    def natural(self, eta: Array) -> Array:
        """Empty."""
        return eta


@dataclass(frozen=True, slots=True)
class IndependentRows:
    """R = I: rows are white already."""

    chart: NoParameters = field(default_factory=NoParameters)
    log_det: float = 0.0
    least_pivot: float = 1.0

    def at(self, eta: Array) -> IndependentRows:  # noqa: ARG002
        """Itself."""
        return self

    def starts(self, z: Array) -> list[Array]:  # noqa: ARG002
        """No parameters."""
        return [np.empty(0)]

    def whiten(self, rows: Array) -> Array:
        """The rows."""
        return rows

    def whiten_back(self, rows: Array) -> Array:
        """The rows."""
        return rows

    def slopes(self, rows: Array, whitened: Array, solved: Array) -> Array:  # noqa: ARG002
        """None."""
        return np.empty(0)
