"""Means and contrasts of a linear predictor, shown on the scale of the response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.families.links import Link
from multilevel.report.tables import Columns


@dataclass(frozen=True, slots=True)
class ResponseScale:
    """The link to undo, and what things are called then."""

    link: Link
    means: str  # "on the scale of the response"
    ratio: str | None  # what the exponential of a difference is: "odds ratio"; None where it is nothing


def through_link(columns: Columns, scale: ResponseScale) -> Columns:
    """Means and their limits through the inverse link; standard errors by the delta method."""
    link, eta = scale.link, columns["estimate"]
    ends = np.array([link.inverse(columns["conf_low"]), link.inverse(columns["conf_high"])])
    return {
        **columns,
        "estimate": link.inverse(eta),
        "std_error": np.abs(link.slope(eta)) * columns["std_error"],
        "conf_low": ends.min(axis=0),
        "conf_high": ends.max(axis=0),
    }


def as_ratios(columns: Columns, scale: ResponseScale) -> Columns:
    """Differences of linear predictors as ratios, where they are logarithms of ratios."""
    if scale.ratio is None:
        return columns
    ratio = np.exp(columns["estimate"])
    changed = {**columns, "estimate": ratio, "std_error": ratio * columns["std_error"]}
    return changed | {name: np.exp(columns[name]) for name in ("conf_low", "conf_high") if name in columns}


def as_quotients(labels: Sequence[str], levels: Sequence[str]) -> list[str]:
    """Labels of differences between levels as those of ratios; other labels as they are.

    >>> as_quotients(["a - b", "a effect"], ["a", "b"])
    ['a / b', 'a effect']
    """
    quotients = {f"{one} - {other}": f"{one} / {other}" for one in levels for other in levels}
    return [quotients.get(label, label) for label in labels]


def scale_notes(scale: ResponseScale | None) -> tuple[str, ...]:
    """What the estimates of contrasts are."""
    if scale is None:
        return ()
    if scale.ratio is None:
        return (f"Contrasts are differences on the scale of the {scale.link.name} link.",)
    return (f"Contrasts are {scale.ratio}s; tests are of a ratio of 1.",)
