"""What does each step of a ladder of mixed models say?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.clusters.within import varying_within, within_groups
from multilevel.design.design import Design

LEAST_GROUPS = 5  # for variances of slopes to be asked for
MOST_EFFECTS = 0.8  # random effects per observation, up to which their variance is told from the residual's
MOST_TOGETHER = 6  # columns in one bar with all slopes
MOST_SLOPES = 8  # steps with one slope each


@dataclass(frozen=True, slots=True)
class StepTest:
    """A likelihood-ratio test of one step against another; NaN where there is none."""

    against: str | None
    chisq: float = np.nan
    df: float = np.nan
    p_value: float = np.nan
    p_boundary: float = np.nan
    variances: bool = False  # whether the larger model has more of them

    @property
    def p(self) -> float:
        """The p-value to read: that of the boundary where a variance is tested and its mixture is known."""
        return self.p_value if np.isnan(self.p_boundary) else self.p_boundary


@dataclass(frozen=True, slots=True)
class Slope:
    """The coefficient whose differences between groups a step adds."""

    name: str  # of the coefficient
    estimate: float
    sd: float  # between groups
    se_before: float
    se_after: float
    moderated: bool  # by an interaction, so that no one number is its average


@dataclass(frozen=True, slots=True)
class StepNumbers:
    """One step in numbers; criteria and tests by maximum likelihood, variances as the fit was asked for."""

    name: str
    formula: str
    npar: int
    loglik: float
    aic: float
    bic: float
    test: StepTest
    var_residual: float
    converged: bool
    criterion: float = np.nan  # REML criterion, or deviance
    var_groups: float = np.nan  # mean over observations of what the groups' effects contribute
    var_cells: float = np.nan  # of combinations of group and factor
    icc: float = np.nan
    explained: Mapping[str, float] = field(default_factory=dict)  # r2_marginal, reduction_groups, ...
    slope: Slope | None = None
    spreads: tuple[tuple[str, float], ...] = ()  # standard deviations of all effects but the intercepts'
    singular: bool = False


def lowest(steps: Sequence[StepNumbers], criterion: str) -> StepNumbers:
    """The step with the lowest AIC or BIC: the first of them, should there be several."""
    return min(steps, key=lambda step: float(getattr(step, criterion)))


def carries(n_groups: int, n_columns: int, n_obs: float) -> bool:
    """Whether there are clearly more observations than random effects."""
    return n_groups * n_columns < MOST_EFFECTS * n_obs


def carries_together(n_groups: int, n_columns: int, n_obs: float) -> bool:
    """Whether the covariance of `n_columns` effects may be asked of so many groups."""
    enough_groups = n_groups >= max(3 * n_columns, n_columns * (n_columns + 1) // 2)
    return n_columns <= MOST_TOGETHER and enough_groups and carries(n_groups, n_columns, n_obs)


def slopes_vary(Z: Array, codes: Codes) -> bool:
    """Whether each column of Z (n, q) but the first, the intercept, varies within groups."""
    columns = Z[:, 1:]
    return bool(varying_within(columns, within_groups(columns, codes, np.ones(len(columns)))).all())


def row_counts(design: Design) -> Array:
    """How many observations each row is (n,)."""
    return np.ones(design.n_rows) if design.freq_weights is None else design.freq_weights
