"""Fits side by side, as a table and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.side_by_side import GroupEffect
from multilevel.inference.wald import CoefficientTable
from multilevel.report.numbers import format_column, format_fixed, format_number, format_p
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns

ESTIMANDS = {
    "both": "of a single group and on average alike (identity link)",
    "subject-specific": "subject-specific (of a single group)",
    "population-averaged": "population-averaged",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One fit of the table; K terms over all fits."""

    label: str
    formula: str
    about: str  # "rows independent", "sandwich by school", "random effects of school"
    n_rows: int
    link: str
    estimand: str
    table: CoefficientTable


def all_terms(columns: Sequence[Column]) -> list[str]:
    """Coefficients of all fits, in the order in which they first appear."""
    return list(dict.fromkeys(term for column in columns for term in column.table.term))


def values(column: Column, terms: Sequence[str], what: str) -> Array:
    """One quantity of a fit (K,); NaN where it has no such term or no such quantity."""
    found = getattr(column.table, what)
    if found is None:
        return np.full(len(terms), np.inf if what == "df" else np.nan)
    by_term = dict(zip(column.table.term, found, strict=True))
    return np.array([by_term.get(term, np.nan) for term in terms])


def se_ratios(columns: Sequence[Column], terms: Sequence[str]) -> Array:
    """Standard errors over those of the first fit (fits, K); NaN where links, so scales, differ."""
    first = values(columns[0], terms, "std_error")
    return np.array(
        [
            values(column, terms, "std_error") / first
            if column.link == columns[0].link
            else np.full(len(terms), np.nan)
            for column in columns
        ]
    )


def side_by_side_columns(columns: Sequence[Column]) -> Columns:
    """One row a fit and coefficient, the coefficients of one fit together."""
    terms = all_terms(columns)
    ratios = dict(zip((c.label for c in columns), se_ratios(columns, terms), strict=True))
    rows = [(column, terms.index(term), k) for column in columns for k, term in enumerate(column.table.term)]
    return {
        "model": [column.label for column, _, _ in rows],
        "term": [terms[place] for _, place, _ in rows],
        "estimate": np.array([column.table.estimate[k] for column, _, k in rows]),
        "std_error": np.array([column.table.std_error[k] for column, _, k in rows]),
        "se_ratio": np.array([ratios[column.label][place] for column, place, _ in rows]),
        "statistic": np.array([column.table.statistic[k] for column, _, k in rows]),
        "df": np.array([values(column, [terms[place]], "df")[0] for column, place, _ in rows]),
        "p_value": np.array([values(column, [terms[place]], "p_value")[0] for column, place, _ in rows]),
        "estimand": [column.estimand for column, _, _ in rows],
    }


def group_effect_columns(effects: Sequence[GroupEffect], terms: Sequence[str]) -> Columns:
    """One row a grouping and coefficient: how alike rows are, and the ratio of standard errors due."""
    p = len(terms)
    return {
        "groups": [effect.group for effect in effects for _ in range(p)],
        "term": [term for _ in effects for term in terms],
        "icc": joined([np.full(p, effect.inflation.icc) for effect in effects]),
        "icc_x": joined([effect.inflation.icc_x for effect in effects]),
        "deff": joined([effect.inflation.deff for effect in effects]),
        "se_ratio": joined([effect.inflation.se_ratio for effect in effects]),
    }


def joined(parts: Sequence[Array]) -> Array:
    """Parts one after the other, and nothing for none."""
    return np.concatenate(parts) if parts else np.empty(0)


def side_by_side_page(columns: Sequence[Column], sentences: Sequence[str]) -> Summary:
    """A column a fit, four lines a coefficient, and what explains the differences."""
    return Summary(
        title=f"{len(columns)} fits side by side",
        facts=(
            *((column.label, f"{column.formula}; {column.about}") for column in columns),
            *estimand_facts(columns),
        ),
        blocks=(coefficient_lines(columns),),
        notes=tuple(sentences),
    )


def estimand_facts(columns: Sequence[Column]) -> list[tuple[str, str]]:
    """Whom each fit speaks of, fits that agree together."""
    by_kind: dict[str, list[str]] = {}
    for column in columns:
        by_kind.setdefault(column.estimand, []).append(column.label)
    if len(by_kind) == 1:
        return [("Coefficients", ESTIMANDS[columns[0].estimand])]
    return [
        (
            "Coefficients",
            "; ".join(f"{', '.join(names)}: {ESTIMANDS[kind]}" for kind, names in by_kind.items()),
        )
    ]


def coefficient_lines(columns: Sequence[Column]) -> Block:
    """Estimate, standard error, its ratio to the first fit's and p-value of each coefficient."""
    terms = all_terms(columns)
    ratios = se_ratios(columns, terms)
    estimate, std_error, p_value = (
        np.array([values(column, terms, what) for column in columns])
        for what in ("estimate", "std_error", "p_value")
    )
    rows: list[tuple[str, ...]] = []
    for k, term in enumerate(terms):
        rows.append((term, "estimate", *format_column(estimate[:, k], 4)))
        rows.append(("", "std. error", *format_column(std_error[:, k], 4)))
        rows.append(("", f"  / {columns[0].label}'s", *format_fixed(ratios[:, k], 2)))
        rows.append(("", "p", *format_p(p_value[:, k])))
    header = ("", "", *(column.label for column in columns))
    return Block("Coefficients", header, tuple(rows), n_labels=2)


def span(numbers: Array, spec: str = ".2f") -> str:
    """One number, or the smallest and the largest."""
    low, high = (format_number(float(edge), spec) for edge in (numbers.min(), numbers.max()))
    return low if low == high else f"{low} to {high}"
