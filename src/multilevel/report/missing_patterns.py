"""Patterns of missing values and dropout, as tables, as words and drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt

from multilevel.clusters.missing_patterns import DropoutCurve, LeaversBefore, Patterns, is_monotone
from multilevel.report.axes import BLUE, GREEN, GREY, ORANGE
from multilevel.report.numbers import format_fixed
from multilevel.report.summary import Block
from multilevel.report.tables import Columns
from multilevel.report.wording import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_SHOWN = 12  # patterns that are printed or drawn; others are counted
MOST_BESIDE = 2  # arms in one table
CLEAR = 2.0  # standard errors from which a difference is worth a sentence
COLOURS = (BLUE, ORANGE, GREEN, GREY)
CAUTION = (
    "Patterns show who is missing, not why. That those who leave look like those who stay is what MCAR "
    "would show, but no proof of it; if they differ in what was seen, methods must use that (MAR: ml.lmm, "
    "ml.dropout_weights, imputation). Whether they differ in what was not seen, no data can tell "
    "(ml.delta_sensitivity)."
)


def pattern_texts(patterns: Patterns) -> list[str]:
    """Patterns as "XX.X": X for observed, a point for missing."""
    return ["".join("X" if there else "." for there in row) for row in patterns.observed]


def pattern_columns(patterns: Patterns) -> Columns:
    """One row a pattern."""
    return {
        "pattern": pattern_texts(patterns),
        "n": patterns.counts,
        "share": patterns.counts / patterns.n_units,
        "n_missing": (~patterns.observed).sum(axis=1),
        "monotone": patterns.monotone,
    }


def curve_columns(
    curves: Mapping[str, DropoutCurve], by: str | None, name: str, labels: Sequence[Any]
) -> Columns:
    """One row an arm and time."""
    parts = list(curves.items())
    arms: Columns = {} if by is None else {by: [arm for arm, curve in parts for _ in curve.still]}
    return {
        **arms,
        name: [label for _ in parts for label in labels],
        "n": np.concatenate([np.full(len(curve.still), curve.n) for _, curve in parts]),
        "observed": np.concatenate([curve.observed for _, curve in parts]),
        "still_followed": np.concatenate([curve.still for _, curve in parts]),
        "share_observed": np.concatenate([curve.observed / curve.n for _, curve in parts]),
        "share_followed": np.concatenate([curve.still / curve.n for _, curve in parts]),
    }


# ---- printed ----


def pattern_block(patterns: Patterns, title: str) -> Block:
    """The commonest patterns."""
    texts = pattern_texts(patterns)[:MOST_SHOWN]
    counts = patterns.counts[:MOST_SHOWN]
    rest = len(patterns.counts) - len(texts)
    cells = {
        "Pattern": [*texts, *([f"{rest} more"] if rest else [])],
        "n": [str(count) for count in (*counts, *([patterns.counts[MOST_SHOWN:].sum()] if rest else []))],
    }
    share = [float(count) / patterns.n_units for count in map(int, cells["n"])]
    cells["%"] = format_fixed([100.0 * each for each in share], 1)
    return Block(title, tuple(cells), tuple(zip(*cells.values(), strict=True)))


def curve_blocks(
    curves: Mapping[str, DropoutCurve], by: str | None, name: str, labels: Sequence[Any], title: str
) -> tuple[Block, ...]:
    """Observed and still followed at each time, in percent: two arms side by side, more one below another."""
    if len(curves) <= MOST_BESIDE:
        return (curve_block(curves, name, labels, title),)
    return tuple(
        curve_block({"": curve}, name, labels, f"{title}, {by} {arm}") for arm, curve in curves.items()
    )


def curve_block(curves: Mapping[str, DropoutCurve], name: str, labels: Sequence[Any], title: str) -> Block:
    """One table of some arms."""
    cells = {name: [str(label) for label in labels]}
    for arm, curve in curves.items():
        prefix = f"{arm}: " if len(curves) > 1 else ""
        cells[f"{prefix}observed"] = [str(count) for count in curve.observed]
        cells[f"{prefix}%"] = format_fixed(100.0 * curve.observed / curve.n, 1)
        if (curve.observed != curve.still).any():
            cells[f"{prefix}followed %"] = format_fixed(100.0 * curve.still / curve.n, 1)
    return Block(title, tuple(cells), tuple(zip(*cells.values(), strict=True)))


def shape_sentence(patterns: Patterns, units: str) -> str:
    """Is everyone complete, are gaps monotone, or does one come back?"""
    n = patterns.n_units
    complete = int(patterns.counts[patterns.observed.all(axis=1)].sum())
    if complete == n:
        return f"All {n} {units} are complete."
    said = f"{complete} of {n} {units} ({100.0 * complete / n:.0f}%) are complete"
    back = int(patterns.counts[~patterns.monotone].sum())
    if not back:
        return (
            f"{said}. What is missing is monotone: who is missed once is not seen again, so this is dropout."
        )
    return (
        f"{said}. {back} ({100.0 * back / n:.0f}%) are seen again after a gap, so the pattern is not "
        "monotone: methods for dropout alone (ml.dropout_weights) do not use what follows a gap, likelihood "
        "and imputation do."
    )


def columns_sentence(patterns: Patterns, order: Sequence[str] | None) -> str:
    """The same of the columns of a table, which have no order of their own."""
    n = patterns.n_units
    complete = int(patterns.counts[patterns.observed.all(axis=1)].sum())
    said = f"{complete} of {n} rows ({100.0 * complete / n:.0f}%) are complete"
    if complete == n:
        return f"All {n} rows are complete."
    if order is None:
        return f"{said}. No order of the columns makes what is missing monotone."
    if bool(is_monotone(patterns.observed).all()):
        return f"{said}. What is missing is monotone in the order of the columns."
    names = ", ".join(order)
    return f"{said}. What is missing is monotone in the order {names}: columns can be imputed one by one."


def arms_sentence(curves: Mapping[str, DropoutCurve], by: str) -> list[str]:
    """Do arms lose different shares?"""
    ends = {arm: curve.still[-1] / curve.n for arm, curve in curves.items()}
    least, most = min(ends, key=lambda arm: ends[arm]), max(ends, key=lambda arm: ends[arm])
    if least == most:
        return []
    shares = f"{100.0 * ends[least]:.0f}% of {by} {least}, {100.0 * ends[most]:.0f}% of {by} {most}"
    error = float(np.sqrt(sum(ends[arm] * (1.0 - ends[arm]) / curves[arm].n for arm in (least, most))))
    if ends[most] - ends[least] < CLEAR * error:
        return [f"Still followed at the last time: {shares}; the arms hardly differ beyond chance."]
    return [
        f"Still followed at the last time: {shares}. Arms that lose different shares are no longer "
        "comparable by those who are left, unless what made them leave is in the model."
    ]


def leavers_sentence(found: LeaversBefore, y: str, name: str) -> list[str]:
    """Did those who left differ in the response that was seen last?"""
    if np.isnan(found.difference):
        return []
    size = abs(found.difference) / found.sd
    apart = (
        f"{y} of those who left was {number(abs(found.difference))} (SE {number(found.std_error)}; "
        f"{number(size)} SD) {'above' if found.difference > 0 else 'below'} that of those who stayed, at "
        f"the last {name} when both were seen"
    )
    if abs(found.difference) > CLEAR * found.std_error:
        return [
            f"{apart}: missing values depend on what was seen, so they are not missing completely at random."
        ]
    return [f"{apart}: no clear sign that missing values depend on {y} as it was seen."]


# ---- drawn ----


def plot_patterns(
    patterns: Patterns, curves: Mapping[str, DropoutCurve], labels: Sequence[Any], name: str, units: str
) -> npt.NDArray[Any]:
    """Tiles of the commonest patterns beside the curve of those observed, by arm."""
    height = 1.6 + 0.28 * min(len(patterns.counts), MOST_SHOWN)
    figure, axes = plt.subplots(
        1, 2, figsize=(9.0, max(3.4, height)), width_ratios=(1.1, 1.0), layout="constrained", squeeze=False
    )
    draw_tiles(axes[0, 0], patterns, labels, name, units)
    draw_curves(axes[0, 1], curves, labels, name, units)
    figure.align_labels()
    return np.asarray(axes[0])


def draw_tiles(axes: Axes, patterns: Patterns, labels: Sequence[Any], name: str, units: str) -> None:
    """A row a pattern: dark where observed."""
    shown = patterns.observed[:MOST_SHOWN]
    places = np.arange(len(labels))
    for row, there in enumerate(shown):
        for which, colour in ((there, BLUE), (~there, "0.92")):
            axes.barh(
                np.full(int(which.sum()), row), 0.94, left=places[which] - 0.47, height=0.82, color=colour
            )
        share = 100.0 * patterns.counts[row] / patterns.n_units
        axes.text(len(labels) - 0.35, row, f"{patterns.counts[row]} ({share:.0f}%)", va="center", fontsize=9)
    axes.set_xlim(-0.6, len(labels) + 0.6)
    axes.invert_yaxis()
    axes.set_yticks([])
    axes.set_xticks(places, [str(label) for label in labels], rotation=90 if len(labels) > 12 else 0)
    axes.set_xlabel(name)
    rest = len(patterns.counts) - len(shown)
    more = f", {rest} more not shown" if rest else ""
    axes.set_title(f"Patterns ({units}){more}", fontsize=10)
    axes.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)


def draw_curves(
    axes: Axes, curves: Mapping[str, DropoutCurve], labels: Sequence[Any], name: str, units: str
) -> None:
    """Shares observed, and dashed the ones still followed where these differ."""
    places = np.arange(len(labels))
    for k, (arm, curve) in enumerate(curves.items()):
        colour = COLOURS[k % len(COLOURS)]
        style = "-" if k < len(COLOURS) else ":"
        axes.plot(places, curve.observed / curve.n, style, marker="o", color=colour, markersize=4, label=arm)
        if (curve.observed != curve.still).any():
            axes.plot(places, curve.still / curve.n, "--", color=colour, linewidth=1)
    axes.set_xticks(places, [str(label) for label in labels], rotation=90 if len(labels) > 12 else 0)
    axes.set_ylim(0.0, 1.03)
    axes.set_xlabel(name)
    axes.set_ylabel(f"share of {units}")
    axes.set_title("Observed" + (" (dashed: seen then or later)" if any_gap(curves) else ""), fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    if len(curves) > 1:
        axes.legend(frameon=False, loc="lower left")


def any_gap(curves: Mapping[str, DropoutCurve]) -> bool:
    """Whether some are seen again after a gap."""
    return any(bool((curve.observed != curve.still).any()) for curve in curves.values())
