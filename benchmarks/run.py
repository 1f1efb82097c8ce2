"""Measure every engine on every line and write one table:  python -m benchmarks.run  (or `make bench`)

Each measurement is a process of its own, one at a time. The table is rewritten after each, and what was
measured before on this machine stays, so that a run can be continued, or one engine measured again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from benchmarks import machine, records
from benchmarks.engines import ENGINES, Engine
from benchmarks.environments import HERE, data_folder, interpreter, our_environment
from benchmarks.lines import LINES, Line
from benchmarks.measurement import data_sets, measure
from benchmarks.processes import Limits, memory_of_machine
from benchmarks.records import Results
from benchmarks.table import page

Named = TypeVar("Named", Line, Engine)


def keep(results: Results, target: Path) -> None:
    """Write the results and their page."""
    records.write(results, target.with_suffix(".json"))
    target.with_suffix(".md").write_text(page(results))


def measure_all(lines: Sequence[Line], engines: Sequence[Engine], limits: Limits, target: Path) -> None:
    """Measure, and rewrite the table after each measurement."""
    ours = our_environment()  # built first, so that the compiler disturbs no measurement
    data = data_folder([name for line in lines for name in data_sets(line)], ours)
    results = records.read(target.with_suffix(".json"), machine.describe())
    for line in lines:
        for engine in engines:
            record = measure(line, engine, interpreter(engine), data, limits)
            said = record.reason or f"{record.time:.6f} s"
            print(line.name, engine.name, said, file=sys.stderr, flush=True)
            results = results.adding(record)
            keep(results, target)


def chosen(all_of_them: Sequence[Named], names: list[str] | None) -> list[Named]:
    """Those asked for, in the order of the table."""
    return [one for one in all_of_them if names is None or one.name in names]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lines", nargs="+", choices=[line.name for line in LINES])
    parser.add_argument("--engines", nargs="+", choices=[engine.name for engine in ENGINES])
    parser.add_argument("--quick", action="store_true", help="stop every worker after one minute, not ten")
    parser.add_argument("--seconds", type=float, help="stop every worker after so many")
    parser.add_argument("--name", default="latest", help="of the files in benchmarks/results")
    return parser.parse_args()


def main() -> None:
    """Measure what the command line asks for."""
    asked = arguments()
    seconds = asked.seconds or (60.0 if asked.quick else 600.0)
    limits = Limits(seconds=seconds, megabytes=0.75 * memory_of_machine())
    target = HERE / "results" / asked.name
    measure_all(chosen(LINES, asked.lines), chosen(ENGINES, asked.engines), limits, target)
    print(target.with_suffix(".md").relative_to(HERE.parent))


if __name__ == "__main__":
    main()
