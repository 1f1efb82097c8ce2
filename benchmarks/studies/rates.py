"""A share of simulated data sets, with the error that simulation leaves in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NOMINAL = 0.05


@dataclass(frozen=True, slots=True)
class Rate:
    """How often a test at 5% rejected a hypothesis that is true."""

    rejected: int
    n: int

    @property
    def share(self) -> float:
        return self.rejected / self.n

    @property
    def error(self) -> float:
        """Standard deviation of the share of an honest test over simulations."""
        return float(np.sqrt(NOMINAL * (1.0 - NOMINAL) / self.n))

    @property
    def distance(self) -> float:
        """Distance from 5% in standard deviations: beyond 3 it is hardly chance."""
        return (self.share - NOMINAL) / self.error


def rate_of(p_values: npt.NDArray[np.float64]) -> Rate:
    return Rate(int((p_values < NOMINAL).sum()), len(p_values))


def printed(title: str, rates: Mapping[str, Rate], *, intervals: bool) -> str:
    """The table of one design; with `intervals` also the coverage of the interval of each test."""
    width = max(map(len, rates))
    any_rate = next(iter(rates.values()))
    error = 100.0 * any_rate.error
    head = f"{title}\n{any_rate.n} data sets; an honest test rejects 5% of them, give or take {error:.1f}%"
    columns = f"  {'':<{width}}  rejects  {'covers  ' if intervals else ''}sd from 5%"
    return "\n".join([head, columns, *(line(name, rate, width, intervals) for name, rate in rates.items())])


def line(name: str, rate: Rate, width: int, intervals: bool) -> str:
    covers = f"  {100.0 - 100.0 * rate.share:5.1f}%" if intervals else ""
    return f"  {name:<{width}}  {100.0 * rate.share:6.1f}%{covers}  {rate.distance:+10.1f}"
