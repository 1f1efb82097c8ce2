"""Tidy columns of the tables of a generalized mixed model: each row says which part of the model it is of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.fitted.glmm import GLMMRecord, PartEstimates
from multilevel.fitted.lmm import Modes, TermCovariance
from multilevel.inference.wald import CoefficientTable, critical_value, wald_table
from multilevel.report.lmm_tables import group_coefficients, ran_pars_rows, term_rows
from multilevel.report.tables import Columns, fixed_columns

RATIOS = {"disp": "ratio", "zi": "odds ratio"}  # what exp of a coefficient is, beside the link's own word


@dataclass(frozen=True, slots=True)
class LevelEffects:
    """Random effects of one grouping factor and one side; J levels, Q columns."""

    component: str
    group: str
    levels: Sequence[object]  # (J,)
    columns: tuple[str, ...]  # (Q,)
    value: Array  # (J, Q)
    std_error: Array  # (J, Q)
    reliability: Array  # (J, Q) 1 - conditional variance / variance


def part_table(part: PartEstimates, df: float = np.inf) -> CoefficientTable:
    """Wald's tests of the coefficients of one part, by the normal or by t with `df`."""
    known = None if np.isinf(df) else np.full(len(part.names), df)
    return wald_table(part.names, part.estimate, part.std_error, known)


def coefficient_columns(
    record: GLMMRecord, conf_level: float | None, *, exponentiate: bool, df: float = np.inf
) -> Columns:
    """One row a coefficient of any part but the shape, whose natural value the summary has."""
    tables = []
    for part in record.parts:
        if part.component != "shape":
            ratio = exponentiate and part.component != "threshold"
            tables.append((part, fixed_columns(part_table(part, df), conf_level, ratio)))
    names = list(tables[0][1])
    return {
        "component": [part.component for part, _ in tables for _ in part.names],
        "term": [name for part, _ in tables for name in part.names],
        **{
            name: np.concatenate([np.asarray(columns[name], dtype=float) for _, columns in tables])
            for name in names
            if name != "term"
        },
    }


def confint_columns(record: GLMMRecord, level: float, df: float = np.inf) -> Columns:
    """Wald's limits of the coefficients of all parts."""
    columns = coefficient_columns(record, level, exponentiate=False, df=df)
    n = len(columns["term"])
    return {
        "component": columns["component"],
        "effect": ["fixed"] * n,
        "group": [None] * n,
        **{name: columns[name] for name in ("term", "estimate", "conf_low", "conf_high")},
    }


def ratio_word(record: GLMMRecord) -> str:
    """What the exponential of a coefficient of the mean is; refused where it is nothing."""
    link = record.family.link
    if link.ratio is None:
        raise ModelError(
            f"exponentiate=True has no meaning with the {link.name} link, whose coefficients are no "
            "logarithms of ratios; for differences of means use ame() or emmeans()."
        )
    if link.ratio == "ratio" and record.family.density in ("poisson", "nbinom1", "nbinom2"):
        return "rate ratio"
    return link.ratio


# ---- random effects ----


def sides_of(record: GLMMRecord) -> list[tuple[str, tuple[TermCovariance, ...], tuple[Modes, ...]]]:
    """Component, terms and modes of each side that has random effects."""
    sides = [("cond", record.terms, record.modes), ("zi", record.zi_terms, record.zi_modes)]
    return [side for side in sides if side[1]]


def varcorr_columns(record: GLMMRecord) -> Columns:
    """One row a variance (`term2` empty), one a covariance of two columns."""
    rows = [(part, *row) for part, terms, _ in sides_of(record) for t in terms for row in term_rows(t)]
    names = ("component", "group", "term", "term2", "variance", "sd", "covariance", "correlation")
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def ran_pars_columns(record: GLMMRecord) -> Columns:
    """Standard deviations and correlations under broom's names."""
    rows = [(part, *row) for part, terms, _ in sides_of(record) for t in terms for row in ran_pars_rows(t)]
    component, group, term, estimate = zip(*rows, strict=True)
    return {
        "component": list(component),
        "group": list(group),
        "term": list(term),
        "estimate": np.array(estimate, dtype=float),
    }


def level_effects(
    design: GLMMDesign, record: GLMMRecord, levels: Sequence[Sequence[Sequence[object]]]
) -> list[LevelEffects]:
    """Conditional modes with their standard deviations; `levels` by side and grouping factor."""
    found = []
    for number, (part, terms, every) in enumerate(sides_of(record)):
        side = design.sides[0 if part == "cond" else 1]
        for modes in every:
            columns = tuple(chain.from_iterable(terms[t].names for t in modes.terms))
            conditional = np.maximum(np.diagonal(modes.variance, axis1=1, axis2=2), 0.0)
            prior = np.concatenate([np.diag(terms[t].covariance) for t in modes.terms])
            share = conditional / np.where(prior > 0.0, prior, 1.0)
            found.append(
                LevelEffects(
                    component=part,
                    group=side.groupings[modes.grouping].name,
                    levels=levels[number][modes.grouping],
                    columns=columns,
                    value=modes.values,
                    std_error=np.sqrt(conditional),
                    reliability=np.where(prior > 0.0, 1.0 - share, 0.0),
                )
            )
    return found


def ranef_columns(effects: Sequence[LevelEffects]) -> Columns:
    """One row a random effect: its mode, conditional SD and reliability."""
    return {
        **_labels(effects),
        "estimate": _stacked([each.value for each in effects]),
        "std_error": _stacked([each.std_error for each in effects]),
        "reliability": _stacked([each.reliability for each in effects]),
    }


def ran_vals_columns(effects: Sequence[LevelEffects], conf_level: float | None) -> Columns:
    """Conditional modes under broom's names, with normal limits on request."""
    estimate, std_error = (
        _stacked([each.value for each in effects]),
        _stacked([each.std_error for each in effects]),
    )
    columns: Columns = {**_labels(effects), "estimate": estimate, "std_error": std_error}
    if conf_level is not None:
        half = critical_value(conf_level, None) * std_error
        columns["conf_low"], columns["conf_high"] = estimate - half, estimate + half
    return columns


def coef_columns(design: GLMMDesign, record: GLMMRecord, levels: Sequence[Sequence[object]]) -> Columns:
    """One row a level: the coefficients of the mean that hold in it."""
    only_random = [n for term in record.terms for n in term.names if n not in record.coef_names]
    names = [*record.coef_names, *dict.fromkeys(only_random)]
    blocks = [group_coefficients(record, modes, names) for modes in record.modes]
    order = [modes.grouping for modes in record.modes]
    return {
        "group": [design.main.groupings[k].name for k in order for _ in levels[k]],
        "level": [level for k in order for level in levels[k]],
        **dict(zip(names, np.vstack(blocks).T, strict=True)),
    }


def _labels(effects: Sequence[LevelEffects]) -> Columns:
    def each(name: str) -> list[object]:
        return [getattr(one, name) for one in effects for _ in range(one.value.size)]

    return {
        "component": each("component"),
        "group": each("group"),
        "level": [level for one in effects for level in one.levels for _ in one.columns],
        "term": [column for one in effects for _ in one.levels for column in one.columns],
    }


def _stacked(blocks: Sequence[Array]) -> Array:
    return np.concatenate([block.ravel() for block in blocks])
