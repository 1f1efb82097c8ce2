"""Time one engine on one line, in a process of its own; every worker beside this file calls `main`.

A job comes as `key=value` arguments, the measurement goes as JSON to the file `out`, after every run, so
that a process stopped at its deadline leaves what it had.
"""

from __future__ import annotations

import ctypes
import gc
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

SAVED_EVERY = 1.0  # seconds: writing a file empties the caches that short runs live in
FEWEST, MOST, ENOUGH = 5, 101, 2.0  # repeats: at least 5, then until 2 seconds have passed, at most 101


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be timed."""

    line: str
    formula: str
    reml: bool
    task: str  # "fit", "refit", "refits", or what is asked of a fit
    family: str  # "gaussian", "binomial", "poisson", under their canonical links
    nodes: int  # of adaptive quadrature; 1 is Laplace's approximation
    data: Path  # a Parquet file
    responses: Path  # responses to refit, one a column
    warm_up: Path  # a small table with columns y, z of zeros and ones, x and g
    budget: float  # seconds after which no further repeat begins
    out: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a fit reached."""

    criterion: float  # -2 log-likelihood, restricted under REML
    evaluations: int | None  # of the criterion; None where the engine does not say


@dataclass(frozen=True, slots=True)
class Adapter:
    """How an engine is used. Whatever a user does once a fit is inside `fit`; loading is outside."""

    package: str  # as the package index has it
    load: Callable[[Path], Any]
    fit: Callable[[Any, Job], Any]
    outcome: Callable[[Any], Outcome]
    refitter: Callable[[Any, Job], Callable[[Any], Any]] | None = None  # frame -> (response -> fit)
    # frame -> (responses (n, B) -> their outcomes): only where the engine has something for many at once
    many: Callable[[Any, Job], Callable[[Any], list[Outcome]]] | None = None
    questions: Mapping[str, Callable[[Any], Any]] = field(
        default_factory=dict
    )  # task -> what is asked of a fit


@dataclass(frozen=True, slots=True)
class Call:
    """What is timed."""

    run: Callable[[Any], Any]
    outcomes: Callable[[Any], list[Outcome]]  # of what it returns
    prepare: Callable[[], Any] = lambda: None  # makes, outside the time, what it is given


@dataclass(frozen=True, slots=True)
class FirstRun:
    """The first run of the timed call: later ones find memory and caches as it left them."""

    seconds: float
    peak: float | None  # MB above what the process held before; None where the system does not say
    value: Any  # what the call returned


def status(field: str) -> float | None:
    """A size from the process's own record (MB); None outside Linux."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) / 1024 for line in lines if line.startswith(field)), None)


def reset_peak() -> float | None:
    """Give free memory back, forget the peak so far, and return what the process holds now (MB)."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    except (OSError, AttributeError):
        return None
    return status("VmRSS")


def run_first(call: Call) -> FirstRun:
    """Run once, and see how far memory rises."""
    given = call.prepare()
    before = reset_peak()
    start = time.perf_counter()
    value = call.run(given)
    seconds = time.perf_counter() - start
    peak = status("VmHWM")
    above = None if before is None or peak is None else peak - before
    return FirstRun(seconds, above, value)


def run_again(call: Call) -> float:
    """Seconds of a run as in a user's loop: nothing is collected or given back before it."""
    given = call.prepare()
    start = time.perf_counter()
    call.run(given)
    return time.perf_counter() - start


def refit_call(adapter: Adapter, job: Job, frame: Any) -> Call:
    """The call to time where one fit is followed by others."""
    table = adapter.load(job.responses)
    if job.task == "refits" and adapter.many is not None:
        refit_many, Y = adapter.many(frame, job), table.to_numpy()
        return Call(lambda _: refit_many(Y), list)
    if adapter.refitter is None:
        raise TypeError(f"{adapter.package} fits from the beginning only")
    refit = adapter.refitter(frame, job)
    columns = [table[name].to_numpy() for name in table.columns[: 1 if job.task == "refit" else None]]
    return Call(lambda _: [refit(y) for y in columns], lambda fits: list(map(adapter.outcome, fits)))


def timed_call(adapter: Adapter, job: Job) -> Call:
    """The call to time."""
    frame = adapter.load(job.data)
    if job.task in ("refit", "refits"):
        return refit_call(adapter, job, frame)
    if job.task != "fit":
        return question_call(adapter, job, frame)
    return Call(lambda _: adapter.fit(frame, job), lambda fit: [adapter.outcome(fit)])


def question_call(adapter: Adapter, job: Job, frame: Any) -> Call:
    """The call to time where a fit is asked something: each time another fit, which remembers nothing."""
    ask = adapter.questions[job.task]

    def run(fit: Any) -> Any:
        ask(fit)
        return fit

    return Call(run, lambda fit: [adapter.outcome(fit)], lambda: adapter.fit(frame, job))


def enough(seconds: Sequence[float], elapsed: float, budget: float) -> bool:
    """Whether to stop repeating."""
    return elapsed > budget or len(seconds) >= MOST or (len(seconds) >= FEWEST and sum(seconds) > ENOUGH)


def write(job: Job, measured: dict[str, Any]) -> None:
    """Leave the measurement, whole or not at all."""
    part = job.out.with_suffix(".part")
    part.write_text(json.dumps(measured))
    part.replace(job.out)


def measurement(run: FirstRun, adapter: Adapter, outcomes: list[Outcome]) -> dict[str, Any]:
    """The measurement after one run; repeats change nothing in it but the times."""
    counts = [outcome.evaluations for outcome in outcomes if outcome.evaluations is not None]
    return {
        "version": version(adapter.package),
        "seconds": [run.seconds],
        "peak": run.peak,
        "criteria": [outcome.criterion for outcome in outcomes],
        "evaluations": sum(counts) if len(counts) == len(outcomes) else None,
    }


def read_job(arguments: Sequence[str]) -> Job:
    """The job that `key=value` arguments describe."""
    given = dict(argument.split("=", 1) for argument in arguments)
    return Job(
        line=given["line"],
        formula=given["formula"],
        reml=given["likelihood"] == "REML",
        task=given["task"],
        family=given["family"],
        nodes=int(given["nodes"]),
        data=Path(given["data"] + ".parquet"),
        responses=Path(given["responses"] + ".parquet"),
        warm_up=Path(given["warm_up"] + ".parquet"),
        budget=float(given["budget"]),
        out=Path(given["out"]),
    )


def main(adapter: Adapter) -> None:
    """Measure the job on the command line."""
    job = read_job(sys.argv[1:])
    response = "y" if job.family == "gaussian" else "z"
    small = replace(job, line="warm-up", formula=f"{response} ~ x + (1 | g)")
    adapter.fit(adapter.load(job.warm_up), small)
    call = timed_call(adapter, job)
    start = time.perf_counter()
    first = run_first(call)
    measured = measurement(first, adapter, call.outcomes(first.value))
    write(job, measured)
    del first
    seconds: list[float] = []
    written = time.perf_counter()
    while not enough(seconds, time.perf_counter() - start, job.budget):
        seconds.append(run_again(call))
        if time.perf_counter() - written > SAVED_EVERY:
            write(job, {**measured, "seconds": seconds})
            written = time.perf_counter()
    if seconds:
        write(job, {**measured, "seconds": seconds})
