"""The table of times tells the truth: which fits count, and what their numbers become on the page."""

from __future__ import annotations

import math
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # benchmarks are no part of the package

from benchmarks import processes, records, structures, table, verdicts  # noqa: E402
from benchmarks.engines import ENGINES  # noqa: E402
from benchmarks.lines import LINES  # noqa: E402
from benchmarks.records import Record, Results  # noqa: E402

MEASURE = runpy.run_path(str(ROOT / "benchmarks" / "workers" / "measure.py"))
OURS = Record("sleepstudy", "multilevel", "2026-01-01 00:00", 0.1, "0.1", (2.0, 1.0, 4.0), 3.0, (100.0,), 7)


def another(**changes: object) -> Record:
    return replace(OURS, **{"engine": "lme4", **changes})


def reason(record: Record) -> str | None:
    return verdicts.judged({"multilevel": OURS, record.engine: record})[record.engine].reason


def test_the_time_is_the_median() -> None:
    assert OURS.time == 2.0


def test_a_fit_within_the_tolerance_counts() -> None:
    assert reason(another(criteria=(100.0 + 0.9 * verdicts.TOLERANCE,))) is None


def test_a_worse_criterion_does_not_count_however_fast() -> None:
    assert "above the best" in str(reason(another(criteria=(100.5,), seconds=(1e-6,))))


def test_ours_does_not_count_either_when_another_ends_lower() -> None:
    judged = verdicts.judged({"multilevel": OURS, "lme4": another(criteria=(99.0,))})
    assert judged["multilevel"].reason is not None
    assert judged["lme4"].reason is None


def test_one_bad_refit_among_many_is_enough() -> None:
    ours, other = replace(OURS, criteria=(1.0, 2.0, 3.0)), another(criteria=(1.0, 2.2, 3.0))
    assert verdicts.judged({"multilevel": ours, "lme4": other})["lme4"].reason is not None


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_criterion_that_is_no_number_does_not_count(value: float | None) -> None:
    assert reason(another(criteria=(value,))) == "no finite criterion"


def test_failures_carry_their_reason_and_set_no_standard() -> None:
    failed = Record("sleepstudy", "lme4", "2026-01-01 00:00", 0.1, reason="not done after 60 s")
    assert reason(failed) == "not done after 60 s"
    assert verdicts.judged({"multilevel": OURS, "lme4": failed})["multilevel"].reason is None


def test_a_later_measurement_replaces_the_earlier() -> None:
    results = Results({}, (OURS,)).adding(another()).adding(another(seconds=(9.0,)))
    assert records.of_line(results.records, "sleepstudy")["lme4"].seconds == (9.0,)
    assert len(results.records) == 2


def test_results_survive_their_file_but_not_another_machine(tmp_path: Path) -> None:
    path, here = tmp_path / "results.json", {"cores": "2"}
    records.write(Results(here, (OURS, another(criteria=(None,)))), path)
    assert records.read(path, here) == Results(here, (OURS, another(criteria=(None,))))
    assert records.read(path, {"cores": "64"}) == Results({"cores": "64"}, ())


def test_the_page_shows_times_beside_ours_and_notes() -> None:
    slow, failed = (
        another(seconds=(60.0,)),
        another(engine="glmm", seconds=(), criteria=(), reason="no such model"),
    )
    page = table.page(Results({"cores": "2"}, (OURS, slow, failed)))
    assert "| 2 s | 60 s (30) | n/a [1] |" in page
    assert "1. glmm: no such model" in page


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1234.0, "1234 s"),
        (61.25, "61.2 s"),
        (1.0, "1 s"),
        (0.25, "250 ms"),
        (0.00213, "2.13 ms"),
        (4.2e-6, "4.2 µs"),
    ],
)
def test_times_have_three_digits_and_a_unit(seconds: float, text: str) -> None:
    assert table.in_units(seconds) == text


def test_what_an_engine_is_not_asked_are_lines() -> None:
    assert set().union(*(engine.cannot for engine in ENGINES)) <= {line.name for line in LINES}


def test_every_engine_has_its_worker_and_its_versions_pinned() -> None:
    folder = ROOT / "benchmarks"
    assert all((folder / engine.worker).exists() for engine in ENGINES)
    pinned = [(folder / str(engine.requirements)).read_text() for engine in ENGINES if not engine.in_r]
    assert all("==" in line for text in pinned for line in text.split())


def test_slopes_are_told_from_intercepts() -> None:
    slopes = {line.name for line in LINES if line.slopes}
    assert {"sleepstudy", "nested-slopes", "maximal"} <= slopes
    assert slopes.isdisjoint({"insteval", "chem97", "ratings", "three-level"})


@pytest.mark.parametrize(
    ("seconds", "elapsed", "stops"),
    [
        ([], 0.0, False),
        ([1.0] * 3, 4.0, False),
        ([1.0] * 5, 6.0, True),
        ([1e-3] * 101, 0.2, True),
        ([], 61.0, True),
    ],
)
def test_repeats_end_by_number_or_time(seconds: list[float], elapsed: float, stops: bool) -> None:
    assert MEASURE["enough"](seconds, elapsed, 60.0) is stops


def test_a_worker_is_stopped_at_its_deadline(tmp_path: Path) -> None:
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    limits = processes.Limits(seconds=0.1, megabytes=1e6)
    assert processes.run(sleeper, limits, tmp_path / "log") == "not done after 0 s"


def test_a_worker_that_fails_is_quoted(tmp_path: Path) -> None:
    limits = processes.Limits(seconds=60, megabytes=1e6)
    failing = [sys.executable, "-c", "import sys; sys.exit('no such column')"]
    assert processes.run(failing, limits, tmp_path / "log") == "failed: no such column"


def test_the_command_line_explains_itself() -> None:
    for module in ("run", "compare"):
        shown = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{module}", "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "--lines" in shown.stdout


def test_a_line_of_the_table_of_structures_answers_every_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structures, "RUNS", 1)
    for line in structures.LINES:
        cells = structures.row(line, structures.pupils(structures.SMALL))
        assert len(cells) == 2 + len(structures.QUESTIONS)
