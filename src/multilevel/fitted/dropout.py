"""The record of a dropout model: weights of rows, and what a variance needs to know of their estimation.

Of K groups over T times each is followed until it is missed first. For a group still there at one time, the
model gives the probability p that it is there at the next, from what its row says now. A row at time j then
has the weight of all that had to happen for it to be seen,

    w_j = prod_{l < j} q_l / p_l,

with q a probability from fewer predictors (a stabilised weight), or 1. Groups may also be weighted as
wholes, by the probability of their whole history: staying until they left, and leaving then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes


@dataclass(frozen=True, slots=True)
class StayModel:
    """A logistic model that those still there stay; m rows at risk, r predictors."""

    names: tuple[str, ...]  # (r,)
    beta: Array  # (r,)
    X: Array  # (m, r)
    stays: Array  # (m,) 1 for those there at the next time, 0 for those who leave
    probability: Array  # (m,) fitted

    @property
    def information(self) -> Array:
        """Information (r, r) about beta."""
        return np.asarray((self.X.T * (self.probability * (1.0 - self.probability))) @ self.X)

    @property
    def scores(self) -> Array:
        """Scores (m, r) of the rows at risk."""
        return np.asarray((self.stays - self.probability)[:, None] * self.X)


@dataclass(frozen=True, slots=True)
class DropoutModel:
    """Weights of n rows of K groups, estimated with r parameters, those of the numerator's model included.

    Rows are all rows of the data in their order, groups stand in the order of `groups`.
    """

    groups: tuple[str, ...]  # (K,) labels as text, as a grouping factor of the data has them
    codes: Codes  # (n,) index into groups
    names: tuple[str, ...]  # (r,) of the model of staying first
    n_stay: int  # how many of them are those of the model of staying
    scores: Array  # (K, r) of the dropout model, summed over the rows at risk of each group
    information: Array  # (r, r) of the dropout model; block-diagonal where the numerator has a model, too
    weights: Array  # (n,) NaN where a row is not observed, or comes after a gap
    weight_slopes: Array  # (n, r) d weight / d parameter; 0 where a weight is truncated or NaN
