"""Tidy columns of the tables that only a mixed model has."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.icc import IntraclassCorrelations
from multilevel.clusters.plausible import PlausibleRanges
from multilevel.clusters.shrinkage import Shrinkage
from multilevel.design.design import Design
from multilevel.fitted.lmm import LMMRecord, MixedEstimates, Modes, TermCovariance
from multilevel.inference.wald import critical_value
from multilevel.report.tables import Columns

ALL_GROUPS = "all groups"  # the row of a table that sums over grouping factors
RESIDUAL = "Residual"


def varcorr_columns(record: LMMRecord) -> Columns:
    """One row a variance (`term2` empty), one a covariance of two columns, and the residual's row last."""
    rows = [
        *chain.from_iterable(map(term_rows, record.terms)),
        (RESIDUAL, None, None, record.sigma**2, record.sigma, np.nan, np.nan),
    ]
    names = ("group", "term", "term2", "variance", "sd", "covariance", "correlation")
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def term_rows(term: TermCovariance) -> list[tuple[object, ...]]:
    """Group, columns, variance, SD, covariance and correlation of each entry of a term's covariance."""
    variances: list[tuple[object, ...]] = [
        (term.group, name, None, term.covariance[k, k], term.sd[k], np.nan, np.nan)
        for k, name in enumerate(term.names)
    ]
    pairs: list[tuple[object, ...]] = [
        (
            term.group,
            term.names[j],
            term.names[k],
            np.nan,
            np.nan,
            term.covariance[k, j],
            term.correlation[k, j],
        )
        for j, k in correlated_pairs(term)
    ]
    return variances + pairs


def correlated_pairs(term: TermCovariance) -> list[tuple[int, int]]:
    """Pairs of columns whose covariance the model estimates, in the order of theta."""
    q = 1 if term.structure == "diag" else len(term.names)
    return [(j, k) for j in range(q) for k in range(j + 1, q)]


def ran_pars_columns(record: LMMRecord) -> Columns:
    """Standard deviations and correlations under broom's names: `sd__(Intercept)`, `cor__(Intercept).x`."""
    rows = [
        *chain.from_iterable(map(ran_pars_rows, record.terms)),
        (RESIDUAL, "sd__Observation", record.sigma),
    ]
    group, term, estimate = zip(*rows, strict=True)
    return {"group": list(group), "term": list(term), "estimate": np.array(estimate, dtype=float)}


def ran_pars_rows(term: TermCovariance) -> list[tuple[str, str, float]]:
    """Group, broom's name and value of each standard deviation and correlation of a term."""
    names = ["(Intercept)" if name == "Intercept" else name for name in term.names]
    deviations = [(term.group, f"sd__{name}", float(sd)) for name, sd in zip(names, term.sd, strict=True)]
    correlations = [
        (term.group, f"cor__{names[j]}.{names[k]}", float(term.correlation[k, j]))
        for j, k in correlated_pairs(term)
    ]
    return deviations + correlations


def ranef_columns(parts: Sequence[Shrinkage]) -> Columns:
    """One row a random effect: its mode, conditional SD, raw deviation and reliability."""
    return {
        **_effect_labels(parts),
        "estimate": _stacked([part.value for part in parts]),
        "std_error": _stacked([part.std_error for part in parts]),
        "raw_deviation": _stacked([part.raw_deviation for part in parts]),
        "reliability": _stacked([part.reliability for part in parts]),
    }


def ran_vals_columns(parts: Sequence[Shrinkage], conf_level: float | None) -> Columns:
    """Conditional modes under broom's names, with normal limits from the conditional SD on request."""
    estimate, std_error = _stacked([p.value for p in parts]), _stacked([p.std_error for p in parts])
    columns: Columns = {**_effect_labels(parts), "estimate": estimate, "std_error": std_error}
    if conf_level is not None:
        half = critical_value(conf_level, None) * std_error
        columns["conf_low"], columns["conf_high"] = estimate - half, estimate + half
    return columns


def _effect_labels(parts: Sequence[Shrinkage]) -> Columns:
    """Group, level and term of each random effect: within a level, column by column."""
    return {
        "group": [part.group for part in parts for _ in range(part.value.size)],
        "level": [level for part in parts for level in part.levels for _ in part.columns],
        "term": [column for part in parts for _ in part.levels for column in part.columns],
    }


def _stacked(blocks: Sequence[Array]) -> Array:
    return np.concatenate([block.ravel() for block in blocks])


def coef_columns(design: Design, record: LMMRecord, levels: Sequence[Sequence[object]]) -> Columns:
    """One row a level: the coefficients that hold in it, the fixed ones plus its own random effects.

    `levels` are those of each grouping factor, as they are called in the data.

    A coefficient that does not vary by the row's grouping factor stands at its fixed value, and a
    random column without a fixed counterpart varies about zero.
    """
    only_random = [n for term in record.terms for n in term.names if n not in record.coef_names]
    names = [*record.coef_names, *dict.fromkeys(only_random)]
    blocks = [group_coefficients(record, modes, names) for modes in record.modes]
    order = [modes.grouping for modes in record.modes]
    return {
        "group": [design.groupings[k].name for k in order for _ in levels[k]],
        "level": [level for k in order for level in levels[k]],
        **dict(zip(names, np.vstack(blocks).T, strict=True)),
    }


def group_coefficients(record: MixedEstimates, modes: Modes, names: Sequence[str]) -> Array:
    """Coefficients (J, len(names)) in each level of one grouping factor."""
    fixed = dict(zip(record.coef_names, record.beta, strict=True))
    total = np.tile([fixed.get(name, 0.0) for name in names], (len(modes.values), 1))
    columns = [name for term in modes.terms for name in record.terms[term].names]
    for position, name in enumerate(columns):
        total[:, names.index(name)] += modes.values[:, position]
    return total


def icc_columns(icc: IntraclassCorrelations) -> Columns:
    """One row a grouping factor, and one for all of them together when there are several."""
    several = len(icc.groups) > 1
    total = [float(icc.variance.sum())] if several else []
    adjusted = [icc.adjusted_total] if several else []
    return {
        "group": [*icc.groups, *([ALL_GROUPS] if several else [])],
        "variance": [*icc.variance, *total],
        "icc": [*icc.share, *adjusted],
        "icc_cumulative": [*icc.cumulative, *adjusted],
        "icc_unadjusted": [*icc.unadjusted, *([icc.unadjusted_total] if several else [])],
    }


def plausible_columns(ranges: PlausibleRanges) -> Columns:
    """One row a random column: the centre, the SD between clusters and the range."""
    return {
        "group": list(ranges.group),
        "term": list(ranges.term),
        "estimate": ranges.center,
        "sd": ranges.sd,
        "conf_low": ranges.conf_low,
        "conf_high": ranges.conf_high,
    }
