"""Which part of a predictor lies between groups, and which within?

`between(x, g)` is the mean of x in the row's group, `within(x, g)` the deviation from it. On new data a
group of the fit keeps the mean it had there, so that coefficients keep their meaning; a new group has
the mean of its own new rows. Rows count in means as often as frequency weights say.

Reference: Raudenbush and Bryk (2002), Hierarchical Linear Models, chapter 5 (centring).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from multilevel._typing import Array
from multilevel.design.factor import Factor, as_factor
from multilevel.frames.labels import label_text


def between(
    x: Array, groups: Factor | Array, *, _state: dict[str, Any], _counts: Array | None = None
) -> Array:
    """Mean of `x` in each row's group (n,)."""
    labels = as_factor(groups)
    own = _group_means(x, labels, _counts)
    names = [label_text(level) for level in labels.levels]
    if "means" not in _state:
        _state["means"] = dict(zip(names, own.tolist(), strict=True))
    known: dict[str, float] = _state["means"]
    means = np.array([known.get(name, mean) for name, mean in zip(names, own.tolist(), strict=True)])
    per_row: Array = means[labels.codes]
    return per_row


def within(
    x: Array, groups: Factor | Array, *, _state: dict[str, Any], _counts: Array | None = None
) -> Array:
    """Deviation of `x` from its group's mean (n,)."""
    deviation: Array = x - between(x, groups, _state=_state, _counts=_counts)
    return deviation


def _group_means(x: Array, groups: Factor, counts: Array | None) -> Array:
    """Mean by level (L,); NaN for a level without rows."""
    size = np.bincount(groups.codes, counts, minlength=len(groups.levels))
    shift = float(np.mean(x)) if len(x) else 0.0  # sums of large numbers lose digits
    moved = x - shift if counts is None else counts * (x - shift)
    sums = np.bincount(groups.codes, moved, minlength=len(groups.levels))
    with np.errstate(invalid="ignore"):
        means: Array = shift + sums / size
    return means
