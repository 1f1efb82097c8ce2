"""The table and the page of three lines a group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.pooling import ThreeLines
from multilevel.design.design import Design
from multilevel.report.numbers import MISSING, format_column, format_fixed
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns
from multilevel.report.wording import figure, plural

MOST_ROWS = 20  # rows of the printed table


def pooling_columns(lines: ThreeLines, levels: Sequence[object], sizes: Array) -> Columns:
    """One row a group and coefficient."""
    q = len(lines.names)
    own = lines.own.coefficients
    return {
        "level": [level for level in levels for _ in range(q)],
        "n": np.repeat(sizes, q).astype(int),
        "term": list(lines.names) * len(levels),
        "no_pooling": own.ravel(),
        "std_error": lines.own.std_error.ravel(),
        "partial": lines.partial.ravel(),
        "complete": lines.complete.ravel(),
        "pull": (lines.partial - own).ravel(),
        "reliability": lines.reliability.ravel(),
    }


def pooling_page(
    step: str,
    design: Design,
    lines: ThreeLines,
    levels: Sequence[object],
    sizes: Array,
) -> Summary:
    """How much the lines vary in each way, the lines themselves, and the reading."""
    group = design.groupings[0].name
    return Summary(
        title=f"Lines of {group}: no pooling, partial pooling, complete pooling",
        facts=(
            ("No pooling", f"least squares within each of {plural(len(levels), 'group')}"),
            ("Partial", f"{design.formula.text} ('{step}')"),
            ("Complete", "least squares that knows no groups"),
        ),
        blocks=(
            spread_block(lines),
            *(line_block(lines, levels, sizes, k) for k in range(len(lines.names))),
        ),
        notes=tuple(reading(step, lines, levels, sizes, group)),
    )


def spread_block(lines: ThreeLines) -> Block:
    """Standard deviations of the coefficients over groups."""
    own, partial = spreads(lines.own.coefficients - lines.average), spreads(lines.partial - lines.average)
    rows = [format_column(row) for row in np.column_stack([own, partial, lines.sd])]
    return Block(
        "Standard deviation over groups, about the average line of the mixed model",
        ("", "No pooling", "Partial", "By the model"),
        tuple((name, *row) for name, row in zip(lines.names, rows, strict=True)),
    )


def spreads(deviations: Array) -> Array:
    """Standard deviation (q,) over the groups that have the coefficient; NaN for fewer than two."""
    known = [column[~np.isnan(column)] for column in deviations.T]
    return np.array([column.std(ddof=1) if len(column) > 1 else np.nan for column in known])


def line_block(lines: ThreeLines, levels: Sequence[object], sizes: Array, k: int) -> Block:
    """One coefficient in all groups, or in the first of them."""
    shown = slice(0, MOST_ROWS)
    own, partial, complete = lines.own.coefficients[:, k], lines.partial[:, k], lines.complete[:, k]
    error = lines.own.std_error[:, k]
    places = useful_decimals(error)
    rows = zip(
        map(str, levels[:MOST_ROWS]),
        format_fixed(sizes[shown], 0),
        format_fixed(own[shown], places),
        format_fixed(error[shown], places),
        format_fixed(partial[shown], places),
        format_fixed(complete[shown], places),
        format_fixed(lines.reliability[shown, k], 3),
        strict=True,
    )
    more = f" (the first {MOST_ROWS} of {len(levels)})" if len(levels) > MOST_ROWS else ""
    header = ("", "n", "No pooling", "SE", "Partial", "Complete", "Reliability")
    return Block(lines.names[k] + more, header, tuple(rows))


def useful_decimals(std_error: Array) -> int:
    """Decimals that show three digits of the usual standard error."""
    known = std_error[std_error > 0.0]
    return int(np.clip(2 - np.floor(np.log10(np.median(known))), 0, 12)) if len(known) else 4


# ---- words ----


def reading(step: str, lines: ThreeLines, levels: Sequence[object], sizes: Array, group: str) -> list[str]:
    """What partial pooling does here."""
    known, average = (
        lines.reliability,
        "mixed model's average line, which need not be that of complete pooling",
    )
    notes = [
        effect_words(lines, k, levels, group) for k in range(len(lines.names)) if not is_common(lines, k)
    ]
    common = [name for k, name in enumerate(lines.names) if is_common(lines, k)]
    if common:
        notes.append(
            f"{', '.join(common)}: no variance between levels of {group} in '{step}', so partial pooling is"
            " complete here (reliability 0), save for what predictors of groups do."
        )
    if np.isnan(known).any():
        notes.append(
            f"Coefficients of combinations have no reliability here ({MISSING}); they are drawn to the"
            f" {average}."
        )
    else:
        notes.append(
            "Reliability is the weight of a group's own data in its partial estimate; the rest is that of the"
            f" {average}. With several coefficients one can be moved on account of another."
        )
    return [*notes, *missing_words(lines, sizes, group)]


def is_common(lines: ThreeLines, k: int) -> bool:
    """Whether the mixed model gives all groups one coefficient: no random effect, or no variance."""
    return bool(lines.sd[k] == 0.0)


def effect_words(lines: ThreeLines, k: int, levels: Sequence[object], group: str) -> str:
    """The spread of one coefficient over groups, and the group that is moved most."""
    name, sd = lines.names[k], lines.sd[k]
    own = spreads(lines.own.coefficients - lines.average)[k]
    partial = spreads(lines.partial - lines.average)[k]
    words = f"{name}: the model puts the standard deviation over levels of {group} at {figure(sd)}."
    if np.isnan(own):
        return words
    why = (
        "since each is drawn in as far as its data are few"
        if (lines.sd > 0.0).all() and partial < own
        else "beside other coefficients than those without pooling"
    )
    return (
        f"{words} Estimates without pooling vary about the average line by {figure(own)}, which holds their"
        f" own errors, too; partial ones by {figure(partial)}, {why}.{most_moved(lines, k, levels)}"
    )


def most_moved(lines: ThreeLines, k: int, levels: Sequence[object]) -> str:
    """The group whose estimate partial pooling moves most."""
    pull = np.abs(lines.partial[:, k] - lines.own.coefficients[:, k])
    if np.isnan(pull).all():
        return ""
    j = int(np.nanargmax(pull))
    known = lines.reliability[j, k]
    weight = "" if np.isnan(known) else f" (reliability {known:.2f})"
    own, partial = figure(lines.own.coefficients[j, k]), figure(lines.partial[j, k])
    return f" {levels[j]} is moved most, from {own} to {partial}{weight}."


def missing_words(lines: ThreeLines, sizes: Array, group: str) -> list[str]:
    """Groups that do not have all coefficients of their own."""
    without = np.isnan(lines.own.coefficients).any(axis=1)
    if not without.any():
        return []
    q, count = len(lines.names), int(without.sum())
    few = int((sizes[without] < q).sum())
    return [
        f"{count} of {len(sizes)} levels of {group} lack coefficients of their own ({few} with fewer than"
        f" {plural(q, 'observation')}, {count - few} in which predictors do not vary enough): no pooling"
        f" has nothing for them ({MISSING}), partial pooling has."
    ]
