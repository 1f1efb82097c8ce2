"""Compare two commits on the same lines:  python -m benchmarks.compare BASE [HEAD]  (or `make bench-compare`)

Each commit is built from its own files into its own environment. They are measured in turn, a line at a time
and round after round, so that what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.engines import OURS
from benchmarks.environments import HERE, ROOT, data_folder, our_environment
from benchmarks.lines import LINES, Line
from benchmarks.measurement import data_sets, measure
from benchmarks.processes import Limits, memory_of_machine
from benchmarks.records import Record
from benchmarks.run import chosen
from benchmarks.table import criterion, in_units, markdown, memory

Pair = tuple[Record, Record]  # of the same line: base, head


def build(revision: str) -> Path:
    """The Python of an environment with the wheel of a commit."""
    files = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout
    with TemporaryDirectory() as tree:
        with tarfile.open(fileobj=BytesIO(files)) as archive:
            archive.extractall(tree, filter="data")
        return our_environment(Path(tree))


def pooled(rounds: Sequence[Record]) -> Record:
    """One record with the times of all rounds, or of those that failed the first."""
    failed = [record for record in rounds if record.reason is not None]
    seconds = tuple(second for record in rounds for second in record.seconds)
    return failed[0] if failed else replace(rounds[0], seconds=seconds)


def measure_pair(line: Line, pythons: Sequence[Path], data: Path, limits: Limits, rounds: int) -> Pair:
    """Both commits on one line, in turn."""
    found: list[list[Record]] = [[], []]
    for _ in range(rounds):
        for records, python in zip(found, pythons, strict=True):
            records.append(measure(line, OURS, [str(python)], data, limits))
    return pooled(found[0]), pooled(found[1])


def row(line: Line, pair: Pair) -> list[str]:
    """A line of the table."""
    base, head = pair
    if base.reason is not None or head.reason is not None:
        return [line.title, line.likelihood, base.reason or "", head.reason or "", *[""] * 5]
    ratio = f"{base.time / head.time:.2f}"
    times = [in_units(base.time), in_units(head.time), ratio]
    return [line.title, line.likelihood, *times, memory(base), memory(head), criterion(base), criterion(head)]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("base", help="a commit")
    parser.add_argument("head", nargs="?", default="HEAD", help="another (default: the last)")
    parser.add_argument("--lines", nargs="+", choices=[line.name for line in LINES])
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def main() -> None:
    """Compare, and print the table."""
    asked = arguments()
    lines = chosen(LINES, asked.lines)
    pythons = [build(asked.base), build(asked.head)]
    data = data_folder([name for line in lines for name in data_sets(line)], pythons[1])
    limits = Limits(seconds=120.0, megabytes=0.75 * memory_of_machine())
    rows = []
    for line in lines:
        rows.append(row(line, measure_pair(line, pythons, data, limits, asked.rounds)))
        print(*rows[-1], file=sys.stderr, flush=True)
    header = ["model", "", asked.base, asked.head, "base / head", "MB", "MB", "criterion", "criterion"]
    text = markdown(header, rows) + "\n"
    (HERE / "results" / "compare.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
