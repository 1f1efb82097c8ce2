"""Correlations with parameters of their own in each stratum of clusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.covariance.residual.chart import Chart, Limits
from multilevel.estimation.residual.structure import RowCorrelation, Whitening


@dataclass(frozen=True, slots=True)
class StratifiedChart:
    """The charts of the strata, one after another."""

    strata: tuple[str, ...]
    charts: tuple[Chart, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """With the stratum's name before."""
        return tuple(
            f"{stratum}: {name}"
            for stratum, chart in zip(self.strata, self.charts, strict=True)
            for name in chart.names
        )

    @property
    def limits(self) -> tuple[Limits, ...]:
        """Of all."""
        return tuple(limits for chart in self.charts for limits in chart.limits)

    def split(self, eta: Array) -> list[Array]:
        """Eta of each stratum."""
        return np.split(eta, np.cumsum([len(chart.names) for chart in self.charts])[:-1])

    def natural(self, eta: Array) -> Array:
        """Of all."""
        parts = zip(self.charts, self.split(eta), strict=True)
        return np.concatenate([chart.natural(part) for chart, part in parts])


@dataclass(frozen=True, slots=True)
class StratifiedRows:
    """Strata are slices of the rows."""

    chart: StratifiedChart
    slices: tuple[slice, ...]
    parts: tuple[RowCorrelation, ...]

    def at(self, eta: Array) -> StratifiedWhitening:
        """Each stratum at its own parameters."""
        pairs = zip(self.parts, self.chart.split(eta), strict=True)
        return StratifiedWhitening(self, tuple(part.at(own) for part, own in pairs))

    def starts(self, z: Array) -> list[Array]:
        """The best guesses of all strata together, then the second, ..."""
        own = [part.starts(z[rows]) for part, rows in zip(self.parts, self.slices, strict=True)]
        return [np.concatenate(each) for each in zip(*own, strict=False)]


def stratified_rows(
    strata: Sequence[str], slices: Sequence[slice], parts: Sequence[RowCorrelation]
) -> StratifiedRows:
    """Put the strata together."""
    chart = StratifiedChart(tuple(strata), tuple(part.chart for part in parts))
    return StratifiedRows(chart, tuple(slices), tuple(parts))


@dataclass(frozen=True, slots=True)
class StratifiedWhitening:
    """At given parameters."""

    rows: StratifiedRows
    parts: tuple[Whitening, ...]

    @property
    def log_det(self) -> float:
        """Of all strata."""
        return sum(part.log_det for part in self.parts)

    @property
    def least_pivot(self) -> float:
        """Of all strata."""
        return min(part.least_pivot for part in self.parts)

    def whiten(self, rows: Array) -> Array:
        """Stratum by stratum."""
        return np.concatenate([p.whiten(rows[s]) for p, s in zip(self.parts, self.rows.slices, strict=True)])

    def whiten_back(self, rows: Array) -> Array:
        """Stratum by stratum."""
        pairs = zip(self.parts, self.rows.slices, strict=True)
        return np.concatenate([p.whiten_back(rows[s]) for p, s in pairs])

    def slopes(self, rows: Array, whitened: Array, solved: Array) -> Array:
        """Stratum by stratum."""
        pairs = zip(self.parts, self.rows.slices, strict=True)
        return np.concatenate([p.slopes(rows[s], whitened[s], solved[s]) for p, s in pairs])
