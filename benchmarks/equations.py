"""How fast are estimating equations, beside R's geepack and statsmodels' GEE?

    python -m benchmarks.equations

Every engine reads the same rows and is timed from a data frame in memory to a fit with sandwich standard
errors: the fastest of a few runs after a small one. Estimates are printed beside the times; statsmodels'
moment estimators of correlations differ from geepack's, so that its coefficients may do so in later digits.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.engines import ENGINES
from benchmarks.environments import CACHE, HERE, has_r_package, interpreter
from benchmarks.machine import describe

Command = list[str]
SEED = 1


@dataclass(frozen=True, slots=True)
class Line:
    """One model of simulated visits."""

    name: str
    title: str
    clusters: int
    visits: int
    corr: str
    family: str = "binomial"


LINES = (
    Line("exchangeable", "1M rows, 100,000 clusters, exchangeable, logistic", 100_000, 10, "exchangeable"),
    Line("independence", "the same, independence", 100_000, 10, "independence"),
    Line("ar1", "the same, AR(1)", 100_000, 10, "ar1"),
    Line("unstructured", "500,000 rows, 50,000 clusters, unstructured", 50_000, 10, "unstructured"),
    Line(
        "counts", "100,000 rows, 5,000 clusters, exchangeable, counts", 5_000, 20, "exchangeable", "poisson"
    ),
    Line("small", "500 rows, 100 clusters, exchangeable", 100, 5, "exchangeable"),
)


def data_of(line: Line) -> Path:
    """The rows of a line, written once for Python and for R."""
    folder = CACHE / f"equations-{SEED}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{line.family}-{line.clusters}x{line.visits}"
    if not path.with_suffix(".parquet").exists():
        rng = np.random.default_rng(SEED)
        n = line.clusters * line.visits
        g, x = np.repeat(np.arange(line.clusters), line.visits), rng.normal(size=(n, 3))
        eta = x @ [0.5, -0.3, 0.2] + 0.8 * rng.normal(size=line.clusters)[g]
        logistic = line.family == "binomial"
        y = rng.random(n) < 1.0 / (1.0 + np.exp(-eta)) if logistic else rng.poisson(np.exp(0.5 * eta))
        visit = np.tile(np.arange(1, line.visits + 1), line.clusters)
        frame = pd.DataFrame(
            {"y": y.astype(float), "x1": x[:, 0], "x2": x[:, 1], "x3": x[:, 2], "id": g, "visit": visit}
        )
        frame.to_parquet(path.with_suffix(".parquet"))
        frame.to_csv(path.with_suffix(".csv"), index=False)
    return path


def commands() -> dict[str, Command]:
    """How each engine that is there is run."""
    statsmodels = next(engine for engine in ENGINES if engine.name == "statsmodels")
    found = {"multilevel": [sys.executable, str(HERE / "workers" / "gee_multilevel.py")]}
    if has_r_package("geepack"):
        found["geepack"] = ["Rscript", str(HERE / "r" / "gee_geepack.R")]
    python = interpreter(statsmodels)
    if python is not None:
        found["statsmodels"] = [*python, str(HERE / "workers" / "gee_statsmodels.py")]
    return found


def measured(command: Command, line: Line, limit: float) -> dict[str, object] | None:
    """What an engine's worker says of a line; None where it fails or takes too long."""
    arguments = [str(data_of(line)), line.family, line.corr]
    try:
        run = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=True, timeout=limit
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return dict(json.loads(run.stdout.strip().splitlines()[-1]))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--lines", nargs="*", default=[line.name for line in LINES])
    arguments.add_argument("--limit", type=float, default=900.0, help="seconds that a worker may take")
    asked = arguments.parse_args()
    print("; ".join(f"{name}: {value}" for name, value in describe().items()), "\n")
    engines = commands()
    print("| model | " + " | ".join(engines) + " |\n| --- |" + " --- |" * len(engines))
    for line in (line for line in LINES if line.name in asked.lines):
        cells, ours = [], None
        for command in engines.values():
            found = measured(command, line, asked.limit)
            if found is None:
                cells.append("n/a")
                continue
            seconds = float(str(found["seconds"]))
            ours = seconds if ours is None else ours
            times = "" if seconds == ours else f" ({seconds / ours:.0f}x)"
            cells.append(f"{seconds:.3g} s{times}, x1 {float(str(found['x1'])):.5f}")
        print(f"| {line.title} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
