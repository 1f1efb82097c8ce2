"""What of a simulated study is lost? Values here and there, or all from some visit on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from multilevel._typing import Array, Codes, Mask
from multilevel.errors import DataError

FARTHEST = 40.0  # logits that a share between 0 and 1 can be away


@dataclass(frozen=True, slots=True)
class Missed:
    """Each response is missing with one probability, whatever else is true (MCAR)."""

    share: float

    def lost(self, y: Array, unit: Codes, time: Array, rng: np.random.Generator) -> Mask:  # noqa: ARG002
        """Rows (n,) without a response."""
        return rng.random(len(y)) < self.share

    def words(self) -> str:
        """What is lost."""
        return f"{self.share:.3g} of the responses are missing at random places"


@dataclass(frozen=True, slots=True)
class Left:
    """Units leave and do not come back; what was seen last may move the odds (MAR)."""

    time: str
    at: str
    share: float  # of the units that have left by the last time
    previous: float  # log odds of leaving for a response one SD higher at the time before

    def lost(self, y: Array, unit: Codes, time: Array, rng: np.random.Generator) -> Mask:
        """Rows (n,) from the one on at which their unit has left; the first is always seen."""
        period = np.unique(time, return_inverse=True)[1]
        if period.max(initial=0) < 1:
            raise DataError(f"units cannot leave before a second time, and '{self.time}' has one.")
        last = int(period.max())
        hazard = 1.0 - (1.0 - self.share) ** (1.0 / last)  # at each time the same, so that `share` have left
        gone = np.zeros(int(unit.max()) + 1, dtype=np.bool_)
        missing = np.zeros(len(y), dtype=np.bool_)
        for t in range(1, last + 1):
            before = mean_by(y, unit, (period == t - 1) & ~gone[unit], len(gone))
            here = ~gone & ~np.isnan(before)
            gone[here] |= rng.random(int(here.sum())) < probabilities(before[here], hazard, self.previous)
            missing |= (period == t) & gone[unit]
        return missing

    def words(self) -> str:
        """Who leaves."""
        moved = "" if not self.previous else f", log odds {self.previous:+g} a SD of the response before"
        return f"{self.share:.3g} of '{self.at}' have left by the last '{self.time}'{moved}"


Loss = Missed | Left


def mean_by(y: Array, unit: Codes, rows: Mask, count: int) -> Array:
    """Mean response of each unit (J,) in some rows; NaN where it has none."""
    n = np.bincount(unit[rows], minlength=count)
    total = np.bincount(unit[rows], weights=y[rows], minlength=count)
    return np.asarray(np.where(n > 0, total / np.maximum(n, 1), np.nan))


def probabilities(before: Array, hazard: float, slope: float) -> Array:
    """Probability (k,) of leaving, `hazard` on average, on the logit scale linear in the response before."""
    spread = before.std()
    if not slope or not len(before) or spread == 0.0:
        return np.full(len(before), hazard)
    moved = slope * (before - before.mean()) / spread
    reach = FARTHEST + float(np.abs(moved).max())
    return np.asarray(expit(brentq(lambda a: expit(a + moved).mean() - hazard, -reach, reach) + moved))
