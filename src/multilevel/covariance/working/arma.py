"""Autoregressive moving averages: correlation over equally spaced times, of any order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from multilevel._options import checked_order
from multilevel._typing import Array
from multilevel.covariance.lags import arma_correlations
from multilevel.covariance.working.specification import Correlation
from multilevel.errors import DataError


@dataclass(frozen=True, slots=True)
class ARMA(Correlation):
    """e_t = phi_1 e_(t-1) + ... + phi_p e_(t-p) + a_t + theta_1 a_(t-1) + ... + theta_q a_(t-q).

    Args:
        p: how many autoregressive coefficients phi.
        q: how many moving-average coefficients theta.
        time: the column of times, whole numbers; rows without one are a step apart in the order of the data.

    >>> ARMA(1, 1).matrix(np.array([0.5, 0.5]), np.arange(3.0)).round(4)
    array([[1.    , 0.7143, 0.3571],
           [0.7143, 1.    , 0.7143],
           [0.3571, 0.7143, 1.    ]])
    """

    p: int = 1
    q: int = 1
    time: str | None = None
    name: ClassVar[str] = "arma"
    words: ClassVar[str] = "an autoregressive moving average"
    ordered: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if checked_order("p", self.p) + checked_order("q", self.q) == 0:
            raise DataError("ARMA(0, 0) has no correlation; write ml.Independence().")

    @property
    def time_column(self) -> str | None:
        """The column of times."""
        return self.time

    def parameter_names(self) -> tuple[str, ...]:
        """Autoregressive coefficients, then those of the moving average."""
        return (
            *(f"phi[{k + 1}]" for k in range(self.p)),
            *(f"theta[{k + 1}]" for k in range(self.q)),
        )

    def matrix(self, alpha: Array, times: Array) -> Array:
        """Correlations by the distance of whole-numbered times: (m, m)."""
        lags = np.abs(times[:, None] - times).round().astype(np.int64)
        return np.asarray(arma_correlations(alpha[: self.p], alpha[self.p :], int(lags.max(initial=0)))[lags])
