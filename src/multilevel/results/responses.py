"""A new response as a user has it, labels or pairs of counts, in the numbers of the fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from multilevel.design.design import Design
from multilevel.design.response_labels import response_labels
from multilevel.errors import DataError
from multilevel.frames.column import Categorical
from multilevel.frames.labels import label_text
from multilevel.frames.table import read_table

SHOWN = 5  # labels that an error lists


def as_numbers(y: Any, design: Design) -> Any:
    """Successes of a table of two counts, the numbers that labels stand for; anything else as it is."""
    if design.formula.response.kind == "cbind" and len(getattr(y, "shape", ())) == 2 and y.shape[1] == 2:
        return successes_of(y, design)
    labels = response_labels(design)
    column = read_table({"y": y}).column("y") if labels and np.ndim(y) == 1 else None
    if not isinstance(column, Categorical) or all(isinstance(level, bool) for level in column.levels):
        return y
    place = {label: float(k) for k, label in enumerate(labels)}
    found = [label_text(level) for level in column.levels]
    unknown = [label for label in found if label not in place]
    if unknown:
        raise DataError(
            f"the new response has the label '{unknown[0]}', which '{design.response_name}' of the fit has "
            f"not; there {', '.join(labels[:SHOWN])} occur."
        )
    numbers = np.array([*(place[label] for label in found), np.nan])
    return numbers[column.codes]  # a missing label has the code -1


def successes_of(y: Any, design: Design) -> Any:
    """The first of two columns, successes and failures, whose sums must be the trials of the fit."""
    pairs = np.asarray(y, dtype=np.float64)
    used = pairs[design.rows] if len(pairs) == design.dropped.n_total else pairs
    trials = np.ones(design.n_rows) if design.trials is None else design.trials
    if used.shape[0] == design.n_rows and (used.sum(axis=1) != trials).any():
        count = int((used.sum(axis=1) != trials).sum())
        raise DataError(
            f"successes and failures do not add up to the trials of the fit in {count} rows; refit takes the "
            "same numbers of trials."
        )
    return pairs[:, 0]
