"""What would an expert see in a fitted mixed model? One look after another, each a `Finding`.

References:
    Snijders, T. A. B. & Berkhof, J. (2008). Diagnostic checks for multilevel models. In Handbook of
    Multilevel Analysis, Springer, 141-175.
    Loy, A. & Hofmann, H. (2014). HLMdiag: a suite of diagnostics for hierarchical linear models in R.
    Journal of Statistical Software 56(5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.design.design import Design, Grouping
from multilevel.estimation.lmm import WorkingModel
from multilevel.estimation.row_blocks import row_blocks
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.contextual import contextual_effects
from multilevel.inference.covariance_checks import (
    convergence,
    correlations,
    normal_effects,
    singularity,
    standardized_modes,
    unusual_groups,
)
from multilevel.inference.design_checks import (
    collinearity,
    dropped_columns,
    dropped_rows,
    few_groups,
    lone_rows,
    scaling,
)
from multilevel.inference.finding import NOTE, Finding, by_p, note, ok
from multilevel.inference.influence import Influence
from multilevel.inference.leverage import leverages, studentized
from multilevel.inference.lmm_influence import influence_by_group, influence_by_row
from multilevel.inference.lmm_residuals import weighted_residuals
from multilevel.inference.nested_factors import nested_chain
from multilevel.inference.omitted_slopes import omitted_slopes
from multilevel.inference.residual_checks import (
    HEAVY,
    LEAST_ROWS,
    SKEWED,
    lag_one,
    outlier_p,
    shape_of,
    spread_between,
    spread_over,
)
from multilevel.inference.whitening import LARGEST_BLOCK, Rows, places_in_group, whitened_residuals

LARGEST_GROUP = 20_000  # rows of a group up to which residuals are whitened row by row
UNEQUAL, UNEQUAL_GROUPS = 1.3, 0.2  # ratio of standard deviations, and their relative SD, that matter
WHITENING = 1e10  # operations up to which residuals are whitened by matrices
ALIKE = 0.1  # correlation of neighbours that matters
ONE_ERROR = 1.0  # standard errors by which one row or group must move a coefficient to be named,
OF_FEW = 5.0  # and, over the square root of their number, where there are few
MOST_NAMED = 3
MOST_DELETIONS = 300  # of clusters, where each costs an evaluation


@dataclass(frozen=True, slots=True)
class LMMReading:
    """All that the looks share."""

    design: Design
    record: LMMRecord
    model: WorkingModel  # with the response of the fit
    order: Array | None  # (n,) what rows are ordered by within groups; their own order if None


def lmm_findings(reading: LMMReading) -> list[Finding]:
    """All looks at a linear mixed model with a residual."""
    design, record = reading.design, reading.record
    modes = standardized_modes(design, record, reading.model)
    return [
        convergence(record),
        *singularity(record),
        *correlations(record),
        *few_groups(design),
        *lone_rows(design),
        dropped_rows(design),
        dropped_columns(design),
        *scaling(design),
        collinearity(design),
        *residual_findings(reading),
        *(unusual_groups(each) for each in modes),
        *(normal_effects(each) for each in modes),
        *influential_groups(reading),
        omitted_slopes(design, record),
        contextual_effects(design, record, reading.model),
    ]


def not_looked_at(design: Design) -> list[str]:
    """What was left out because it would take long, or has no meaning for these data."""
    left = []
    if not can_be_whitened(design):
        left.append("spread and order of the residuals within groups")
    left += [
        f'influence of the levels of {grouping.name} (see fit.influence("{grouping.name}"))'
        for grouping in design.groupings
        if not deletes_quickly(design, grouping)
    ]
    return left


def deletes_quickly(design: Design, grouping: Grouping) -> bool:
    """Whether all levels of a factor can be left out in reasonable time."""
    return len(design.groupings) == 1 or grouping.n_levels <= MOST_DELETIONS


# ---- residuals ----


def residual_findings(reading: LMMReading) -> list[Finding]:
    """Spread, order, shape and outliers of the residuals."""
    design, record = reading.design, reading.record
    h = leverages(design, record, reading.model)
    z = studentized(weighted_residuals(design, record) / record.sigma, h)
    seen = ~np.isnan(z)
    findings = [
        uneven_spread(repeated(design, z, seen), repeated(design, record.fitted, seen)),
        *whitened_findings(reading),
        normal_residuals(repeated(design, z, seen)),
        unusual_rows(z, residual_df(design, h), design),
    ]
    effect = influence_by_row(design, record, reading.model, refit=False)
    return [*findings, influential_rows(effect.found, design)]


def repeated(design: Design, values: Array, which: Mask) -> Array:
    """Values of the marked rows, each as often as its row counts."""
    if design.freq_weights is None:
        return values[which]
    return np.repeat(values[which], np.rint(design.freq_weights[which]).astype(np.intp))


def residual_df(design: Design, leverage: Array) -> float:
    """Observations less the effective number of parameters."""
    return design.n_obs - float(
        leverage.sum() if design.freq_weights is None else design.freq_weights @ leverage
    )


def uneven_spread(z: Array, fitted: Array, vcov: str = "model") -> Finding:
    """Residual spread that grows or shrinks with the fitted values."""
    if len(z) < LEAST_ROWS:
        return ok("even spread", few=True)
    spread = spread_over(z, fitted)
    matters = not 1.0 / UNEQUAL < spread.size < UNEQUAL
    return by_p(
        "even spread", spread.statistic, spread.p_value, matters=matters, ratio=spread.size, vcov=vcov
    )


def whitened_findings(reading: LMMReading) -> list[Finding]:
    """Spread between groups, and likeness of neighbours, on whitened residuals."""
    design = reading.design
    if not can_be_whitened(design):
        return []
    order = np.arange(design.n_rows) if reading.order is None else np.argsort(reading.order, kind="stable")
    z = whitened_residuals(design, reading.record, order)
    finest = max(design.groupings, key=lambda g: g.n_levels)
    settled = past_the_first(design, finest, order)
    return [
        *(even_spread_between(z, grouping, settled) for grouping in design.groupings),
        unlike_neighbours(z, finest, order, by_time=reading.order is not None),
    ]


def can_be_whitened(design: Design) -> bool:
    """Whether whitening takes reasonable time, and the observations stand one by one."""
    if design.freq_weights is not None:
        return False
    chain = nested_chain(design.groupings)
    if chain is not None:
        return bool(np.bincount(design.groupings[chain[0]].codes).max() <= LARGEST_GROUP)
    blocks = row_blocks([grouping.codes for grouping in design.groupings])
    operations = sum(block.shape[0] * float(block.shape[1]) ** 3 for block in blocks)
    largest = max(block.shape[1] for block in blocks)
    return bool(operations <= WHITENING and largest <= LARGEST_BLOCK)


def past_the_first(design: Design, finest: Grouping, order: Rows) -> Mask:
    """Rows (n,) that come after the first ones of their group, which are predicted from next to nothing."""
    effects = sum(term.n_columns for term in design.terms)
    place = np.empty(design.n_rows, dtype=np.intp)
    place[order] = places_in_group(finest.codes[order])[1]
    return np.asarray(place >= min(effects, int(np.bincount(finest.codes).max()) - 3))


def even_spread_between(z: Array, grouping: Grouping, used: Mask) -> Finding:
    """Residual spread that differs between groups."""
    spread, deviation = spread_between(z, grouping.codes, used)
    if np.isnan(spread.p_value):
        return ok("even spread between groups", group=grouping.name, few=True)
    largest = int(np.nanargmax(deviation))
    return by_p(
        "even spread between groups",
        spread.statistic,
        spread.p_value,
        matters=spread.size > UNEQUAL_GROUPS,
        group=grouping.name,
        relative=spread.size,
        largest=grouping.levels[largest],
        ratio=float(deviation[largest] / np.nanmedian(deviation)),
    )


def unlike_neighbours(z: Array, grouping: Grouping, order: Rows, *, by_time: bool) -> Finding:
    """Neighbours in one group that are more (or less) alike than the random effects make them."""
    by_group = order[np.argsort(grouping.codes[order], kind="stable")]
    together = grouping.codes[by_group[:-1]] == grouping.codes[by_group[1:]]
    lag = lag_one(z, by_group[:-1][together], by_group[1:][together])
    return by_p(
        "order within groups",
        lag.statistic,
        lag.p_value,
        matters=abs(lag.correlation) > ALIKE,
        group=grouping.name,
        correlation=lag.correlation,
        by_time=by_time,
        few=bool(np.isnan(lag.p_value)),
    )


def normal_residuals(z: Array) -> Finding:
    """Skewed or heavy-tailed residuals."""
    shape = shape_of(z)
    matters = abs(shape.skewness) > SKEWED or abs(shape.kurtosis) > HEAVY
    return by_p(
        "normal residuals",
        shape.statistic,
        shape.p_value,
        matters=matters,
        most="note",
        skewness=shape.skewness,
        kurtosis=shape.kurtosis,
        few=bool(np.isnan(shape.p_value)),
    )


def unusual_rows(z: Array, df: float, design: Design) -> Finding:
    """Rows further out than so many normal residuals would be."""
    numbers = np.flatnonzero(design.rows)
    if df <= 2.0:
        return ok("unusual rows", few=True)
    p = np.where(np.isnan(z), 1.0, outlier_p(np.nan_to_num(z), df, design.n_obs))
    order = np.argsort(p, kind="stable")
    found = [int(numbers[k]) for k in order if p[k] < NOTE]
    worst = int(order[0])
    return by_p(
        "unusual rows",
        float(z[worst]),
        float(p[worst]),
        most="note",
        rows=tuple(found[:MOST_NAMED]),
        count=len(found),
    )


# ---- influence ----


def influential_rows(found: Influence, design: Design) -> Finding:
    """Single rows that move a coefficient by more than its standard error."""
    return influential("influential rows", found, design.coef_names, row_numbers(design), None)


def row_numbers(design: Design) -> list[int]:
    """Numbers of the rows used in the data, from 0."""
    numbers: list[int] = np.flatnonzero(design.rows).tolist()
    return numbers


def influential_groups(reading: LMMReading) -> list[Finding]:
    """Groups that do so, covariance parameters held; factors where that would take long are left out."""
    design = reading.design
    return [
        influential(
            "influential groups",
            influence_by_group(design, reading.record, reading.model, grouping, refit=False).found,
            design.coef_names,
            grouping.levels,
            grouping.name,
        )
        for grouping in design.groupings
        if deletes_quickly(design, grouping)
    ]


def influential(
    check: str, found: Influence, names: Sequence[str], labels: Sequence[object], group: str | None
) -> Finding:
    """The deletion that moves a coefficient furthest, in its standard errors.

    Of few groups each is a good part of the data and moves much: there it takes more to be named.
    """
    size = np.nan_to_num(np.abs(found.dfbetas))
    bound = max(ONE_ERROR, OF_FEW / np.sqrt(max(len(labels), 1)))
    if size.size == 0:
        return ok(check, group=group)
    worst, column = (int(k) for k in np.unravel_index(int(size.argmax()), size.shape))
    tell = note if size[worst, column] > bound else ok
    return tell(
        check,
        float(found.dfbetas[worst, column]),
        group=group,
        label=str(labels[worst]),
        name=names[column],
        without=float(-found.dfbeta[worst, column]),
        count=int((size.max(axis=1) > bound).sum()),
    )
