"""Tests in data sets that are drawn from a plan: the same rows with new responses, or all of it anew."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._options import checked_count, checked_switch
from multilevel._typing import Array, Frame
from multilevel.errors import DataError, ModelError, MultilevelError, MultilevelWarning
from multilevel.inference.monte_carlo import Outcomes, joined_outcomes
from multilevel.inference.planned_generalized import linearised
from multilevel.inference.planned_power import PlannedTest, planned_test
from multilevel.inference.replication import Streams, replicated
from multilevel.results.analyses import Analysis, Prepared, Test, statement
from multilevel.results.data_source import DataSource
from multilevel.results.mixed_tests import MixedTests, Refitted, no_outcome
from multilevel.results.random_effect_tests import (
    RandomEffectTests,
    effect_is_zero,
    is_random_effect,
    random_effect,
)
from multilevel.simulation.study import Study
from multilevel.simulation.truth import Truth, true_responses

BLOCK_BYTES = 32e6  # of responses at once
LARGEST_BLOCK = 256  # data sets between two looks at the keyboard
WITH_FORMULA = ("satterthwaite", "kenward-roger", "z")  # tests whose power is a noncentral t or F, nearly
OWN = (MixedTests, Refitted, RandomEffectTests)  # analyses that have the test of the first response already
MOST_FIRST = 20  # draws of a first data set, of which one can be analysed
FEW = 4  # the same where each takes a fit of its own


@dataclass(frozen=True, slots=True)
class Simulated:
    """Outcomes of each analysis in the data sets that were drawn, and what is true."""

    outcomes: tuple[Outcomes, ...]  # one for each analysis; none were drawn if empty
    model: Truth
    truth: float  # of what is tested; NaN where it is several statements
    null: bool  # whether the statement is true
    rows: int
    planned: tuple[PlannedTest | None, ...]  # for each analysis, what a formula says
    interrupted: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """A first data set, which shows what is true and whether the analyses can be made."""

    study: Study
    truth: Truth
    value: float
    null: bool
    prepared: tuple[Prepared, ...]
    planned: tuple[PlannedTest | None, ...]
    same_rows: bool  # whether the analyses use the rows that have responses


def simulated_tests(
    source: DataSource,
    analyses: Sequence[Analysis],
    test: Test,
    root: np.random.SeedSequence,
    n: int | None,
    *,
    redraw: bool | None,
    progress: bool | None,
    name: str,
) -> Simulated:
    """Draw n data sets (none if None) and analyse each in all ways; Ctrl-C keeps those that are done."""
    seeds = np.random.SeedSequence(root.entropy, spawn_key=root.spawn_key)  # designs share their streams
    first, *rest = seeds.spawn(1 + (0 if n is None else checked_count("n", n)))
    ready = make_ready(source, analyses, test, np.random.default_rng(first))
    anew = source.random if redraw is None else checked_switch("redraw", redraw)
    if not anew and source.loses:
        raise DataError(
            "redraw=False keeps the rows, and the plan loses some in each data set; leave it out."
        )
    if not anew and not ready.same_rows:
        raise DataError(
            "an analysis takes predictors with missing values, and so other rows than those that have "
            "responses; fill these predictors, or leave the rows out of the design."
        )
    streams = [np.random.default_rng(child) for child in rest]
    if anew:
        blocks, interrupted = replicated(
            lambda block: redrawn(source, analyses, test, block), streams, FEW, progress, name
        )
    else:
        size = block_size(ready, analyses)
        blocks, interrupted = replicated(lambda block: kept_rows(ready, block), streams, size, progress, name)
    return Simulated(
        tuple(joined_outcomes(parts) for parts in zip(*blocks, strict=True)),
        ready.truth,
        ready.value,
        ready.null,
        ready.study.design.main.n_rows,
        ready.planned,
        interrupted,
    )


def make_ready(
    source: DataSource, analyses: Sequence[Analysis], test: Test, rng: np.random.Generator
) -> Ready:
    """Prepare every analysis on a data set that counts for nothing else, so that mistakes show at once."""
    for attempt in range(MOST_FIRST):
        try:
            return ready_at(source, analyses, test, rng)
        except ModelError:  # a draw in which a predictor does not vary, or separates the responses
            if attempt == MOST_FIRST - 1 or not (source.random or source.family.response == "trials"):
                raise
    raise AssertionError


def ready_at(source: DataSource, analyses: Sequence[Analysis], test: Test, rng: np.random.Generator) -> Ready:
    """The same, from one draw."""
    study, truth, _ = source.study(rng, plain=True)
    y = true_responses(study.design, truth, [rng])[:, 0]
    data = study.with_response(y)
    if is_random_effect(test):
        effect = random_effect(test, study.design.main, data)
        value = np.array([0.0 if effect_is_zero(effect, truth) else np.nan])
    else:
        value = true_value(analyses[0], data, test, truth)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultilevelWarning)
        made = [analysis.prepare(data, test) for analysis in analyses]
    planned = tuple(plan_test(analysis, source, study, truth, test) for analysis in analyses)
    single = float(value[0]) if len(value) == 1 else float("nan")
    same_rows = all(len(own) == len(y) for _, own in made)
    null = bool(np.allclose(value, 0.0))
    return Ready(study, truth, single, null, tuple(each for each, _ in made), planned, same_rows)


def true_value(analysis: Analysis, data: Frame, test: Test, truth: Truth) -> Array:
    """L beta - rhs (k,) in the coefficients of an analysis; those that do not make the data are zero."""
    main = analysis.coded(data)
    asked = statement(test, main)
    known = dict(zip(truth.coef_names, truth.beta, strict=True))
    return np.asarray(asked.L @ np.array([known.get(name, 0.0) for name in main.coef_names]) - asked.rhs)


def plan_test(
    analysis: Analysis, source: DataSource, study: Study, truth: Truth, test: Test
) -> PlannedTest | None:
    """What a formula says of the power, if there is one."""
    if not has_formula(analysis, source):
        return None
    asked = statement(test, study.design.main)
    if analysis.linear:
        return planned_test(study.design.main, truth, asked, normal=analysis.method == "z")
    alike = linearised(study.design, truth)
    return None if alike is None else planned_test(*alike, asked, normal=True)


def has_formula(analysis: Analysis, source: DataSource) -> bool:
    """Whether the analysis is the model that makes the data, by a test whose distribution is known."""
    if analysis.formula != source.formula:
        return False
    return analysis.method in (WITH_FORMULA if "|" in analysis.formula else ("ols",))


def block_size(ready: Ready, analyses: Sequence[Analysis]) -> int:
    """Data sets at once: by memory, or few where each takes a fit of its own."""
    if not all(analysis.quick for analysis in analyses):
        return FEW
    return int(np.clip(BLOCK_BYTES / (8 * ready.study.design.main.n_rows), 1, LARGEST_BLOCK))


def kept_rows(ready: Ready, streams: Streams) -> list[Outcomes]:
    """Tests in new responses on the same rows."""
    Y = true_responses(ready.study.design, ready.truth, streams)
    return [prepared.outcomes(Y) for prepared in ready.prepared]


def redrawn(source: DataSource, analyses: Sequence[Analysis], test: Test, streams: Streams) -> list[Outcomes]:
    """Tests in data sets of which predictors, sizes or losses are new."""
    found: list[list[Outcomes]] = [[] for _ in analyses]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultilevelWarning)  # what they say is counted
        for rng in streams:
            try:
                data = source.data_set(rng, plain=True)
            except ModelError:  # a draw in which coefficients cannot be told apart
                for each in found:
                    each.append(no_outcome(1))
                continue
            for each, analysis in zip(found, analyses, strict=True):
                each.append(own_test(analysis, data, test))
    return [joined_outcomes(each) for each in found]


def own_test(analysis: Analysis, data: object, test: Test) -> Outcomes:
    """The test in one data set; nothing where it cannot be analysed."""
    try:
        prepared, y = analysis.prepare(data, test)
        return prepared.own() if isinstance(prepared, OWN) else prepared.outcomes(column(y))
    except MultilevelError:
        return no_outcome(1)


def column(y: Array) -> Array:
    """A response (n,) as a column (n, 1)."""
    return np.asfortranarray(y[:, None])
