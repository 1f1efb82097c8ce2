"""Tables and pages of intervals from profiles and bootstraps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from multilevel._typing import Array
from multilevel.inference.parameters import Parameter
from multilevel.inference.profile import Curve
from multilevel.report.numbers import format_column, format_number
from multilevel.report.summary import Block
from multilevel.report.tables import Columns

PARTS = ("zi", "disp", "threshold", "shape")


def interval_columns(parameters: Sequence[Parameter], estimate: Array, low: Array, high: Array) -> Columns:
    """One row a parameter, estimates between their limits."""
    return {
        "effect": [p.effect for p in parameters],
        "group": [p.group for p in parameters],
        "term": [p.term for p in parameters],
        "estimate": estimate,
        "conf_low": low,
        "conf_high": high,
    }


def columns_by_component(
    parameters: Sequence[Parameter], estimate: Array, low: Array, high: Array
) -> Columns:
    """The same for a model of several parts: which part each row is of stands in front, not in its term."""
    columns = interval_columns(parameters, estimate, low, high)
    parts = [component_of(p) for p in parameters]
    terms = [
        p.term.removeprefix(f"{part}~") if p.effect == "fixed" else p.term
        for p, part in zip(parameters, parts, strict=True)
    ]
    return {"component": parts, **columns, "term": terms}


def component_of(parameter: Parameter) -> str:
    """The part of the model that a parameter is of, which its name carries if it is not the mean's."""
    part, mark, _ = parameter.name.partition("~")
    return part if mark and part in PARTS else "cond"


def profile_columns(parameters: Sequence[str], curves: dict[str, Curve]) -> Columns:
    """One row a point of a profile: the parameter held, its value and zeta, and all parameters there."""
    others = np.vstack([curve.others for curve in curves.values()])
    return {
        "parameter": [name for name, curve in curves.items() for _ in curve.value],
        "value": np.concatenate([curve.value for curve in curves.values()]),
        "zeta": np.concatenate([curve.zeta for curve in curves.values()]),
        **{name: others[:, k] for k, name in enumerate(parameters)},
    }


def interval_block(title: str, labels: Sequence[str], columns: dict[str, Array], level: float) -> Block:
    """Numbers by row: each parameter has digits of its own, since scales differ."""
    low, high = (f"{share:.4g}%" for share in (50.0 * (1.0 - level), 50.0 * (1.0 + level)))
    names = {"conf_low": low, "conf_high": high}
    numbers = np.column_stack(list(columns.values()))
    rows = [(label, *row_cells(row)) for label, row in zip(labels, numbers, strict=True)]
    return Block(title, ("", *(names.get(name, name) for name in columns)), tuple(rows))


def row_cells(row: Array) -> list[str]:
    """The numbers of one row with the decimals that suit its largest."""
    sizes = np.abs(row[np.isfinite(row) & (row != 0.0)])
    if len(sizes) == 0:
        return [format_number(value, "g") for value in row]
    places = format_column([float(sizes.max())], 5)[0]
    decimals = len(places.partition(".")[2]) if "e" not in places else None
    spec = f".{decimals}f" if decimals is not None else ".4e"
    return [format_number(float(value), spec) for value in row]


def parameter_labels(parameters: Sequence[Parameter]) -> list[str]:
    """The names that the parameters are asked for by."""
    return [p.name for p in parameters]


def reason_notes(reasons: dict[str, list[str]]) -> list[str]:
    """Why some limits are missing, a sentence a reason."""
    return [f"No limit for {', '.join(names)}: {reason}." for reason, names in reasons.items()]


def listed(reasons: Sequence[tuple[str, str | None]]) -> dict[str, list[str]]:
    """Parameters by the reason for which something is missing."""
    out: dict[str, list[str]] = {}
    for name, reason in reasons:
        if reason is not None and name not in out.setdefault(reason, []):
            out[reason].append(name)
    return out


def page_facts(facts: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Facts as text."""
    return tuple((name, str(value)) for name, value in facts.items())
