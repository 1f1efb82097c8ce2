"""How much larger than sigma is the standard deviation of each row? Factors g, their logarithms and slopes.

Parameters are unbounded: logarithms of ratios, powers, and for constants, which may be zero but not negative,
their square roots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.covariance.residual.chart import NUMBER, POSITIVE, Limits

NEGLIGIBLE = 1e-4  # part of the smallest |x|^power that a constant must exceed to be told from zero
FLOOR = 1e-3  # part of the root mean square residual below which its logarithm says too much


class ScaleFactor(Protocol):
    """One family of factors, with k parameters delta."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the natural parameters (k,)."""

    @property
    def limits(self) -> tuple[Limits, ...]:
        """Where they lie (k,)."""

    def natural(self, delta: Array) -> Array:
        """Natural parameters (k,)."""

    def log_scale(self, delta: Array) -> Array:
        """log g (n,)."""

    def slopes(self, delta: Array, h: Array) -> Array:
        """Derivatives (k,) of sum h log g, with h (n,) held."""

    def starts(self, residuals: Array) -> Sequence[Array]:
        """Where to begin, given residuals (n,) of a fit with equal variances."""

    def boundary(self, delta: Array) -> Array:
        """Delta with what is as good as zero, and may be no less, at zero."""

    def null_slope(self, delta: Array, h: Array) -> float:
        """Least derivative of sum h log g in what is zero and could only grow; infinite if nothing is."""


@dataclass(frozen=True, slots=True)
class Ratios:
    """A ratio to the first stratum for each of the others; delta are their logarithms."""

    label: str  # of the strata
    levels: tuple[str, ...]  # (J,)
    codes: Codes  # (n,)

    @property
    def names(self) -> tuple[str, ...]:
        """The strata after the first."""
        return tuple(f"sd ratio {self.label}[{level}]" for level in self.levels[1:])

    @property
    def limits(self) -> tuple[Limits, ...]:
        """Positive."""
        return (POSITIVE,) * (len(self.levels) - 1)

    def natural(self, delta: Array) -> Array:
        """The ratios."""
        return np.exp(delta)

    def log_scale(self, delta: Array) -> Array:
        """Of the row's stratum."""
        return np.asarray(np.concatenate([[0.0], delta])[self.codes])

    def slopes(self, delta: Array, h: Array) -> Array:  # noqa: ARG002
        """Sums over strata."""
        sums = np.bincount(self.codes, h, minlength=len(self.levels))
        return np.asarray(sums[1:], dtype=np.float64)

    def starts(self, residuals: Array) -> list[Array]:
        """Root mean squares."""
        counts = np.bincount(self.codes, minlength=len(self.levels))
        mean = np.bincount(self.codes, residuals**2, minlength=len(self.levels)) / counts
        log_sd = 0.5 * np.log(np.maximum(mean, FLOOR**2 * np.mean(residuals**2)))
        return [log_sd[1:] - log_sd[0], np.zeros(len(self.levels) - 1)]

    def boundary(self, delta: Array) -> Array:
        """There is none."""
        return delta

    def null_slope(self, delta: Array, h: Array) -> float:  # noqa: ARG002
        """There is none."""
        return np.inf


