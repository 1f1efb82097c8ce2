"""The table and the printed page of what happens to a fit without some of its data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.influence import Influence
from multilevel.report.numbers import format_column, format_fixed
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns

Indices = npt.NDArray[np.intp]

MOST_SHOWN = 10  # rows of the printed page, the most influential first
MOST_COEFFICIENTS = 5  # beyond this the page shows the largest change only


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is left out, one at a time: G single rows, or the G levels of a grouping."""

    group: str | None  # None for single rows
    labels: Sequence[object]  # (G,) levels, or numbers of rows in the data
    n_obs: Array  # (G,) observations that each holds


def influence_columns(
    subject: LeftOut,
    coef_names: Sequence[str],
    found: Influence,
    rows: Mapping[str, Array],
    deviations: Mapping[str, Array],
    notes: Mapping[int, str],
) -> Columns:
    """One row a deletion: the distances, then every estimate's change, then variances without the data."""
    labels = list(subject.labels)
    who: Columns = (
        {"row": np.asarray(labels)}
        if subject.group is None
        else {"group": [subject.group] * len(labels), "level": labels, "n_obs": whole_numbers(subject.n_obs)}
    )
    changes = {f"dfbetas__{name}": found.dfbetas[:, j] for j, name in enumerate(coef_names)}
    changes |= {f"dfbeta__{name}": found.dfbeta[:, j] for j, name in enumerate(coef_names)}
    said = {"note": [notes.get(k) for k in range(len(labels))]} if notes else {}
    return {
        **who,
        **rows,
        "cooks_distance_fixed" if "cooks_distance" in rows else "cooks_distance": found.cooks_distance,
        "covratio": found.covratio,
        **changes,
        **({"sigma": found.sigma} if len(found.sigma) else {}),
        **deviations,
        **said,
    }


def whole_numbers(counts: Array) -> Array | npt.NDArray[np.int64]:
    """Counts as integers where they are whole."""
    rounded = np.rint(counts)
    return rounded.astype(np.int64) if (rounded == counts).all() else counts


def deviation_names(record: LMMRecord) -> list[str]:
    """Columns for the standard deviations of the random effects: `sd__(Intercept)|Subject`."""
    return [
        f"sd__{'(Intercept)' if name == 'Intercept' else name}|{term.group}"
        for term in record.terms
        for name in term.names
    ]


def influence_page(
    columns: Columns, subject: LeftOut, coef_names: Sequence[str], how: str, notes: Mapping[int, str]
) -> Summary:
    """The most influential first, with what the numbers mean."""
    distance = np.asarray(columns["cooks_distance"])
    order = np.argsort(-np.where(np.isnan(distance), -1.0, distance), kind="stable")[:MOST_SHOWN]
    cells = page_cells(columns, subject, coef_names, order)
    count = len(distance)
    unit = "row" if subject.group is None else subject.group
    shown = f"the {len(order)} largest of {count}" if count > len(order) else f"all {count}"
    return Summary(
        title=f"Influence of each {unit}, left out one at a time; {how}",
        facts=(),
        blocks=(
            Block(f"By Cook's distance, {shown}", tuple(cells), tuple(zip(*cells.values(), strict=True))),
        ),
        notes=(*explanations(subject, columns, len(coef_names)), *impossible_notes(subject, notes)),
    )


def page_cells(
    columns: Columns, subject: LeftOut, coef_names: Sequence[str], order: Indices
) -> dict[str, list[str]]:
    """Formatted columns of the page."""

    def picked(name: str) -> Array:
        return np.asarray(columns[name])[order]

    cells = {subject.group or "row": [str(subject.labels[k]) for k in order]}
    if subject.group is not None:
        cells["obs"] = format_fixed(picked("n_obs"), 0)
    if "leverage" in columns:
        cells["leverage"] = format_fixed(picked("leverage"), 3)
    cells["Cook's D"] = format_fixed(picked("cooks_distance"), 3)
    changes = np.array([picked(f"dfbetas__{name}") for name in coef_names])
    if len(coef_names) <= MOST_COEFFICIENTS:
        cells |= {f"{name}": format_fixed(row, 2) for name, row in zip(coef_names, changes, strict=True)}
    elif len(coef_names):
        largest = np.where(np.isnan(changes), 0.0, np.abs(changes)).argmax(axis=0)
        cells["largest"] = format_fixed(changes[largest, np.arange(len(order))], 2)
        cells["of"] = [coef_names[j] for j in largest]
    for name in scales(columns):
        cells[name] = format_column(picked(name))
    return cells


def scales(columns: Columns) -> list[str]:
    """What the page shows of variances: sigma, or where there is none the first of the others."""
    if "sigma" in columns:
        return ["sigma"]
    return [name for name in columns if name.startswith(("sd__", "zi~sd__"))][:1]


def explanations(subject: LeftOut, columns: Columns, p: int) -> list[str]:
    """What the columns mean."""
    what = "the row" if subject.group is None else "the level"
    named = "Under the coefficients' names" if p <= MOST_COEFFICIENTS else "largest"
    distance = (
        "Cook's D here is over the fitted values, random effects included; cooks_distance_fixed of the frame "
        "is over the coefficients."
        if "cooks_distance_fixed" in columns
        else f"Cook's D sums this over the coefficients{mean_alone(columns)}, in units of their covariance."
    )
    spread = "".join(f" {name}: the estimate without {what}." for name in scales(columns))
    return [
        f"{named}: dfbetas, how many standard errors the estimate is higher because of {what}. "
        f"{distance}{spread}"
    ]


def mean_alone(columns: Columns) -> str:
    """Of the mean, where those of an excess of zeros are followed too."""
    return " of the mean" if any(name.startswith("dfbeta__zi~") for name in columns) else ""


def impossible_notes(subject: LeftOut, notes: Mapping[int, str]) -> list[str]:
    """Say where there is no answer."""
    return [f"No answer for {subject.labels[k]}: {reason}." for k, reason in list(notes.items())[:MOST_SHOWN]]
