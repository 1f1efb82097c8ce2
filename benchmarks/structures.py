"""How long does it take to look at a million rows, before any model?  python -m benchmarks.structures

`ml.structure` of five factors, and `ml.cluster_summary` of few and of many clusters, from a frame in memory
to the result: pupils in classes in schools in districts, and rooms that are crossed with the schools of
their district, beside four columns that vary at one level or another. Frames are pandas' and polars', labels
integers, text and categories. Each time is the fastest of a few runs, after a small one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
import polars as pl

import multilevel as ml
from benchmarks.environments import HERE
from benchmarks.machine import describe
from benchmarks.table import in_units, markdown

SEED = 1
FACTORS = ("pupil", "class", "school", "district", "room")
RUNS = 5
SMALL = 50_000


@dataclass(frozen=True, slots=True)
class Line:
    """One way to hold the data."""

    name: str
    library: str
    labels: str
    frame: Callable[[pd.DataFrame], object]


def text_labels(data: pd.DataFrame) -> pd.DataFrame:
    """The factors as text, "school 17"."""
    return data.assign(**{name: name + " " + data[name].astype(str) for name in FACTORS})


def as_type(dtype: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The factors as text that pandas holds in a type of its own."""
    return lambda data: text_labels(data).astype(dict.fromkeys(FACTORS, dtype))


LINES = (
    Line("pandas-integers", "pandas", "integers", lambda data: data),
    Line("pandas-text", "pandas", "text", text_labels),
    Line("pandas-objects", "pandas", "text as Python objects", as_type("object")),
    Line("pandas-categories", "pandas", "categories", as_type("category")),
    Line("polars-integers", "polars", "integers", pl.from_pandas),
    Line("polars-text", "polars", "text", lambda data: pl.from_pandas(text_labels(data))),
)
QUESTIONS: dict[str, Callable[[object], object]] = {
    "structure, five factors named": lambda frame: ml.structure(frame, list(FACTORS)),
    "structure, factors guessed": ml.structure,
    "summary of 1,000 schools": lambda frame: ml.cluster_summary(frame, "score", "school"),
    "summary of 100,000 pupils": lambda frame: ml.cluster_summary(frame, "score", "pupil"),
}


def pupils(n: int) -> pd.DataFrame:
    """n rows, ten a pupil: 20 pupils a class, 5 classes a school, 20 schools a district; in any order."""
    rng = np.random.default_rng(SEED)
    pupil = rng.permutation(np.repeat(np.arange(n // 10), 10))
    school = pupil // 100
    district = school // 20
    return pd.DataFrame(
        {
            "pupil": pupil,
            "class": pupil // 20,
            "school": school,
            "district": district,
            "room": district * 30 + rng.integers(0, 30, len(pupil)),
            "sex": rng.integers(0, 2, n // 10)[pupil],
            "sector": rng.integers(0, 3, n // 1000 + 1)[school],
            "year": rng.integers(2015, 2025, len(pupil)),
            "score": rng.normal(size=len(pupil)),
        }
    )


def fastest(call: Callable[[], object]) -> float:
    """Seconds of the fastest run."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def row(line: Line, data: pd.DataFrame) -> list[str]:
    """A line of the table."""
    small, whole = line.frame(pupils(SMALL)), line.frame(data)
    for ask in QUESTIONS.values():
        ask(small)
    times = [fastest(partial(ask, whole)) for ask in QUESTIONS.values()]
    return [line.library, line.labels, *map(in_units, times)]


def main() -> None:
    """Print the table, and keep it among the results where all of it was asked for."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--lines", nargs="*", default=[line.name for line in LINES])
    arguments.add_argument("-n", type=int, default=1_000_000, help="rows")
    asked = arguments.parse_args()
    data = pupils(asked.n)
    rows = [row(line, data) for line in LINES if line.name in asked.lines]
    machine = "; ".join(f"{name}: {value}" for name, value in describe().items())
    table = markdown(["frame", f"labels of {len(data):,} rows", *QUESTIONS], rows)
    text = f"# Looking at data before any model\n\n{machine}\n\n{table}\n"
    if len(rows) == len(LINES) and asked.n == arguments.get_default("n"):
        (HERE / "results" / "structures.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
