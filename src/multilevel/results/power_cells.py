"""The designs of a power study: what varies between them, and the tests in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from multilevel._options import checked_choice, checked_numbers
from multilevel.errors import DataError, DataTypeError
from multilevel.formula.parse import parse_formula
from multilevel.inference.monte_carlo import Outcomes, figures_of
from multilevel.report.power import PowerCell
from multilevel.report.true_model import true_words
from multilevel.results.analyses import (
    METHODS,
    Analysis,
    Test,
    clusters_of,
    default_method,
    method_label,
    refuse_method,
)
from multilevel.results.data_source import DataSource
from multilevel.results.random_effect_tests import is_random_effect
from multilevel.results.simulated_tests import Simulated, simulated_tests
from multilevel.simulation.truth import Truth

Settings = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Job:
    """All that the designs of a study share."""

    source: DataSource
    analyses: tuple[Analysis, ...]
    test: Test
    alpha: float
    root: np.random.SeedSequence
    n: int | None
    redraw: bool | None
    progress: bool | None


@dataclass(frozen=True, slots=True)
class Made:
    """Designs that were tried."""

    cells: tuple[PowerCell, ...]
    outcomes: tuple[Outcomes, ...]  # empty where nothing was simulated
    truth: Truth  # in the first
    interrupted: bool


def chosen_analysis(source: DataSource, method: str | None, formula: str | None, test: Test) -> Analysis:
    """The model that is fitted and the way it is tested."""
    checked_choice("method", method, (None, *METHODS))
    fitted = source.formula if formula is None else formula
    chosen = default_method(fitted, source.family, test) if method is None else method
    refuse_method(chosen, fitted, source.family, test)
    chosen = "boundary" if is_random_effect(test) else chosen
    if parse_formula(fitted).response.text != parse_formula(source.formula).response.text:
        raise DataError(
            f"analysis={fitted!r} has another response than the model that makes the data, "
            f"'{source.formula}'."
        )
    analysis = Analysis(fitted, chosen, source.family, "", source.options)
    data = source.coded(np.random.default_rng(0)).frame
    by_cluster = chosen in ("cluster-robust", "means", "gee")
    cluster = clusters_of(parse_formula(fitted), data, source.family).name if by_cluster else ""
    return replace(analysis, label=method_label(chosen, analysis.linear, cluster))


def grid(source: DataSource, over: Mapping[str, Sequence[float]] | None) -> list[Settings]:
    """All combinations of what varies."""
    if over is None:
        return [{}]
    if not isinstance(over, Mapping):
        raise DataTypeError(f"over= maps names to values, as in {{'school': [10, 20]}}; got {over!r:.40}.")
    columns = {name: varied_values(name, values) for name, values in over.items()}
    coefficients = source.coefficients()
    for name in columns:
        refuse_unknown(name, source.sized, coefficients)
    return [dict(zip(columns, row, strict=True)) for row in product(*columns.values())]


def varied_values(name: str, given: Sequence[float]) -> list[float]:
    """Values of one thing that varies."""
    values = np.atleast_1d(checked_numbers(f"over[{name!r}]", given))
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise DataError(f"over[{name!r}] is a list of numbers.")
    return [float(value) for value in values]


def refuse_unknown(name: str, sizes: Sequence[str], coefficients: Sequence[str]) -> None:
    """A name that nothing has, or that could mean two things."""
    if name.startswith("sd[") and name.endswith("]"):
        return  # groups are checked with the model
    allowed = {*sizes, *coefficients, *(f"size[{s}]" for s in sizes), *(f"fixef[{c}]" for c in coefficients)}
    if name not in allowed | {"icc", "sigma"}:
        raise DataError(
            f"over= names {name!r}, which is neither a size ({', '.join(sizes)}) nor a coefficient "
            f"({', '.join(coefficients)}), nor 'icc', 'sigma' or 'sd[group]'."
        )
    if name in sizes and name in coefficients:
        raise DataError(
            f"over= names {name!r}, which is a size and a coefficient; write 'size[{name}]' or "
            f"'fixef[{name}]'."
        )


def with_setting(source: DataSource, name: str, value: float) -> DataSource:
    """The source with one thing changed."""
    kind, _, inner = name.removesuffix("]").partition("[")
    if kind == "size" and name.endswith("]"):
        return source.resized({inner: whole(name, value)})
    if kind == "fixef" and name.endswith("]"):
        return source.with_values(source.values.with_coefficient(inner, value))
    if kind == "sd" and name.endswith("]"):
        others = source.values.sd if isinstance(source.values.sd, Mapping) else {}
        return source.with_values(replace(source.values, sd={**others, inner: value}))
    if name in source.sized:
        return source.resized({name: whole(name, value)})
    if name == "icc":
        if isinstance(source.values.icc, Mapping):
            raise DataError("over= varies 'icc', and icc= is by group; give one number.")
        return source.with_values(replace(source.values, icc=value))
    if name == "sigma":
        return source.with_values(replace(source.values, sigma=value))
    return source.with_values(source.values.with_coefficient(name, value))


def whole(name: str, value: float) -> int:
    """A size is a whole number."""
    if value != round(value) or value < 1.0:
        raise DataError(f"over[{name!r}] holds {value:g}; a size is a whole number, 1 or more.")
    return round(value)


def run_cells(job: Job, settings: Sequence[Settings]) -> Made:
    """The tests in each design, or in those that were done when Ctrl-C was pressed."""
    cells: list[PowerCell] = []
    outcomes: list[Outcomes] = []
    truth: Truth | None = None
    interrupted = False
    for number, setting in enumerate(settings):
        name = f"design {number + 1} of {len(settings)}" if len(settings) > 1 else "data sets"
        found = run_design(job, setting, name)
        truth = found.model if truth is None else truth
        interrupted = found.interrupted
        if interrupted and not found.outcomes:
            break
        cells += cells_of(job, setting, found)
        outcomes += found.outcomes
        if interrupted:
            break
    if not cells:
        raise KeyboardInterrupt
    assert truth is not None
    return Made(tuple(cells), tuple(outcomes), truth, interrupted)


def run_design(job: Job, setting: Settings, name: str) -> Simulated:
    """The tests in one design."""
    source = job.source
    for key, value in setting.items():
        source = with_setting(source, key, value)
    return simulated_tests(
        source,
        job.analyses,
        job.test,
        job.root,
        job.n,
        redraw=job.redraw,
        progress=job.progress,
        name=name,
    )


def cells_of(job: Job, setting: Settings, found: Simulated) -> list[PowerCell]:
    """What was found in one design, a cell for each analysis."""
    cells = []
    for k, analysis in enumerate(job.analyses):
        planned, outcome = found.planned[k], found.outcomes[k] if found.outcomes else None
        cells.append(
            PowerCell(
                setting,
                analysis.label if len(job.analyses) > 1 else "",
                found.rows,
                found.truth,
                float("nan") if planned is None else planned.power(job.alpha),
                float("nan") if planned is None else planned.design_effect,
                None if outcome is None else figures_of(outcome, own_truth(analysis, found.truth), job.alpha),
            )
        )
    return cells


def sided(test: Test) -> str:
    """A word for a test of a coefficient, which has two sides; a variance has one."""
    return "" if is_random_effect(test) else "two-sided "


def own_truth(analysis: Analysis, truth: float) -> float:
    """What the estimates are to be; NaN where they average over groups and the truth is that within one."""
    return float("nan") if analysis.averages and truth != 0.0 else truth


def power_facts(job: Job, made: Made) -> tuple[tuple[str, str], ...]:
    """What was planned, what is true, what was tested and how often."""
    asked = job.test if isinstance(job.test, str) else ", ".join(job.test)
    varied: set[str] = set(made.cells[0].settings)
    model: list[tuple[str, str]] = [("Model", job.source.formula)]
    first = job.analyses[0]
    if first.formula != job.source.formula:
        model.append(("Fitted", first.formula))
    several = len(made.cells) > len(job.analyses)
    drawn = "none" if job.n is None else f"{job.n:,}" + (" for each design" if several else "")
    how = f"; {first.label}" if len(job.analyses) == 1 else ""
    seed: Any = job.root.entropy
    return (
        *model,
        ("True", true_words(made.truth, varied)),
        ("Test", f"{asked}, {sided(job.test)}at {100 * job.alpha:g}%{how}"),
        ("Data sets", drawn if job.n is None else f"{drawn}, seed {seed}"),
    )
