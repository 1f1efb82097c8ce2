"""What one engine did on one line, and the file that keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """A measurement, or the reason why there is none."""

    line: str
    engine: str
    measured: str  # date and time
    load: float  # load average of the machine as it began
    version: str = ""
    seconds: tuple[float, ...] = ()  # of the repeats
    peak: float | None = None  # MB above the loaded frame
    criteria: tuple[float | None, ...] = ()  # -2 log-likelihood of each fit
    evaluations: int | None = None
    reason: str | None = None  # why it failed

    @property
    def time(self) -> float:
        """Median time (s)."""
        return median(self.seconds)


@dataclass(frozen=True, slots=True)
class Results:
    """Measurements of one machine."""

    machine: dict[str, str]
    records: tuple[Record, ...]

    def adding(self, record: Record) -> Results:
        """With a record added, in the place of an older one."""
        key = (record.line, record.engine)
        others = tuple(old for old in self.records if (old.line, old.engine) != key)
        return Results(self.machine, (*others, record))


def record_from(fields: dict[str, Any]) -> Record:
    """A record from its JSON."""
    lists: dict[str, Any] = {name: tuple(fields.get(name, ())) for name in ("seconds", "criteria")}
    return Record(**(fields | lists))


def read(path: Path, machine: dict[str, str]) -> Results:
    """The results kept in a file, if they are of this machine; otherwise an empty set."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    if kept.get("machine") != machine:
        return Results(machine, ())
    return Results(machine, tuple(map(record_from, kept["records"])))


def write(results: Results, path: Path) -> None:
    """Keep results in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(results), indent=1) + "\n")


def of_line(records: Iterable[Record], line: str) -> dict[str, Record]:
    """Engine -> record, for one line."""
    return {record.engine: record for record in records if record.line == line}
