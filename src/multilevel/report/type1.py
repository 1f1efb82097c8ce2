"""Sizes of tests in tables and words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.inference.monte_carlo import Figures, RateLimits
from multilevel.report.numbers import format_fixed
from multilevel.report.power import failure_notes
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns


def type1_columns(labels: Sequence[str], figures: Sequence[Figures], kind: RateLimits) -> Columns:
    """One row an analysis."""
    limits = [found.rate.limits(kind) for found in figures]
    return {
        "analysis": list(labels),
        "rate": np.array([found.rate.share for found in figures]),
        "mc_error": np.array([found.rate.error for found in figures]),
        "conf_low": np.array([low for low, _ in limits]),
        "conf_high": np.array([high for _, high in limits]),
        "n": [found.rate.n for found in figures],
        "n_failed": [found.n_failed for found in figures],
        "n_not_converged": [found.n_not_converged for found in figures],
        "n_singular": [found.n_singular for found in figures],
        "coverage": np.array([found.coverage.share for found in figures]),
        "width": np.array([found.width for found in figures]),
    }


def type1_page(
    labels: Sequence[str],
    figures: Sequence[Figures],
    facts: Sequence[tuple[str, str]],
    kind: RateLimits,
    alpha: float,
) -> Summary:
    """How often each analysis finds what is not there."""
    limits = [found.rate.limits(kind) for found in figures]
    columns = {
        "": list(labels),
        "Rejects": format_fixed([found.rate.share for found in figures], 3),
        "95% limits": [f"{low:.3f} to {high:.3f}" for low, high in limits],
        "Width": format_fixed([found.width for found in figures], 3),
        "Verdict": [verdict(low, high, alpha) for low, high in limits],
    }
    if not any(np.isfinite(found.width) for found in figures):
        del columns["Width"]
    title = f"Rejections of a true hypothesis, which are to be {100 * alpha:g}%"
    block = Block(title, tuple(columns), tuple(zip(*columns.values(), strict=True)))
    return Summary("Type I errors", tuple(facts), (block,), type1_notes(labels, figures, kind, alpha))


def verdict(low: float, high: float, alpha: float) -> str:
    """What the limits say of a test that should reject with probability alpha."""
    if low > alpha:
        return "too often"
    return "too rarely" if high < alpha else f"agrees with {100 * alpha:g}%"


def type1_notes(
    labels: Sequence[str], figures: Sequence[Figures], kind: RateLimits, alpha: float
) -> tuple[str, ...]:
    """How to read the table, and which analysis to leave."""
    name = "Clopper and Pearson's exact ones" if kind == "exact" else "Wilson's"
    notes = [
        f"Limits: for what {max(f.rate.n for f in figures):,} data sets leave uncertain ({name}). All "
        "analyses saw the same data sets."
    ]
    worst = max(range(len(labels)), key=lambda k: figures[k].rate.share)
    share, label = figures[worst].rate.share, labels[worst]
    if figures[worst].rate.limits(kind)[0] > alpha:
        notes.append(
            f"'{label}' finds an effect that is not there in {100 * share:.0f} of 100 studies: "
            f"{share / alpha:.1f} times as often as it claims."
        )
    if any(np.isfinite(found.width) for found in figures):
        notes.append(
            f"Width: of the {100 * (1 - alpha):g}% intervals on average; too narrow ones cover too rarely."
        )
    return (*notes, *failure_notes(figures))
