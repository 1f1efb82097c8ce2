"""Tests and limits of contrasts, adjusted within each group for how many are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array
from multilevel.inference.contrasts import Contrasts
from multilevel.inference.linear_functions import Basis, Estimated, estimated, kept_columns
from multilevel.inference.multiplicity import Family, adjust
from multilevel.inference.wald import checked_level

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """How tests allow for one another."""

    method: str  # of multiplicity.METHODS
    level: float  # of the limits
    seed: int | np.random.SeedSequence  # of "mvt"


@dataclass(frozen=True, slots=True)
class AdjustedContrasts:
    """Contrasts with tests and limits; NaN where the data say nothing."""

    estimated: Estimated  # k * G
    statistic: Array  # (k * G,)
    p_value: Array  # (k * G,)
    half_width: Array  # (k * G,)


def tested_contrasts(
    contrasts: Contrasts, basis: Basis, chosen: Adjustment, null: float
) -> AdjustedContrasts:
    """Test each contrast against `null`."""
    checked_level(chosen.level)
    found = estimated(contrasts.functions, basis)
    p_value, half_width = (np.full(len(found.estimate), np.nan) for _ in range(2))
    k = len(contrasts.matrix)
    for group in range(contrasts.n_groups):
        rows = group * k + np.flatnonzero(found.std_error[group * k : (group + 1) * k] > 0.0)
        result = adjust(family(contrasts, found, basis, rows, chosen.seed), null, chosen.method, chosen.level)
        p_value[rows], half_width[rows] = result.p_value, result.half_width
    error = np.where(found.std_error > 0.0, found.std_error, np.nan)
    return AdjustedContrasts(found, (found.estimate - null) / error, p_value, half_width)


def family(
    contrasts: Contrasts, found: Estimated, basis: Basis, rows: Indices, seed: int | np.random.SeedSequence
) -> Family:
    """The contrasts of one group that have an answer."""
    compared = contrasts.matrix[rows % len(contrasts.matrix)] != 0.0
    L = kept_columns(contrasts.functions.L[rows], basis)
    return Family(
        estimate=found.estimate[rows],
        std_error=found.std_error[rows],
        df=found.df[rows],
        n_means=int(compared.any(axis=0).sum()),
        covariance=partial(basis.inference.covariance, L),
        seed=seed,
    )
