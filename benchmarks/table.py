"""Results as a page of Markdown: times, memory, criteria, and why a time does not count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from benchmarks.engines import ENGINES, OURS
from benchmarks.lines import LINES, Line
from benchmarks.records import Record, Results, of_line
from benchmarks.verdicts import TOLERANCE, Verdict, judged

Judged = dict[str, dict[str, Verdict]]  # line -> engine -> verdict
Cell = Callable[[Line, str], str]  # what stands in the column of an engine

MEASURED = f"""\
Every engine runs in a process of its own, one after the other, on the same data and with all cores.
A time is the median of repeats after a first run (5 to 101 of them; fewer, or the first run itself,
where a fit takes long), from a data frame in memory to a fitted model: formula, coding of groups
and standard errors of the fixed effects are inside, reading the file is not. In brackets, how many
times as long as ours. A fit counts only if its criterion, -2 log-likelihood (restricted under
REML), is within {TOLERANCE} of the best that any engine reached on the line; otherwise, and where
an engine fails, cannot fit the model or is stopped, the cell says n/a and the note why. The data
sets, the formulas and how each engine is called are in this folder."""


def in_units(seconds: float) -> str:
    """A time to three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            return f"{seconds / size:.3g} {unit}" if seconds < 1000 * size else f"{seconds:.0f} s"
    raise AssertionError  # the loop always returns


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; numbers to the right of the first two columns."""
    rule = ["---", "---", *["--:"] * (len(header) - 2)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def cells(lines: Sequence[Line], engines: Sequence[str], cell: Cell) -> list[list[str]]:
    """A row for each line, a cell for each engine."""
    return [[line.title, line.likelihood, *(cell(line, name) for name in engines)] for line in lines]


class Notes:
    """Reasons, numbered as they are met; the same reason keeps its number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def __call__(self, reason: str) -> str:
        number = self.numbers.setdefault(reason, len(self.numbers) + 1)
        return f"n/a [{number}]"

    def page(self) -> str:
        return "\n".join(f"{number}. {reason}" for reason, number in self.numbers.items())


def time_cell(verdicts: Judged, notes: Notes) -> Cell:
    """Times that count, beside ours."""

    def cell(line: Line, engine: str) -> str:
        found = verdicts[line.name].get(engine)
        if found is None:
            return ""
        if found.reason is not None:
            return notes(f"{engine}: {found.reason}")
        ours = verdicts[line.name].get(OURS.name)
        time = in_units(found.record.time)
        if engine == OURS.name or ours is None or ours.reason is not None:
            return time
        return f"{time} ({found.record.time / ours.record.time:.3g})"

    return cell


def record_cell(verdicts: Judged, show: Callable[[Record], str]) -> Cell:
    """Something of a record; empty where there is no measurement."""

    def cell(line: Line, engine: str) -> str:
        found = verdicts[line.name].get(engine)
        return show(found.record) if found is not None and found.record.seconds else ""

    return cell


def criterion(record: Record) -> str:
    """The criterion reached (the sum, over many fits), and in how many evaluations."""
    if None in record.criteria:
        return "not finite"
    total = sum(value for value in record.criteria if value is not None)
    return f"{total:.4f}" if record.evaluations is None else f"{total:.4f} ({record.evaluations})"


def memory(record: Record) -> str:
    """Peak memory (MB)."""
    return "" if record.peak is None else f"{record.peak:.1f}"


def versions(results: Results) -> str:
    """Engines and their versions."""
    known = {record.engine: record.version for record in results.records if record.version}
    return ", ".join(f"{engine.name} {known[engine.name]}" for engine in ENGINES if engine.name in known)


def circumstances(results: Results) -> str:
    """Machine, versions, dates and how busy the machine was."""
    times = sorted(record.measured for record in results.records)
    loads = [record.load for record in results.records]
    facts = {
        **results.machine,
        "engines": versions(results),
        "measured": f"{times[0]} to {times[-1]} UTC",
        "load average as a measurement began": f"{min(loads):.1f} to {max(loads):.1f}",
    }
    return "\n".join(f"- {name}: {value}" for name, value in facts.items())


def page(results: Results) -> str:
    """The whole page."""
    verdicts = {line.name: judged(of_line(results.records, line.name)) for line in LINES}
    lines = [line for line in LINES if verdicts[line.name]]
    measured = {record.engine for record in results.records}
    engines = [engine.name for engine in ENGINES if engine.name in measured]
    notes = Notes()
    header = ["model", "", *engines]
    sections = [
        "# How fast, beside others",
        circumstances(results),
        MEASURED,
        "## Time",
        markdown(header, cells(lines, engines, time_cell(verdicts, notes))),
        notes.page(),
        "## Peak memory above the loaded frame (MB)",
        markdown(header, cells(lines, engines, record_cell(verdicts, memory))),
        "## Criterion reached (and evaluations, where the engine counts them)",
        markdown(header, cells(lines, engines, record_cell(verdicts, criterion))),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"