@dataclass(frozen=True, slots=True)
class Powers:
    """exp(rate u), one rate for each stratum: of u = log|x| it is a power of x."""

    names: tuple[str, ...]  # (J,)
    u: Array  # (n,)
    codes: Codes  # (n,)
    unit: float  # delta = rate * unit: about 1 is much, whatever the units of u

    @property
    def limits(self) -> tuple[Limits, ...]:
        """Any numbers."""
        return (NUMBER,) * len(self.names)

    def natural(self, delta: Array) -> Array:
        """Rates or powers."""
        return np.asarray(delta / self.unit)

    def log_scale(self, delta: Array) -> Array:
        """Rate times u."""
        return np.asarray((delta / self.unit)[self.codes] * self.u)

    def slopes(self, delta: Array, h: Array) -> Array:  # noqa: ARG002
        """Sums of h u over strata."""
        return np.bincount(self.codes, h * self.u, minlength=len(self.names)) / self.unit

    def starts(self, residuals: Array) -> list[Array]:
        """The slope of log|residual| in u, then none."""
        floor = FLOOR * np.sqrt(np.mean(residuals**2))
        size = np.log(np.maximum(np.abs(residuals), floor))
        u = self.u - self.u.mean()
        rate = float(u @ size / (u @ u)) if u.any() else 0.0
        return [np.full(len(self.names), rate * self.unit), np.zeros(len(self.names))]

    def boundary(self, delta: Array) -> Array:
        """There is none."""
        return delta

    def null_slope(self, delta: Array, h: Array) -> float:  # noqa: ARG002
        """There is none."""
        return np.inf


@dataclass(frozen=True, slots=True)
class ConstantPowers:
    """const + |x|^power in each stratum; delta are all roots of shares, then all powers.

    The constant is a share of the power of a usual |x|, its geometric mean: so it keeps its part in g
    whatever the power is, and the search need not follow it over orders of magnitude.
    """

    names: tuple[str, ...]  # (2 J,)
    size: Array  # (n,) |x|
    codes: Codes  # (n,)

    @property
    def n_strata(self) -> int:
        """Number of strata J."""
        return len(self.names) // 2

    @property
    def limits(self) -> tuple[Limits, ...]:
        """Constants are positive, or zero."""
        return (*(POSITIVE,) * self.n_strata, *(NUMBER,) * self.n_strata)

    @property
    def log_usual(self) -> float:
        """Logarithm of a usual |x|."""
        return float(np.log(self.size[self.size > 0.0]).mean())

    def natural(self, delta: Array) -> Array:
        """Constants, then powers."""
        return np.concatenate([self._constants(delta), delta[self.n_strata :]])

    def log_scale(self, delta: Array) -> Array:
        """Where |x| is zero, that of the constant alone."""
        return np.log(self._constants(delta)[self.codes] + self._powers(delta))

    def slopes(self, delta: Array, h: Array) -> Array:
        """By root of the share and by power."""
        powers, constants = self._powers(delta), self._constants(delta)[self.codes]
        weight = h / (constants + powers)
        usual = np.exp(self.log_usual * delta[self.n_strata :])
        logs = np.log(np.where(self.size > 0.0, self.size, 1.0))
        by_root = (
            np.bincount(self.codes, weight, minlength=self.n_strata) * 2.0 * delta[: self.n_strata] * usual
        )
        change = constants * self.log_usual + powers * logs
        return np.concatenate([by_root, np.bincount(self.codes, weight * change, minlength=self.n_strata)])

    def starts(self, residuals: Array) -> list[Array]:  # noqa: ARG002
        """Constant and power alike in size, for powers of a half and one; almost a power alone; and flat."""
        ones = np.ones(self.n_strata)
        pairs = [(1.0, 0.5), (1.0, 1.0), (0.05, 0.5), (3.0, 2.0), (1.0, 0.1)]
        return [np.concatenate([np.sqrt(share) * ones, power * ones]) for share, power in pairs]

    def boundary(self, delta: Array) -> Array:
        """Constants far below every |x|^power of their stratum become zero."""
        powers, constants = self._powers(delta), self._constants(delta)
        least = np.array([powers[self.codes == j].min() for j in range(self.n_strata)])
        roots = np.where(constants < NEGLIGIBLE * least, 0.0, delta[: self.n_strata])
        return np.concatenate([roots, delta[self.n_strata :]])

    def null_slope(self, delta: Array, h: Array) -> float:
        """Of shares that are zero."""
        zero = delta[: self.n_strata] == 0.0
        if not zero.any():
            return np.inf
        slopes = np.bincount(self.codes, h * np.exp(-self.log_scale(delta)), minlength=self.n_strata)
        usual = np.exp(self.log_usual * delta[self.n_strata :])
        return float((slopes * usual)[zero].min())

    def _constants(self, delta: Array) -> Array:
        """Of each stratum (J,)."""
        return np.asarray(delta[: self.n_strata] ** 2 * np.exp(self.log_usual * delta[self.n_strata :]))

    def _powers(self, delta: Array) -> Array:
        """|x|^power (n,), zero where x is."""
        power = delta[self.n_strata :][self.codes]
        there = self.size > 0.0
        if (power[~there] <= 0.0).any():
            raise np.linalg.LinAlgError("a power of zero that is not positive")
        return np.where(there, np.where(there, self.size, 1.0) ** power, 0.0)


