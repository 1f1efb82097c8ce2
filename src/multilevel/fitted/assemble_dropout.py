"""From a dropout model to weights: whom it is about, and the probability of what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.linalg import block_diag

from multilevel._typing import Array, Codes, Mask
from multilevel.fitted.dropout import DropoutModel, StayModel

Level = Literal["observation", "cluster"]


@dataclass(frozen=True, slots=True)
class RiskSet:
    """Groups that are followed: n rows, of which m are at risk of being the last."""

    codes: Codes  # (n,)
    visit: npt.NDArray[np.intp]  # (n,)
    followed: Mask  # (n,) rows observed with all times before them observed, too
    at_risk: Mask  # (n,) of these, the ones before the last time
    stays: Array  # (n,) 1 where the group is there at the next time, for rows at risk; else 0
    shape: tuple[int, int]  # (K, T)


def risk_set(observed: Mask, codes: Codes, visit: npt.NDArray[np.intp]) -> RiskSet:
    """Whom a dropout model is about, from a table of who was observed when (K, T)."""
    there = np.logical_and.accumulate(observed, axis=1)
    followed = there[codes, visit]
    before_last = visit < observed.shape[1] - 1
    following = np.minimum(visit + 1, observed.shape[1] - 1)
    at_risk = followed & before_last
    stays = np.where(at_risk, there[codes, following], 0.0)
    return RiskSet(codes, visit, followed, at_risk, stays, (observed.shape[0], observed.shape[1]))


@dataclass(frozen=True, slots=True)
class Factors:
    """Logarithms of what rows' weights are made of, and their slopes in r parameters."""

    log: Array  # (n,)
    slopes: Array  # (n, r)


def row_factors(risk: RiskSet, model: StayModel) -> Factors:
    """log prod p over the times before each row, with its slopes."""
    log, slopes = over_visits(
        risk, model, np.log(model.probability), (1.0 - model.probability)[:, None] * model.X
    )
    before_log, before_slopes = exclusive_sums(log), exclusive_sums(slopes)
    return Factors(before_log[risk.codes, risk.visit], before_slopes[risk.codes, risk.visit])


def group_factors(risk: RiskSet, model: StayModel) -> Factors:
    """log of the probability of each row's group's whole history, with its slopes."""
    p, stays = model.probability, model.stays
    log, slopes = over_visits(risk, model, np.where(stays == 1.0, np.log(p), np.log1p(-p)), model.scores)
    return Factors(log.sum(axis=1)[risk.codes], slopes.sum(axis=1)[risk.codes])


def over_visits(risk: RiskSet, model: StayModel, log: Array, slopes: Array) -> tuple[Array, Array]:
    """Values of rows at risk (m,), (m, r) in their places (K, T), (K, T, r); zero elsewhere."""
    place = risk.codes[risk.at_risk], risk.visit[risk.at_risk]
    table, slope_table = np.zeros(risk.shape), np.zeros((*risk.shape, len(model.beta)))
    table[place], slope_table[place] = log, slopes
    return table, slope_table


def exclusive_sums(table: Array) -> Array:
    """Sums over the times before each (along the second axis)."""
    return np.asarray(np.cumsum(table, axis=1) - table)


def group_scores(risk: RiskSet, model: StayModel) -> Array:
    """Scores of a stay model by group (K, r)."""
    scores = np.zeros((risk.shape[0], len(model.beta)))
    np.add.at(scores, risk.codes[risk.at_risk], model.scores)
    return scores


def assemble_dropout(
    groups: tuple[str, ...],
    risk: RiskSet,
    model: StayModel,
    numerator: StayModel | None,
    level: Level,
    truncate: tuple[float, float] | None,
) -> DropoutModel:
    """Weights with their slopes, and the scores and the information of the parameters they come from."""
    factors = row_factors if level == "observation" else group_factors
    parts = [(model, -1.0), *([] if numerator is None else [(numerator, 1.0)])]
    made = [(factors(risk, each), sign) for each, sign in parts]
    log = np.sum([sign * factor.log for factor, sign in made], axis=0)
    log_slopes = np.hstack([sign * factor.slopes for factor, sign in made])
    weights = np.where(risk.followed, np.exp(log), np.nan)
    kept = truncated(weights, truncate)
    moves = risk.followed & (kept == weights)
    return DropoutModel(
        groups=groups,
        codes=risk.codes,
        names=tuple(name for each, _ in parts for name in each.names),
        n_stay=len(model.names),
        scores=np.hstack([group_scores(risk, each) for each, _ in parts]),
        information=block_diag(*(each.information for each, _ in parts)),
        weights=kept,
        weight_slopes=np.where(moves[:, None], np.exp(log)[:, None] * log_slopes, 0.0),
    )


def truncated(weights: Array, percentiles: tuple[float, float] | None) -> Array:
    """Weights (n,) with those beyond two percentiles, as shares, moved to these; NaN stay."""
    if percentiles is None:
        return weights
    low, high = np.nanquantile(weights, percentiles)
    return np.clip(weights, low, high)
