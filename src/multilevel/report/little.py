"""Little's test, as a table and as a page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.little import LittleStatistic
from multilevel.clusters.missing_patterns import Patterns
from multilevel.report.missing_patterns import MOST_SHOWN, pattern_texts
from multilevel.report.numbers import format_column, format_fixed, format_p
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns

LIMITS = (
    "What it can show: that the means of what is observed differ between patterns of missing values, so that "
    "data are not missing completely at random. What it cannot show: that they are MCAR (a large p-value "
    "may be little power), or whether they are missing at random given what was seen (MAR) or because of "
    "what was not (MNAR). It takes rows for independent and normal with one covariance."
)


def little_columns(patterns: Patterns, found: LittleStatistic) -> Columns:
    """One row a pattern."""
    return {
        "pattern": pattern_texts(patterns),
        "n": patterns.counts,
        "n_observed": found.n_observed.astype(int),
        "statistic": found.parts,
    }


def little_page(
    patterns: Patterns, found: LittleStatistic, names: Sequence[str], mean: Array, notes: Sequence[str]
) -> Summary:
    """The test, the estimates, and what each pattern adds."""
    result = f"chi-square {found.statistic:.4g} on {found.df:.0f} df, p = {format_p([found.p_value])[0]}"
    return Summary(
        title="Little's test that values are missing completely at random (MCAR)",
        facts=(
            ("Rows", f"{patterns.n_units}, in {len(patterns.counts)} patterns"),
            ("Columns", ", ".join(names)),
            ("Test", result),
        ),
        blocks=(mean_block(names, mean), contribution_block(patterns, found)),
        notes=(verdict(found), *notes, LIMITS),
    )


def mean_block(names: Sequence[str], mean: Array) -> Block:
    """Means by maximum likelihood, which use all that is observed."""
    return Block("Means by maximum likelihood (EM)", tuple(names), (tuple(format_column(mean)),), n_labels=0)


def contribution_block(patterns: Patterns, found: LittleStatistic) -> Block:
    """What the patterns add to chi-square, the largest first."""
    order = np.argsort(-found.parts, kind="stable")[:MOST_SHOWN]
    texts = pattern_texts(patterns)
    cells = {
        "Pattern": [texts[k] for k in order],
        "n": [str(patterns.counts[k]) for k in order],
        "adds": format_fixed(found.parts[order], 2),
    }
    rest = len(found.parts) - len(order)
    title = "What patterns add to chi-square" + (
        f" (the {MOST_SHOWN} largest of {len(found.parts)})" if rest else ""
    )
    return Block(title, tuple(cells), tuple(zip(*cells.values(), strict=True)))


def verdict(found: LittleStatistic) -> str:
    """What the p-value says."""
    p = format_p([found.p_value])[0]
    if found.p_value < 0.05:
        return (
            f"Means differ between patterns by more than chance (p = {p}): values are not missing "
            "completely at random. Complete cases and plain GEE may then be biased; likelihood, "
            "weights or imputation are not, if what decides is observed (MAR)."
        )
    return (
        f"Means do not differ clearly between patterns (p = {p}): no evidence against MCAR, and none for it."
    )
