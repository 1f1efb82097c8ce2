"""Which groups do the residuals of a mixed model correlate in?"""

from __future__ import annotations

import numpy as np

from multilevel._typing import Frame
from multilevel.covariance.residual.specification import Residual
from multilevel.covariance.working.exchangeable import Exchangeable
from multilevel.design.design import Design, Grouping
from multilevel.errors import ModelError
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.results.gee_setup import clusters_of
from multilevel.results.gls_setup import Column, rows_in_groups


def mixed_rows(residual: Residual, time: Column, data: Frame, design: Design) -> ResidualRows:
    """Rows in the order of estimation, within the groups named or the innermost grouping factor."""
    refuse_counts(design)
    groups = None
    if residual.groups is not None:
        groups = clusters_of(residual.groups, data, design)
    elif residual.correlated or residual.by is not None:
        groups = innermost(design)
    if groups is not None and residual.correlated:
        refuse_straddling(groups, design)
        refuse_the_same_twice(residual, groups, design)
    return rows_in_groups(residual, groups, time, data, design)


def refuse_counts(design: Design) -> None:
    """Rows that stand for several cannot be put in order."""
    if design.freq_weights is not None:
        raise ModelError(
            "freq_weights= does not go together with a structure of the residuals; repeat the rows instead."
        )


def innermost(design: Design) -> Grouping:
    """The grouping factor that is nested in all others."""
    most = max(design.groupings, key=lambda grouping: grouping.n_levels)
    for other in design.groupings:
        if not is_within(most, other):
            raise ModelError(
                f"'{most.name}' and '{other.name}' cross, so that no grouping factor is the innermost; name "
                'the groups within which residuals correlate, ml.Residual(..., groups="...").'
            )
    return most


def refuse_straddling(groups: Grouping, design: Design) -> None:
    """Rows whose residuals correlate share their random effects' levels."""
    for grouping in design.groupings:
        if not is_within(groups, grouping):
            raise ModelError(
                f"residuals correlate within '{groups.name}', whose rows belong to several levels of "
                f"'{grouping.name}'; the groups of the residuals must lie within those of the random "
                f'effects: name other groups, ml.Residual(..., groups="{grouping.name}").'
            )


def refuse_the_same_twice(residual: Residual, groups: Grouping, design: Design) -> None:
    """A random intercept is an exchangeable correlation."""
    if not isinstance(residual.corr, Exchangeable) or residual.var is not None or residual.by is not None:
        return
    for term in design.terms:
        grouping = design.groupings[term.grouping]
        if "Intercept" in term.names and is_within(grouping, groups):
            raise ModelError(
                f"a random intercept of '{grouping.name}' and an exchangeable correlation within "
                f"'{groups.name}' are the same covariance, and cannot be told apart; use one of them."
            )


def is_within(inner: Grouping, outer: Grouping) -> bool:
    """Whether each level of one factor has rows of one level of the other alone."""
    level = np.zeros(inner.n_levels, dtype=np.int64)
    level[inner.codes] = outer.codes
    return bool((level[inner.codes] == outer.codes).all())
