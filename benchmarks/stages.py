"""Where does the time of a fit go?  python -m benchmarks.stages [LINE ...]  (or `make bench-stages`)

The stages of `ml.lmm`, timed one after another in this process, for the lines of the table that are whole
fits: the formula and the frame become a design, its rows become cross-products, the search finds the optimum,
and the record is put together. Run by an environment that has multilevel; data are made if
they are not there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import pandas as pd

from benchmarks.environments import HERE, data_folder
from benchmarks.lines import LINES, Line
from benchmarks.table import in_units, markdown
from multilevel.design.build import build_design
from multilevel.estimation.lmm import minimise, working_model
from multilevel.fitted.assemble import assemble_lmm
from multilevel.formula.parse import parse_formula

Result = TypeVar("Result")
STAGES = ("design", "cross-products", "search", "record")
ENOUGH, FEWEST, MOST = 2.0, 5, 101  # repeats: at least 5, then until 2 seconds have passed, at most 101


@dataclass(frozen=True, slots=True)
class Stages:
    """Seconds of each stage, and what the search did."""

    seconds: tuple[float, float, float, float]
    evaluations: int
    tail: int  # columns that are left to the dense factorisation, X and y among them


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """Seconds, and what the call returned."""
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def one_fit(line: Line, frame: pd.DataFrame) -> Stages:
    """A fit, stage by stage."""
    design_time, design = timed(lambda: build_design(parse_formula(line.formula), frame))
    sums_time, model = timed(lambda: working_model(design))
    search_time, optimum = timed(lambda: minimise(model, reml=line.reml))
    record_time, _ = timed(lambda: assemble_lmm(design, model, optimum, reml=line.reml))
    seconds = (design_time, sums_time, search_time, record_time)
    return Stages(seconds, optimum.evaluations, model.kernel.tail_size)


def stages(line: Line, frame: pd.DataFrame) -> Stages:
    """The median of each stage over repeats, after a first fit."""
    found = [one_fit(line, frame)]
    fits: list[Stages] = []
    while len(fits) < FEWEST or (len(fits) < MOST and sum(sum(fit.seconds) for fit in fits) < ENOUGH):
        fits.append(one_fit(line, frame))
    first, second, third, fourth = (median(column) for column in zip(*(f.seconds for f in fits), strict=True))
    return Stages((first, second, third, fourth), found[0].evaluations, found[0].tail)


def row(line: Line, found: Stages) -> list[str]:
    """A line of the table."""
    times = [in_units(seconds) for seconds in found.seconds]
    return [line.title, line.likelihood, *times, str(found.evaluations), str(found.tail)]


def main() -> None:
    """Print the table, and keep it among the results."""
    lines = [line for line in LINES if line.task == "fit" and (not sys.argv[1:] or line.name in sys.argv[1:])]
    data = data_folder([line.data for line in lines], Path(sys.executable))
    rows = [row(line, stages(line, pd.read_parquet(data / f"{line.data}.parquet"))) for line in lines]
    text = markdown(["model", "", *STAGES, "evaluations", "tail"], rows) + "\n"
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "stages.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
