"""What do the data warn of, before any estimate? Groups, scales, collinearity, what was dropped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.estimation.working import effective_weights, is_one
from multilevel.inference.finding import Finding, note, ok, warn
from multilevel.inference.nested_factors import lies_within

VERY_FEW, FEW = 10, 40  # levels of a grouping factor
MANY_ALONE = 0.1  # share of levels with one row from which that is told
MANY_DROPPED = 0.1  # share of rows from which dropping them is a warning
SCALES_APART = 1e4  # ratio of standard deviations of two columns
FAR_FROM_ZERO = 10.0  # mean of a column over its standard deviation
INFLATED, VERY_INFLATED = 10.0, 100.0  # variance inflation of a term, to the power 1 / df


@dataclass(frozen=True, slots=True)
class Source:
    """A main effect of the fixed part: a variable, or an expression, with its columns of X."""

    name: str  # "Days", "C(school)", "poly(Days, 2)"
    columns: tuple[int, ...]


def main_effects(names: Sequence[str]) -> list[Source]:
    """Terms of the fixed part that are no products, in order, without the intercept."""
    found: dict[str, list[int]] = {}
    for j, name in enumerate(names):
        if name != "Intercept" and not is_product(name):
            found.setdefault(source_name(name), []).append(j)
    return [Source(name, tuple(columns)) for name, columns in found.items()]


def is_product(name: str) -> bool:
    """Whether a coefficient belongs to an interaction: a colon outside all brackets."""
    depth = 0
    for character in name:
        depth += (character in "([") - (character in ")]")
        if character == ":" and depth == 0:
            return True
    return False


def source_name(name: str) -> str:
    """What a column was made from: its name without the level in brackets at the end."""
    return re.sub(r"\[[^\[\]]*\]$", "", name)


def variables_in(expression: str) -> frozenset[str]:
    """Names of variables (and functions) in an expression."""
    return frozenset(re.findall(r"[^\W\d]\w*", expression))


# ---- the looks ----


def dropped_rows(design: Design) -> Finding:
    """Rows that were left out for missing values."""
    dropped = design.dropped
    if not dropped.n_missing:
        return ok("dropped rows")
    share = dropped.n_missing / dropped.n_total
    columns = {name: count for name, count in dropped.missing_by_column.items() if count}
    tell = warn if share >= MANY_DROPPED else note
    return tell("dropped rows", share, count=dropped.n_missing, total=dropped.n_total, columns=columns)


def dropped_columns(design: Design) -> Finding:
    """Columns of X that said nothing new."""
    names = design.dropped.columns
    return note("dropped columns", float(len(names)), names=names) if names else ok("dropped columns", 0.0)


def few_groups(design: Design) -> list[Finding]:
    """Grouping factors with so few levels that their variance is a guess.

    Of factors within each other the outermost counts: its levels are the independent units.
    """
    findings = []
    for g in design.groupings:
        inner = any(other.n_levels < g.n_levels and lies_within(g, other) for other in design.groupings)
        tell = ok if inner or g.n_levels > FEW else note if g.n_levels > VERY_FEW else warn
        findings.append(tell("few groups", float(g.n_levels), group=g.name, count=g.n_levels))
    return findings


def lone_rows(design: Design) -> list[Finding]:
    """Levels with one observation, which say nothing of the variance within levels."""
    findings = []
    for g in design.groupings:
        counts = np.bincount(g.codes, design.freq_weights, g.n_levels)
        alone = int((counts <= 1.0).sum())
        tell = note if alone >= MANY_ALONE * g.n_levels else ok
        findings.append(tell("groups of one", float(alone), group=g.name, count=alone, total=g.n_levels))
    return findings


def scaling(design: Design) -> list[Finding]:
    """Columns on very different scales, or far from zero."""
    names, X = design.coef_names, design.X
    columns = [
        j
        for j, name in enumerate(names)
        if not is_product(name) and not is_one(X[:, j]) and np.ptp(X[:, j]) > 0.0
    ]
    if not columns:
        return [ok("scales")]
    mean, deviation = column_moments(X[:, columns], design.freq_weights)
    findings = []
    if len(columns) > 1 and deviation.max() >= SCALES_APART * deviation.min():
        large, small = columns[int(deviation.argmax())], columns[int(deviation.argmin())]
        findings.append(
            note("scales", float(deviation.max() / deviation.min()), large=names[large], small=names[small])
        )
    far = np.abs(mean) > FAR_FROM_ZERO * deviation
    if far.any() and any(name == "Intercept" for name in names):
        k = int(np.argmax(np.where(far, np.abs(mean) / deviation, 0.0)))
        findings.append(
            note(
                "scales",
                float(abs(mean[k]) / deviation[k]),
                far=names[columns[k]],
                mean=float(mean[k]),
                sd=float(deviation[k]),
                random=any(names[columns[k]] in term.names for term in design.terms),
            )
        )
    return findings or [ok("scales")]


def column_moments(columns: Array, counts: Array | None) -> tuple[Array, Array]:
    """Mean and standard deviation of each column: (k,), (k,)."""
    mean = np.average(columns, axis=0, weights=counts)
    return mean, np.sqrt(np.average((columns - mean) ** 2, axis=0, weights=counts))


def collinearity(design: Design) -> Finding:
    """Generalised variance inflation of the main effects (Fox & Monette 1992), the largest.

    Products are left out, and expressions of one variable (x and x^2) count as one term: they are
    correlated by construction, and how strongly depends on where zero is.
    """
    sources = joined_by_variable(main_effects(design.coef_names))
    if len(sources) < 2:
        return ok("collinearity")
    columns = [j for source in sources for j in source.columns]
    correlation = weighted_correlation(design.X[:, columns], effective_weights(design))
    place = np.cumsum([0, *(len(source.columns) for source in sources)])
    inflation = [
        generalised_inflation(correlation, np.arange(place[k], place[k + 1])) for k in range(len(sources))
    ]
    worst = int(np.argmax(inflation))
    tell = warn if inflation[worst] >= VERY_INFLATED else note if inflation[worst] >= INFLATED else ok
    partner = sources[nearest(correlation, place, worst)].name
    return tell("collinearity", float(inflation[worst]), term=sources[worst].name, partner=partner)


def joined_by_variable(sources: Sequence[Source]) -> list[Source]:
    """Sources that compute with the same variable, as one."""
    joined: list[tuple[frozenset[str], Source]] = []
    for source in sources:
        mine = variables_in(source.name)
        for k, (theirs, other) in enumerate(joined):
            if mine >= theirs or theirs >= mine:
                joined[k] = (theirs | mine, Source(other.name, other.columns + source.columns))
                break
        else:
            joined.append((mine, source))
    return [source for _, source in joined]


def weighted_correlation(columns: Array, weights: Array | None) -> Array:
    """Correlations (k, k) of columns."""
    centred = columns - np.average(columns, axis=0, weights=weights)
    gram = centred.T @ (centred if weights is None else weights[:, None] * centred)
    size = np.sqrt(np.diag(gram))
    size = np.where(size > 0.0, size, 1.0)
    return np.asarray(gram / np.outer(size, size) + np.diag(np.where(np.diag(gram) > 0.0, 0.0, 1.0)))


def generalised_inflation(correlation: Array, mine: Array) -> float:
    """det R_11 det R_22 / det R, to the power 1 / df: variance inflation of the columns of one term."""
    others = np.setdiff1d(np.arange(len(correlation)), mine)
    logs = [np.linalg.slogdet(correlation[np.ix_(part, part)])[1] for part in (mine, others)]
    return float(np.exp(min((sum(logs) - np.linalg.slogdet(correlation)[1]) / len(mine), 600.0)))


def nearest(correlation: Array, place: Array, worst: int) -> int:
    """The other term that the worst one is most correlated with."""
    mine = np.arange(place[worst], place[worst + 1])
    largest = [
        -1.0
        if k == worst
        else float(np.abs(correlation[np.ix_(mine, np.arange(place[k], place[k + 1]))]).max())
        for k in range(len(place) - 1)
    ]
    return int(np.argmax(largest))
