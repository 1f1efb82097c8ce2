"""A variable about its mean, or taken apart level by level; where values are missing so are its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes, Mask
from multilevel.clusters.within_between import column_squares, split_columns


@dataclass(frozen=True, slots=True)
class Part:
    """One summand of a variable, beside what is left of it."""

    values: Array  # (n_total,) NaN in rows that were not used
    mean: float
    sd: float  # over observations
    share: float  # of the sum of squares of the variable; NaN for a constant


@dataclass(frozen=True, slots=True)
class CentredVariable:
    """A variable as the sum of its parts: between groups, from the coarsest level down, and what is left."""

    name: str
    mean: float  # over the rows used
    between: tuple[Part, ...]  # one for each level; none about the grand mean
    within: Part  # deviations from the finest level, or from the grand mean
    n_groups: tuple[int, ...]  # for each level
    n_alone: int  # groups of the finest level with one observation
    range_of_means: tuple[float, float]  # of the coarsest level
    n_total: int
    n_missing: int


def centred_variable(
    name: str, x: Array, levels: Sequence[Codes], counts: Array | None, rows: Mask, n_missing: int
) -> CentredVariable:
    """Take x (n,) apart, given in the rows used; `levels` are codes (n,) from the coarsest to the finest."""
    mean = float(np.average(x, weights=counts))
    total = float(column_squares((x - mean)[:, None], counts)[0])
    rest, parts, sizes, ranges = x, [], [], []
    for codes in levels:
        split = split_columns(rest[:, None], codes, counts)
        parts.append(part_of(split.between[:, 0], counts, rows, total))
        rest = split.within[:, 0]
        sizes.append(split.sizes)
        ranges.append((float(split.means.min()), float(split.means.max())))
    return CentredVariable(
        name=name,
        mean=mean,
        between=tuple(parts),
        within=part_of(rest if levels else x - mean, counts, rows, total),
        n_groups=tuple(map(len, sizes)),
        n_alone=int((sizes[-1] == 1.0).sum()) if sizes else 0,
        range_of_means=ranges[0] if ranges else (mean, mean),
        n_total=len(rows),
        n_missing=n_missing,
    )


def part_of(values: Array, counts: Array | None, rows: Mask, total: float) -> Part:
    """A summand (n,) with its size, in its place among all rows."""
    mean = float(np.average(values, weights=counts))
    squares = float(column_squares((values - mean)[:, None], counts)[0])
    n_obs = float(len(values) if counts is None else counts.sum())
    everywhere = np.full(len(rows), np.nan)
    everywhere[rows] = values
    return Part(
        everywhere,
        0.0 if abs(mean) < 1e-12 * np.sqrt(squares / n_obs) else mean,  # rounding of a mean of zero
        float(np.sqrt(squares / max(n_obs - 1.0, 1.0))),
        squares / total if total > 0.0 else np.nan,
    )
