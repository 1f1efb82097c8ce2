"""The fits that a decomposition of effects compares, on columns made for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from keyword import iskeyword

import numpy as np

from multilevel._typing import Array, Frame
from multilevel.clusters.predictors import Predictors
from multilevel.clusters.within_between import split_columns
from multilevel.design.grouped import GroupedDesign
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.frames.column import Categorical
from multilevel.frames.output import Column, to_frame
from multilevel.results.lmm import LMMFit, lmm
from multilevel.results.ols import OLSFit, ols

POOLED_VCOV = "CR2"  # of the pooled regression, unless another variance is asked for


@dataclass(frozen=True, slots=True)
class EffectFits:
    """The fits behind a decomposition; each can be asked what any fit can."""

    pooled: OLSFit  # one slope, as if there were no groups; its variance knows them
    within_between: LMMFit  # a slope within groups and another on their means
    one_slope: LMMFit  # random intercepts, and one slope for both
    means: OLSFit  # regression of group means, each group counting alike
    means_by_size: OLSFit  # each group counting as its size


def fit_effects(
    grouped: GroupedDesign, found: Predictors, slopes: Sequence[str], vcov: str | None
) -> EffectFits:
    """Fit all that is compared; `slopes` names the columns whose slope within groups varies between them."""
    name = grouped.design.response_name
    refuse_taken_names(found, name)
    data, by_group = row_frame(grouped, found), group_frame(grouped, found)
    y, g = quoted(name), quoted(found.groups)
    one, parts = list(found.names), part_names(found)
    means = found.chosen(found.between)
    varying = joined(["1", *(quoted(parts[name][0]) for name in slopes)])
    counts = found.counts
    cluster = found.groups if vcov != "model" else None
    both = terms([part for names in parts.values() for part in names])
    within_between = lmm(f"{y} ~ {both} + ({varying} | {g})", data, freq_weights=counts)
    refuse_dropped(within_between)
    return EffectFits(
        pooled=ols(
            f"{y} ~ {terms(one)}", data, freq_weights=counts, vcov=vcov or POOLED_VCOV, cluster=cluster
        ),
        within_between=within_between,
        one_slope=lmm(f"{y} ~ {terms(one)} + (1 | {g})", data, freq_weights=counts),
        means=ols(f"{y} ~ {terms(means)}", by_group),
        means_by_size=ols(f"{y} ~ {terms(means)}", by_group, weights=found.split.sizes),
    )


def within_name(name: str) -> str:
    """The deviations of a column from its group means."""
    return f"{name}_within"


def between_name(name: str) -> str:
    """The group means of a column."""
    return f"{name}_between"


def part_names(found: Predictors) -> dict[str, list[str]]:
    """What each column becomes in the mixed model: two parts, or itself where it varies one way only."""
    return {
        name: [within_name(name), between_name(name)] if two else [name]
        for name, two in zip(found.names, found.both, strict=True)
    }


def row_frame(grouped: GroupedDesign, found: Predictors) -> Frame:
    """Response, columns, their parts, and the groups, in the rows used."""
    design, grouping, split = grouped.design, grouped.grouping, found.split
    columns: dict[str, Column] = {design.response_name: response(grouped)}
    between = split.between
    for j, (name, parts) in enumerate(part_names(found).items()):
        columns[name] = found.X[:, j]
        if len(parts) == 2:
            columns |= dict(zip(parts, (split.within[:, j], between[:, j]), strict=True))
    columns[found.groups] = Categorical(grouping.codes, grouping.levels, ordered=False)
    return to_frame(columns, design.frame_kind)


def refuse_taken_names(found: Predictors, response_name: str) -> None:
    """The parts of a column need names of their own."""
    taken = {*found.names, response_name, found.groups}
    for name, parts in part_names(found).items():
        clash = taken.intersection(parts) - {name}
        if clash:
            raise DataError(
                f"'{min(clash)}' is in the model, and is what a part of '{name}' would be called; rename it."
            )


def group_frame(grouped: GroupedDesign, found: Predictors) -> Frame:
    """Means of the response and of the columns, one row a group."""
    design = grouped.design
    y = split_columns(response(grouped)[:, None], grouped.grouping.codes, found.counts)
    columns: dict[str, Column] = {design.response_name: y.means[:, 0]}
    columns |= dict(zip(found.names, found.split.means.T, strict=True))
    return to_frame(columns, design.frame_kind)


def response(grouped: GroupedDesign) -> Array:
    """What is left to explain (n,): the response less the offset."""
    design = grouped.design
    return design.y if design.offset is None else design.y - design.offset


def terms(names: Sequence[str]) -> str:
    """A sum of columns by name."""
    return joined([quoted(name) for name in names])


def joined(parts: Sequence[str]) -> str:
    """A right-hand side."""
    return " + ".join(parts)


def quoted(name: str) -> str:
    """A column in a formula."""
    return name if name.isidentifier() and not iskeyword(name) else f"`{name}`"


def refuse_dropped(fit: LMMFit) -> None:
    """Parts of different columns may repeat each other where the columns themselves do not."""
    if fit.dropped.columns:
        raise ModelError(
            f"{', '.join(fit.dropped.columns)} can be computed from other parts of the predictors, so that "
            "their effects cannot be told apart; leave one of the predictors out."
        )


def checked_slopes(slopes: bool | str | Sequence[str], found: Predictors) -> list[str]:
    """The columns whose slopes vary: all that vary within groups, none, or those named."""
    able = found.chosen(found.within)
    if isinstance(slopes, bool | np.bool_):
        return able if slopes else []
    asked = [slopes] if isinstance(slopes, str) else list(slopes) if isinstance(slopes, Sequence) else [None]
    if not all(isinstance(name, str) for name in asked):
        raise DataTypeError(f"slopes={slopes!r} is neither True, False, nor names of predictors.")
    for name in asked:
        if name not in able:
            raise DataError(
                f"slopes= names {name!r}, which is no predictor that varies within groups; "
                f"there is {', '.join(able)}."
            )
    return asked
