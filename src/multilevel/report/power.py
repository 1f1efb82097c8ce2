"""Power in tables and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.inference.monte_carlo import Figures, RateLimits
from multilevel.report.numbers import format_column, format_fixed
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns
from multilevel.report.wording import plural

MANY_FAILED = 0.05  # share of data sets without a test, from which the rate hardly speaks of all
FORMULA = (
    "Formula: the noncentral t or F at the true variances, degrees of freedom by Satterthwaite; exact in "
    "balanced designs, but for singular fits."
)
LINEARISED = (
    "Formula: of the model linearised at the true values, an approximation; with few groups a z test rejects "
    "more often than that, and more often than it should."
)
AVERAGED = (
    "True: within a group. The analysis estimates what is true on average over groups, which is nearer to "
    "zero, so that bias and coverage are not defined."
)
SHORT = 0.02  # coverage that is missing, worth a sentence
EXAGGERATED = 1.25  # mean significant estimate over the truth, worth a sentence


@dataclass(frozen=True, slots=True)
class PowerCell:
    """One design: what was varied, what a formula says, what simulation found."""

    settings: Mapping[str, float]  # name -> value
    analysis: str  # which of several; empty where there is one
    rows: int
    truth: float  # of what is tested; NaN for several statements
    formula: float  # NaN where there is none
    deff: float  # design effect on the coefficient tested; NaN where there is none
    figures: Figures | None  # None where nothing was simulated


def power_columns(cells: Sequence[PowerCell], kind: RateLimits) -> Columns:
    """One row a design."""
    columns: Columns = {name: [cell.settings[name] for cell in cells] for name in cells[0].settings}
    if cells[0].analysis:
        columns["analysis"] = [cell.analysis for cell in cells]
    columns |= {"n_rows": [cell.rows for cell in cells], "truth": np.array([c.truth for c in cells])}
    columns["formula"] = np.array([c.formula for c in cells])
    columns["deff"] = np.array([c.deff for c in cells])
    figures = [cell.figures for cell in cells if cell.figures is not None]
    if len(figures) < len(cells):
        return columns
    limits = [found.rate.limits(kind) for found in figures]
    return {
        **columns,
        "power": np.array([found.rate.share for found in figures]),
        "mc_error": np.array([found.rate.error for found in figures]),
        "conf_low": np.array([low for low, _ in limits]),
        "conf_high": np.array([high for _, high in limits]),
        "n": [found.rate.n for found in figures],
        "n_failed": [found.n_failed for found in figures],
        "n_not_converged": [found.n_not_converged for found in figures],
        "n_singular": [found.n_singular for found in figures],
        "estimate": np.array([found.estimate for found in figures]),
        "bias": np.array([found.bias for found in figures]),
        "coverage": np.array([found.coverage.share for found in figures]),
        "width": np.array([found.width for found in figures]),
        "wrong_sign": np.array([found.wrong_sign for found in figures]),
        "exaggeration": np.array([found.exaggeration for found in figures]),
    }


def power_page(
    cells: Sequence[PowerCell],
    facts: Sequence[tuple[str, str]],
    kind: RateLimits,
    alpha: float,
    notes: Sequence[str],
    *,
    linear: bool,
) -> Summary:
    """Power of each design, what estimates are like there, and how to read both."""
    blocks = [power_block(cells, kind)]
    if all(c.figures is not None and np.isfinite(c.figures.estimate) for c in cells):
        blocks.append(estimate_block(cells, alpha))
    return Summary(
        "Power", tuple(facts), tuple(blocks), (*notes, *power_notes(cells, kind, alpha, linear=linear))
    )


def labels(cells: Sequence[PowerCell]) -> dict[str, list[str]]:
    """What was varied, a column each; the rows where nothing was."""
    found = {name: [f"{cell.settings[name]:g}" for cell in cells] for name in cells[0].settings}
    if cells[0].analysis:
        found["analysis"] = [cell.analysis for cell in cells]
    return found or {"": [plural(cells[0].rows, "row")]}


def power_block(cells: Sequence[PowerCell], kind: RateLimits) -> Block:
    """The power itself."""
    columns = labels(cells)
    n_labels = len(columns)
    if cells[0].settings or cells[0].analysis:
        columns["rows"] = [f"{cell.rows}" for cell in cells]
    figures = [cell.figures for cell in cells]
    if all(found is not None for found in figures):
        rates = [found.rate for found in figures if found is not None]
        columns["Power"] = format_fixed([rate.share for rate in rates], 3)
        limits = [rate.limits(kind) for rate in rates]
        columns["95% limits"] = [f"{low:.3f} to {high:.3f}" for low, high in limits]
    if any(np.isfinite(cell.formula) for cell in cells):
        columns["Formula"] = format_fixed([cell.formula for cell in cells], 3)
    if any(np.isfinite(cell.deff) for cell in cells):
        columns["DEFF"] = format_fixed([cell.deff for cell in cells], 2)
    return Block(
        "Probability of rejection", tuple(columns), tuple(zip(*columns.values(), strict=True)), n_labels
    )


def estimate_block(cells: Sequence[PowerCell], alpha: float) -> Block:
    """What estimates of the effect are like."""
    figures = [cell.figures for cell in cells if cell.figures is not None]
    columns = labels(cells)
    n_labels = len(columns)
    columns |= {
        "True": format_column([cell.truth for cell in cells], 3),
        "Mean": format_fixed([found.estimate for found in figures], 3),
    }
    if any(found.coverage.n for found in figures):
        columns["Covered"] = format_fixed([found.coverage.share for found in figures], 3)
    columns |= {
        "Width": format_fixed([found.width for found in figures], 3),
    }
    if any(np.isfinite(found.exaggeration) for found in figures):
        columns["Wrong sign"] = format_fixed([found.wrong_sign for found in figures], 3)
        columns["Exaggeration"] = format_fixed([found.exaggeration for found in figures], 2)
    title = f"Estimates, and their {100 * (1 - alpha):g}% intervals"
    return Block(title, tuple(columns), tuple(zip(*columns.values(), strict=True)), n_labels)


def power_notes(cells: Sequence[PowerCell], kind: RateLimits, alpha: float, *, linear: bool) -> list[str]:
    """How to read the tables, and what deserves notice."""
    notes = []
    figures = [cell.figures for cell in cells if cell.figures is not None]
    if figures:
        name = "Clopper and Pearson's exact ones" if kind == "exact" else "Wilson's"
        notes.append(
            f"Limits: for what {max(f.rate.n for f in figures):,} data sets leave uncertain ({name}); a "
            "larger n= narrows them."
        )
    if any(np.isfinite(cell.formula) for cell in cells):
        notes.append(FORMULA if linear else LINEARISED)
    if any(np.isfinite(cell.deff) for cell in cells):
        notes.append(deff_note(cells))
    if any(averages(cell) for cell in cells):
        notes.append(AVERAGED)
    notes += coverage_notes(cells, alpha)
    notes += failure_notes(figures)
    notes += exaggeration_notes(cells)
    return notes


def deff_note(cells: Sequence[PowerCell]) -> str:
    """What clusters cost, or save."""
    worst = max((cell for cell in cells if np.isfinite(cell.deff)), key=lambda cell: cell.deff)
    return (
        f"DEFF: variance of the estimate over that from as many independent rows; at {worst.deff:.2f} the "
        f"{worst.rows:,} rows are worth {worst.rows / worst.deff:,.0f}."
    )


def coverage_notes(cells: Sequence[PowerCell], alpha: float) -> list[str]:
    """Power of a test that rejects too often is no merit."""
    found = [(cell, cell.figures.coverage) for cell in cells if cell.figures is not None]
    short = [(cell, rate) for cell, rate in found if rate.n and rate.limits()[1] < 1.0 - alpha - SHORT]
    if not short:
        return []
    cell, worst = min(short, key=lambda pair: pair[1].share)
    who = f"of '{cell.analysis}' " if cell.analysis else ""
    return [
        f"Intervals {who}cover the truth in only {100 * worst.share:.0f} of 100 data sets: this test finds "
        "effects that are not there too (ml.type1 shows how often), and its power is no merit."
    ]


def averages(cell: PowerCell) -> bool:
    """Whether the estimates are of something else than the truth that is shown."""
    known = cell.figures is not None and np.isfinite(cell.figures.estimate) and np.isnan(cell.figures.bias)
    return bool(known and np.isfinite(cell.truth) and cell.truth != 0.0)


def failure_notes(figures: Sequence[Figures]) -> list[str]:
    """What happened to data sets that were not analysed as others were."""
    notes = []
    total = sum(found.rate.n + found.n_failed for found in figures)
    if failed := sum(found.n_failed for found in figures):
        much = " So many that the rates do not speak of all data." if failed > MANY_FAILED * total else ""
        notes.append(f"{failed:,} of {total:,} analyses failed, and are left out of the rates.{much}")
    if singular := sum(found.n_singular for found in figures):
        notes.append(
            f"{singular:,} of {total:,} fits are singular (a variance of zero or a correlation of one); they "
            "count."
        )
    if stray := sum(found.n_not_converged for found in figures):
        notes.append(f"{stray:,} of {total:,} fits did not converge; they count.")
    return notes


def exaggeration_notes(cells: Sequence[PowerCell]) -> list[str]:
    """Where power is low, what is significant is too large."""
    found = [(cell, cell.figures) for cell in cells if cell.figures is not None]
    far = [(cell, f) for cell, f in found if np.isfinite(f.exaggeration) and f.exaggeration > EXAGGERATED]
    if not far:
        return []
    cell, worst = max(far, key=lambda pair: pair[1].exaggeration)
    parts = [f"{name} {value:g}" for name, value in cell.settings.items()]
    where = ", ".join([*parts, cell.analysis] if cell.analysis else parts)
    wrong = f", and {100 * worst.wrong_sign:.1f}% have the wrong sign" if worst.wrong_sign > 0.0 else ""
    return [
        f"Estimates that are significant are {worst.exaggeration:.1f} times the true effect on average"
        f"{' at ' + where if where else ''}{wrong}: low power does not only miss effects, it makes those "
        "found too large (Gelman and Carlin 2014)."
    ]
