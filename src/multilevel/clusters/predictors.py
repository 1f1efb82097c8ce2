"""Which columns of a linear predictor have an effect within groups, one between them, or both?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.clusters.within_between import Split, split_columns
from multilevel.design.columns import INTERCEPT
from multilevel.design.grouped import GroupedDesign
from multilevel.errors import ModelError


@dataclass(frozen=True, slots=True)
class Predictors:
    """k columns of a linear predictor, the intercept aside, and where they vary."""

    names: tuple[str, ...]  # (k,)
    X: Array  # (n, k)
    groups: str  # name of the grouping
    split: Split
    counts: Array | None  # (n,)

    @property
    def both(self) -> Mask:
        """Columns (k,) with a slope within groups and another between them."""
        return np.asarray(self.split.varies_within & self.split.varies_between)

    @property
    def within(self) -> Mask:
        """Columns (k,) that vary within groups."""
        return self.split.varies_within

    @property
    def between(self) -> Mask:
        """Columns (k,) whose group means differ."""
        return self.split.varies_between

    @property
    def n_obs(self) -> float:
        """Observations: rows, each as often as it counts."""
        return float(self.split.sizes.sum())

    def chosen(self, which: Mask) -> list[str]:
        """Names of some columns."""
        return [name for name, one in zip(self.names, which, strict=True) if one]


def predictors_of(grouped: GroupedDesign) -> Predictors:
    """Columns of a design taken apart by group, or an error that says what can be estimated instead."""
    design, grouping = grouped.design, grouped.grouping
    kept = [j for j, name in enumerate(design.coef_names) if name != INTERCEPT]
    if not kept:
        raise ModelError(
            f"'{design.formula.text}' has no predictor whose effect could be taken apart; add one. For the "
            f"variance within and between groups fit ml.lmm with (1 | {grouping.name})."
        )
    X = design.X[:, kept]
    found = Predictors(
        names=tuple(design.coef_names[j].replace("`", "") for j in kept),
        X=X,
        groups=grouping.name,
        split=split_columns(X, grouping.codes, design.freq_weights),
        counts=design.freq_weights,
    )
    refuse_lone_rows(found)
    refuse_one_sided(found, design.formula.text)
    refuse_few_groups(found)
    return found


def refuse_lone_rows(found: Predictors) -> None:
    """Groups of one row have nothing within."""
    if found.n_obs <= found.split.n_groups:
        raise ModelError(
            f"each of the {found.split.n_groups} groups of '{found.groups}' has one row, so nothing varies "
            "within groups, and the slopes of ml.ols are those between them. Check that groups= names the "
            "groups and not the rows."
        )


def refuse_one_sided(found: Predictors, formula: str) -> None:
    """Without a column that varies both ways there are no two effects to tell apart."""
    if found.both.any():
        return
    model = f'ml.lmm("{formula} + (1 | {found.groups})", data)'
    fixed, level = found.chosen(~found.within), found.chosen(~found.between)
    told = [
        *([f"{quoted(fixed)} constant within groups of '{found.groups}'"] if fixed else []),
        *([f"{quoted(level)} the same on average in every group of '{found.groups}'"] if level else []),
    ]
    missing = {"within": not level, "between": not fixed}
    lacking = next((side for side, is_missing in missing.items() if is_missing), None)
    if lacking is None:
        raise ModelError(f"{' and '.join(told)}, so each has one effect, which {model} estimates.")
    other = "between" if lacking == "within" else "within"
    raise ModelError(
        f"{' and '.join(told)}, so there is no effect {lacking} groups to estimate; the one {other} groups "
        f"is that of {model}."
    )


def quoted(names: list[str]) -> str:
    """Names with their verb: "'x' is", "'x', 'z' are"."""
    return f"{', '.join(map(repr, names))} {'is' if len(names) == 1 else 'are'}"


def refuse_few_groups(found: Predictors) -> None:
    """A slope on group means needs more groups than there are such slopes."""
    n_groups, n_slopes = found.split.n_groups, int(found.between.sum())
    if n_groups < n_slopes + 2:
        raise ModelError(
            f"'{found.groups}' has {n_groups} groups; {n_slopes + 2} are the least for an intercept, a "
            f"residual and slopes between groups of {', '.join(found.chosen(found.between))}. Use fewer "
            "predictors, or estimate effects within groups alone: ml.ols with an indicator for each group."
        )
