"""Which times count? Only those of fits that are as good as the best of the line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from benchmarks.records import Record

# On the scale of -2 log-likelihood. Default stopping rules leave 1e-4 or less; a hundredth moves no
# estimate by more than a twentieth of its standard error or so.
TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Verdict:
    """A record, and why its time does not count."""

    record: Record
    reason: str | None  # None if it counts


def finite(criteria: Iterable[float | None]) -> list[float]:
    """Criteria with infinity in the place of those that are missing."""
    return [value if value is not None and math.isfinite(value) else math.inf for value in criteria]


def best_criteria(records: Iterable[Record]) -> list[float]:
    """The lowest criterion that anyone reached, for each fit of a line."""
    reached = [finite(record.criteria) for record in records if record.criteria]
    return [min(values) for values in zip(*reached, strict=True)]


def shortfall(record: Record, best: list[float]) -> float:
    """By how much the worst of its fits misses the best criterion."""
    return max(mine - lowest for mine, lowest in zip(finite(record.criteria), best, strict=True))


def verdict(record: Record, best: list[float]) -> Verdict:
    """Whether a time counts."""
    if record.reason is not None:
        return Verdict(record, record.reason)
    short = shortfall(record, best)
    if math.isinf(short):
        return Verdict(record, "no finite criterion")
    if short > TOLERANCE:
        return Verdict(record, f"ended {short:.2g} above the best criterion, after {record.time:.3g} s")
    return Verdict(record, None)


def judged(records: Mapping[str, Record]) -> dict[str, Verdict]:
    """Engine -> verdict, for the records of one line."""
    best = best_criteria(records.values())
    return {engine: verdict(record, best) for engine, record in records.items()}
