"""Small words that sentences about a fit are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from multilevel.report.numbers import format_column, format_number

Facts = Mapping[str, Any]

TOO_FEW = "Too few observations to say."


def plural(count: int, noun: str) -> str:
    """Count and noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def number(value: float) -> str:
    """A number of three digits."""
    return format_number(float(value), ".3g")


def figure(value: float) -> str:
    """A number of four digits or more, as tables write it: without an exponent if it can be."""
    return format_column([value])[0]


def listed(names: Sequence[object], count: int) -> str:
    """Names, and how many more there are."""
    more = count - len(names)
    return ", ".join(map(str, names)) + (f" and {more} more" if more > 0 else "")
