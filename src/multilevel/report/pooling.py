"""The table and the page of three lines a group."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.pooling import ThreeLines
from multilevel.design.design import Design
from multilevel.fitted.lmm import LMMRecord
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
    record: LMMRecord,
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
            spread_block(lines, true_spread(record)),
            *(line_block(lines, levels, sizes, k) for k in range(len(lines.names))),
        ),
        notes=tuple(reading(step, record, lines, levels, sizes, group)),
    )


def true_spread(record: LMMRecord) -> dict[str, float]:
    """Standard deviation of each effect between groups, by the model."""
    term = record.terms[0]
    return dict(zip(term.names, term.sd.tolist(), strict=True))


def spread_block(lines: ThreeLines, true: dict[str, float]) -> Block:
    """Standard deviations of the coefficients over groups."""
    own, partial = spreads(lines.own.coefficients - lines.average), spreads(lines.partial - lines.average)
    model = np.array([true.get(name, 0.0) for name in lines.names])
    rows = [format_column(row) for row in np.column_stack([own, partial, model])]
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


def reading(
    step: str, record: LMMRecord, lines: ThreeLines, levels: Sequence[object], sizes: Array, group: str
) -> list[str]:
    """What partial pooling does here."""
    true = true_spread(record)
    notes = [
        effect_words(lines, k, true[name], levels, group, all_vary=len(true) == len(lines.names))
        for k, name in enumerate(lines.names)
        if name in true
    ]
    common = [name for name in lines.names if name not in true]
    if common:
        notes.append(
            f"{', '.join(common)}: no random effect in '{step}', so partial pooling gives all groups the same"
            " coefficient (reliability 0), save for products with predictors of groups."
        )
    notes.append(
        "Reliability is the weight of a group's own data in its partial estimate; the rest is that of the"
        " mixed model's average line, which need not be the line of complete pooling. With several"
        " coefficients one can be moved on account of another. The pull is partial less no pooling."
    )
    return [*notes, *missing_words(lines, sizes, group)]


def effect_words(
    lines: ThreeLines, k: int, sd: float, levels: Sequence[object], group: str, *, all_vary: bool
) -> str:
    """The spread of one coefficient over groups, and the group that is moved most."""
    why = (
        "since each is drawn in as far as its data are few"
        if all_vary
        else "beside coefficients that groups have in common, where those without pooling stand beside their"
        " own"
    )
    name = lines.names[k]
    own = spreads(lines.own.coefficients - lines.average)[k]
    partial = spreads(lines.partial - lines.average)[k]
    if sd == 0.0:
        return f"{name}: the model finds no variance between levels of {group} and pools completely."
    words = f"{name}: the model puts the standard deviation over levels of {group} at {figure(sd)}."
    if np.isfinite(own):
        words += (
            f" Estimates without pooling vary about the average line by {figure(own)}, which holds their own"
            f" errors, too; partial ones by {figure(partial)}, {why}."
        )
        words += most_moved(lines, k, levels)
    return words


def most_moved(lines: ThreeLines, k: int, levels: Sequence[object]) -> str:
    """The group whose estimate partial pooling moves most."""
    pull = np.abs(lines.partial[:, k] - lines.own.coefficients[:, k])
    if np.isnan(pull).all():
        return ""
    j = int(np.nanargmax(pull))
    return (
        f" {levels[j]} is moved most, from {figure(lines.own.coefficients[j, k])} to"
        f" {figure(lines.partial[j, k])} (reliability {lines.reliability[j, k]:.2f})."
    )


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
