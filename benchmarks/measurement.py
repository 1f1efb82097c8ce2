"""Measure one engine on one line."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.engines import Engine
from benchmarks.environments import CACHE, HERE
from benchmarks.lines import Line
from benchmarks.processes import Limits, run
from benchmarks.records import Record, record_from

REPEATING = 0.1  # a worker repeats its fit for at most this share of its time


def data_sets(line: Line) -> list[str]:
    """The data that a worker reads."""
    return ["warm_up", line.data, *([line.responses] if line.responses else [])]


def worker_arguments(line: Line, data: Path, limits: Limits, out: Path) -> list[str]:
    """What a worker is told."""
    told = {
        "line": line.name,
        "formula": line.formula,
        "likelihood": line.likelihood,
        "task": line.task,
        "family": line.family,
        "nodes": line.nodes,
        "data": data / line.data,
        "responses": data / (line.responses or line.data),
        "warm_up": data / "warm_up",
        "budget": REPEATING * limits.seconds,
        "out": out,
    }
    return [f"{name}={value}" for name, value in told.items()]


def without_places(text: str) -> str:
    """A message without this machine's folders."""
    return text.replace(str(CACHE), "").replace(str(HERE), "").replace(str(Path.home()), "")


def measured(worker: Sequence[str], line: Line, data: Path, limits: Limits) -> dict[str, Any]:
    """What a worker found, or the reason why it found nothing."""
    out = CACHE / "measurement.json"
    out.unlink(missing_ok=True)
    told = worker_arguments(line, data, limits, out)
    reason = run([*worker, *told], limits, CACHE / "worker.log")
    if out.exists():  # though it may have been stopped among its repeats
        return dict(json.loads(out.read_text()))
    return {"reason": without_places(reason or "said nothing")}


def measure(line: Line, engine: Engine, program: Sequence[str] | None, data: Path, limits: Limits) -> Record:
    """Run one engine, by this program, on one line."""
    circumstances = {
        "line": line.name,
        "engine": engine.name,
        "measured": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "load": round(os.getloadavg()[0], 2),
    }
    if line.name in engine.cannot:
        return record_from({**circumstances, "reason": engine.cannot[line.name]})
    if program is None:
        return record_from({**circumstances, "reason": "not installed here"})
    worker = [*program, str(HERE / engine.worker)]
    return record_from({**circumstances, **measured(worker, line, data, limits)})