@dataclass(frozen=True, slots=True)
class KnownScale:
    """A given factor of each row."""

    log_g: Array  # (n,)
    names: tuple[str, ...] = ()
    limits: tuple[Limits, ...] = ()

    def natural(self, delta: Array) -> Array:
        """No parameters."""
        return delta

    def log_scale(self, delta: Array) -> Array:  # noqa: ARG002
        """As given."""
        return self.log_g

    def slopes(self, delta: Array, h: Array) -> Array:  # noqa: ARG002
        """None."""
        return np.empty(0)

    def starts(self, residuals: Array) -> list[Array]:  # noqa: ARG002
        """Nothing to start."""
        return [np.empty(0)]

    def boundary(self, delta: Array) -> Array:
        """There is none."""
        return delta

    def null_slope(self, delta: Array, h: Array) -> float:  # noqa: ARG002
        """There is none."""
        return np.inf


def powers(names: Sequence[str], u: Array, codes: Codes) -> Powers:
    """Rates of u (n,) by stratum (n,), in units of the spread of u."""
    spread = float(np.std(u))
    return Powers(tuple(names), u, codes, spread if spread > 0.0 else 1.0)


@dataclass(frozen=True, slots=True)
class ScaleProduct:
    """Several factors at once; delta are theirs one after another."""

    factors: tuple[ScaleFactor, ...]
    n_rows: int

    @property
    def names(self) -> tuple[str, ...]:
        """Of all."""
        return tuple(name for factor in self.factors for name in factor.names)

    @property
    def limits(self) -> tuple[Limits, ...]:
        """Of all."""
        return tuple(limits for factor in self.factors for limits in factor.limits)

    def split(self, delta: Array) -> list[Array]:
        """Delta of each factor."""
        return np.split(delta, np.cumsum([len(f.names) for f in self.factors])[:-1])

    def natural(self, delta: Array) -> Array:
        """Of all."""
        return _joined([f.natural(part) for f, part in zip(self.factors, self.split(delta), strict=False)])

    def log_scale(self, delta: Array) -> Array:
        """Sum of logarithms (n,)."""
        pairs = zip(self.factors, self.split(delta), strict=False)
        return np.asarray(sum((f.log_scale(part) for f, part in pairs), start=np.zeros(self.n_rows)))

    def slopes(self, delta: Array, h: Array) -> Array:
        """Of all."""
        return _joined([f.slopes(part, h) for f, part in zip(self.factors, self.split(delta), strict=False)])

    def starts(self, residuals: Array) -> list[Array]:
        """The first of each factor, the second of each, ...; a factor that has fewer stays at its first."""
        own = [f.starts(residuals) for f in self.factors]
        most = max((len(each) for each in own), default=1)
        return [_joined([each[k] if k < len(each) else each[0] for each in own]) for k in range(most)]

    def boundary(self, delta: Array) -> Array:
        """Of all."""
        return _joined([f.boundary(part) for f, part in zip(self.factors, self.split(delta), strict=False)])

    def null_slope(self, delta: Array, h: Array) -> float:
        """The least of all."""
        pairs = zip(self.factors, self.split(delta), strict=False)
        return min((f.null_slope(part, h) for f, part in pairs), default=np.inf)


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts) if parts else np.empty(0)
