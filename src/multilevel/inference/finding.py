"""What one look at a fit found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["ok", "note", "warn"]

NOTE = 0.01  # p-value below which a look is worth a note: one clean data set in a hundred
WARN = 0.001  # and a warning


@dataclass(frozen=True, slots=True)
class Finding:
    """One look: what was looked at, how it came out, and what the sentence about it needs to know."""

    check: str  # "few groups"
    status: Status
    statistic: float  # NaN where the look has no number
    p_value: float  # NaN where it is no test
    facts: Mapping[str, Any]


def ok(check: str, statistic: float = float("nan"), p_value: float = float("nan"), **facts: Any) -> Finding:
    """A look that found nothing unusual."""
    return Finding(check, "ok", statistic, p_value, facts)


def note(check: str, statistic: float = float("nan"), p_value: float = float("nan"), **facts: Any) -> Finding:
    """A look whose finding should be known."""
    return Finding(check, "note", statistic, p_value, facts)


def warn(check: str, statistic: float = float("nan"), p_value: float = float("nan"), **facts: Any) -> Finding:
    """A look whose finding can change the conclusions."""
    return Finding(check, "warn", statistic, p_value, facts)


def by_p(
    check: str, statistic: float, p_value: float, *, matters: bool = True, most: Status = "warn", **facts: Any
) -> Finding:
    """A look that is a test: only what is both unlikely by chance and large enough to matter is told."""
    status: Status = "ok"
    if matters and p_value < NOTE:
        status = "warn" if p_value < WARN and most == "warn" else "note"
    return Finding(check, status, statistic, p_value, facts)
