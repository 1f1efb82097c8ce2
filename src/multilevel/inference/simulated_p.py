"""How often would chance alone give a statistic as large? p-values from simulated null distributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array

ROUNDING = 1e-8  # of a log-likelihood, relative: statistics that differ by less are equal


@dataclass(frozen=True, slots=True)
class SimulatedP:
    """A p-value from simulation, with its Monte-Carlo error."""

    p_value: float  # (1 + as large) / (1 + simulated): never zero, and valid as a p-value itself
    error: float  # standard deviation of the p-value over simulations
    n: int  # simulated statistics that count
    failed: int  # simulations whose fits did not converge, and which do not count

    @property
    def resolved(self) -> bool:
        """Whether any simulated statistic was as large: else the p-value is only a bound."""
        return self.p_value > 1.0 / (1.0 + self.n)


def simulated_p(statistic: float, draws: Array, failed: int = 0, scale: float = 1.0) -> SimulatedP:
    """The p-value of a statistic among draws (n,) from its null distribution.

    `scale` is the size of the log-likelihoods that the statistics are differences of.

    >>> simulated_p(3.0, np.array([0.0, 1.0, 4.0])).p_value
    0.5
    """
    n = len(draws)
    share = (1.0 + np.count_nonzero(draws >= statistic - ROUNDING * (1.0 + scale))) / (1.0 + n)
    error = float(np.sqrt(share * (1.0 - share) / n)) if n else np.nan
    return SimulatedP(float(share), error, n, failed)
