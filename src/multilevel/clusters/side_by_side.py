"""Why do fits differ? What clusters do to each standard error, and averaging to each coefficient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.clusters.coefficient_inflation import CoefficientInflation

LARGE, SMALL = 1.1, 1.0 / 1.1  # ratios of standard errors that deserve an explanation
CONSTANT_ICC = 0.8  # intraclass correlation of a predictor from which it hardly varies within groups
TINY = 1e-12  # a ratio of zero has no logarithm

Effect = Literal["larger", "smaller", "none"]


@dataclass(frozen=True, slots=True)
class GroupEffect:
    """What one grouping does to the standard errors of the p coefficients of a naive fit."""

    group: str
    inflation: CoefficientInflation
    constant: Mask  # (p,) columns that do not vary within groups


@dataclass(frozen=True, slots=True)
class Explained:
    """A set of coefficients whose standard errors clusters change in one way."""

    effect: Effect
    terms: tuple[int, ...]  # places among the coefficients of the naive fit
    constant: bool  # whether none of them varies within groups
    of: GroupEffect

    def over_terms(self, values: Array) -> Array:
        """Values (p,) of these coefficients."""
        return np.asarray(values[list(self.terms)])


def cluster_ratio(effect: GroupEffect, term: int) -> float:
    """What clusters alone make of a standard error, however much rows vary; 1 if unknown."""
    deff = float(effect.inflation.deff[term])
    return float(np.sqrt(deff)) if deff >= 0.0 else 1.0


def strongest(effects: Sequence[GroupEffect], term: int) -> GroupEffect:
    """The grouping that changes the standard error of one coefficient most."""
    return max(effects, key=lambda effect: abs(np.log(max(cluster_ratio(effect, term), TINY))))


def explain(effects: Sequence[GroupEffect], terms: Sequence[int]) -> list[Explained]:
    """Coefficients gathered by what clusters do to them, the largest change first."""
    gathered: dict[tuple[str, Effect, bool], list[int]] = {}
    by_name = {effect.group: effect for effect in effects}
    for term in terms:
        of = strongest(effects, term)
        ratio = cluster_ratio(of, term)
        effect: Effect = "larger" if ratio > LARGE else "smaller" if ratio < SMALL else "none"
        gathered.setdefault((of.group, effect, bool(of.constant[term])), []).append(term)
    found = [
        Explained(effect, tuple(places), constant, by_name[group])
        for (group, effect, constant), places in gathered.items()
    ]
    order: Mapping[Effect, int] = {"larger": 0, "smaller": 1, "none": 2}
    return sorted(found, key=lambda each: order[each.effect])
