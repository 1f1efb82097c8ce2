"""All that a decomposition of effects says, in numbers: slopes, their tests, and other estimates of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.effects import Hausman, Reliability
from multilevel.clusters.predictors import Predictors
from multilevel.inference.anova import HypothesisTests, joint_test, tests_of_hypotheses
from multilevel.inference.coefficients import CoefficientInference, FTest
from multilevel.inference.hypotheses import Hypotheses

ALL = "(all)"  # a test of all predictors at once
EFFECTS = ("total", "within", "between", "contextual")
NUMBERS = ("null", "estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high")
Label = tuple[str, str]  # a predictor and an effect of it


@dataclass(frozen=True, slots=True)
class Estimated:
    """Slopes with tests against zero; R rows."""

    labels: tuple[Label, ...]  # (R,)
    tests: HypothesisTests

    def row(self, term: str, effect: str) -> Slope | None:
        """One of them, if it is there."""
        if (term, effect) not in self.labels:
            return None
        k = self.labels.index((term, effect))
        numbers = self.tests
        return Slope(
            float(numbers.estimate[k]),
            float(numbers.conf_low[k]),
            float(numbers.conf_high[k]),
            float(numbers.p_value[k]),
        )


@dataclass(frozen=True, slots=True)
class Slope:
    """An estimate as a sentence needs it."""

    estimate: float
    low: float
    high: float
    p_value: float

    @property
    def clear(self) -> bool:
        """Whether the limits leave zero out."""
        return self.low > 0.0 or self.high < 0.0


@dataclass(frozen=True, slots=True)
class OtherEstimates:
    """The same slopes by other estimators; R rows."""

    labels: tuple[Label, ...]  # (R,)
    estimator: tuple[str, ...]  # (R,)
    tests: HypothesisTests


@dataclass(frozen=True, slots=True)
class EffectNumbers:
    """What was found of the effects of k predictors, of which some vary within and between groups."""

    found: Predictors
    slopes: Estimated
    others: OtherEstimates
    mundlak: tuple[tuple[str, FTest], ...]  # for each predictor, and for all at once where there are several
    hausman: Hausman
    reliability: Reliability
    level: float
    methods: tuple[str, str]  # what standard errors are by: of total slopes, and of the others


def mixed_rows(found: Predictors, names: Sequence[str], p: int) -> tuple[list[Label], Array]:
    """Slopes as linear functions (R, p) of the coefficients of the model with both parts of each column.

    `names` (p,) are its coefficients; those of a column with two parts are "x_within" and "x_between".
    """
    labels: list[Label] = []
    rows: list[Array] = []
    unit = np.eye(p)
    for j, name in enumerate(found.names):
        if found.both[j]:
            within, between = (unit[names.index(f"{name}_{part}")] for part in ("within", "between"))
            labels += [(name, effect) for effect in EFFECTS[1:]]
            rows += [within, between, between - within]
        else:
            labels.append((name, "within" if found.within[j] else "between"))
            rows.append(unit[names.index(name)])
    return labels, np.array(rows)


def named_rows(names: Sequence[str], wanted: Sequence[str]) -> Array:
    """Some coefficients as linear functions (k, p) of all."""
    return np.eye(len(names))[[list(names).index(name) for name in wanted]]


def tested(labels: Sequence[Label], L: Array, inference: CoefficientInference, level: float) -> Estimated:
    """Estimates, tests against zero, and limits of linear functions of coefficients."""
    terms = tuple(term for term, _ in labels)
    tests = tests_of_hypotheses(Hypotheses(terms, L, np.zeros(len(L))), inference, level)
    return Estimated(tuple(labels), tests)


def together(parts: Sequence[HypothesisTests]) -> HypothesisTests:
    """The rows of several tables, one after the other."""
    return HypothesisTests(
        term=tuple(term for part in parts for term in part.term),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in NUMBERS},
    )


def in_order(parts: Sequence[Estimated], names: Sequence[str]) -> Estimated:
    """Several tables as one: by predictor, and within each by effect."""
    labels = [label for part in parts for label in part.labels]
    order = sorted(range(len(labels)), key=lambda k: rank(labels[k], names))
    rows = together([part.tests for part in parts])
    tests = HypothesisTests(
        term=tuple(rows.term[k] for k in order),
        **{name: getattr(rows, name)[order] for name in NUMBERS},
    )
    return Estimated(tuple(labels[k] for k in order), tests)


def rank(label: Label, names: Sequence[str]) -> tuple[int, int]:
    """Where a row stands."""
    term, effect = label
    return list(names).index(term), EFFECTS.index(effect)


def mundlak_tests(
    labels: Sequence[Label], L: Array, inference: CoefficientInference
) -> tuple[tuple[str, FTest], ...]:
    """Are the slopes within and between groups one? For each predictor, and for all at once."""
    rows = [(term, row) for (term, effect), row in zip(labels, L, strict=True) if effect == "contextual"]
    tests = [(term, joint_test(f"the test of {term}", row[None, :], 1, inference)) for term, row in rows]
    if len(rows) > 1:
        every = np.array([row for _, row in rows])
        tests.append((ALL, joint_test("Mundlak's test", every, len(rows), inference)))
    return tuple(tests)
