"""Ways to analyse a simulated data set, each of which tests the same statement.

An analysis is prepared on one data set, and then has the tests in any responses on the same rows. Linear
mixed models and least squares take all responses at once; other models are fitted to one after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from multilevel._typing import Array, Codes, Frame
from multilevel.design.build import build_design
from multilevel.design.design import Design, Grouping
from multilevel.design.expressions import plain_name
from multilevel.design.glmm import build_glmm_design
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.families.family import Family
from multilevel.formula.parse import parse_formula
from multilevel.formula.terms import Formula
from multilevel.inference.hypotheses import Hypotheses, read_hypotheses
from multilevel.inference.hypothesis_text import Coefficients
from multilevel.inference.many_least_squares import cluster_means, least_squares, naive_tests, robust_tests
from multilevel.inference.monte_carlo import Outcomes
from multilevel.results.base import Fit
from multilevel.results.gee import gee
from multilevel.results.glm import glm
from multilevel.results.glmm import glmm
from multilevel.results.lmm import lmm
from multilevel.results.mixed_tests import (
    LikelihoodRatios,
    MixedTests,
    Refitted,
    generalized_ratios,
    likelihood_ratios,
)
from multilevel.results.random_effect_tests import RandomEffectTests, is_random_effect, random_effect

MIXED = ("satterthwaite", "kenward-roger", "z", "lrt", "boundary")
METHODS = (*MIXED[:-1], "ols", "cluster-robust", "means", "gee")
Test = str | Sequence[str]


class Prepared(Protocol):
    """An analysis of the rows of one data set."""

    def outcomes(self, Y: Array) -> Outcomes:
        """The test in each of the responses, the columns of Y (n, B)."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """A model and a way to test."""

    formula: str
    method: str  # of METHODS
    family: Family
    label: str
    options: tuple[tuple[str, Any], ...] = ()  # of `glmm`

    @property
    def linear(self) -> bool:
        """Whether it is a linear model."""
        return self.family.density == "gaussian" and self.family.link.name == "identity"

    @property
    def quick(self) -> bool:
        """Whether many responses are analysed at once."""
        return self.method == "lrt" or (self.linear and self.method not in ("gee", "boundary"))

    def prepare(self, data: Frame, test: Test) -> tuple[Prepared, Array]:
        """Ready for responses on the rows of a data set; and the response (n,) that it has."""
        parsed = parse_formula(self.formula)
        if self.method in MIXED and parsed.bars:
            return self._random_effect(data, test) if self.method == "boundary" else self._mixed(data, test)
        fixed = fixed_formula(parsed)
        cluster = None if self.method == "ols" else clusters_of(parsed, data, self.family)
        if self.method == "gee" and cluster is not None:
            labels = cluster.codes if cluster.name.count(":") else cluster.name
            return refitted(gee(fixed, data, groups=labels, family=self.family, corr="exchangeable"), test)
        if self.linear:
            return self._least_squares(parse_formula(fixed), data, test, cluster)
        robust: dict[str, Any] = {} if cluster is None else {"vcov": "CR2", "cluster": cluster.codes}
        return refitted(glm(fixed, data, family=self.family, **robust), test)

    def coded(self, data: Frame) -> Design:
        """The design of the model on a data set."""
        return build_glmm_design(parse_formula(self.formula), data, self.family.response).main

    @property
    def averages(self) -> bool:
        """Whether its coefficients are averaged over groups whose own are others, by a link that bends."""
        mixed = self.method in MIXED and "|" in self.formula
        return not mixed and "|" in self.formula and self.family.link.name not in ("identity", "log")

    def _random_effect(self, data: Frame, test: Test) -> tuple[Prepared, Array]:
        fit = (
            lmm(self.formula, data)
            if self.linear
            else glmm(self.formula, data, family=self.family, **dict(self.options))
        )
        return RandomEffectTests(fit, random_effect(test, fit.design, data).label), fit.design.y

    def _mixed(self, data: Frame, test: Test) -> tuple[Prepared, Array]:
        if not self.linear:
            found = glmm(self.formula, data, family=self.family, **dict(self.options))
            if self.method == "lrt":
                return generalized_ratios(found, statement(test, found.design)), found.design.y
            return refitted(found, test)
        fit = lmm(self.formula, data, reml=self.method != "lrt")
        asked = statement(test, fit.design)
        y = fit.design.y
        if self.method == "lrt":
            ratios: LikelihoodRatios = likelihood_ratios(fit.design, asked)
            return ratios, y
        return MixedTests(fit, asked, self.method), y

    def _least_squares(
        self, formula: Formula, data: Frame, test: Test, cluster: Grouping | None
    ) -> tuple[Prepared, Array]:
        design = build_design(formula, data)
        asked = statement(test, design)
        if len(asked.L) > 1:
            raise DataError(
                f"method={self.method!r} tests one statement, and test= says {len(asked.L)}; name one "
                "coefficient, or use a mixed model."
            )
        return LeastSquaresTests(
            design.X, asked, None if cluster is None else cluster.codes, self.method
        ), design.y


@dataclass(frozen=True, slots=True)
class LeastSquaresTests:
    """Least squares: naive, robust to clusters, or of the means of clusters."""

    X: Array  # (n, p)
    asked: Hypotheses
    codes: Codes | None  # (n,)
    method: str

    def outcomes(self, Y: Array) -> Outcomes:
        """Tests in the columns of Y (n, B)."""
        if self.codes is None:
            return naive_tests(self._fit(self.X), Y)
        if self.method == "means":
            X = cluster_means(self.codes, self.X)
            if np.linalg.matrix_rank(X) < X.shape[1] or len(X) <= X.shape[1]:
                raise ModelError(
                    "means of clusters cannot tell these coefficients apart: some predictor does not vary "
                    "between clusters, or there are too few clusters."
                )
            return naive_tests(self._fit(X), cluster_means(self.codes, Y))
        return robust_tests(self._fit(self.X), self.codes, Y)

    def _fit(self, X: Array) -> Any:
        return least_squares(X, self.asked.L[0], float(self.asked.rhs[0]))


def refitted(fit: Fit[Any], test: Test) -> tuple[Prepared, Array]:
    """A fit whose refits are tested one after another."""
    return Refitted(fit, statement(test, fit.design)), fit.design.y


def checked_test(test: object) -> Test:
    """What is tested, as text."""
    if isinstance(test, str) and test.strip():
        return test
    if isinstance(test, Sequence) and test and all(isinstance(each, str) for each in test):
        return [str(each) for each in test]
    raise DataTypeError(
        "test= names what is tested: a coefficient, a factor, hypotheses such as 'a = b', or a list of them; "
        f"got {test!r:.40}."
    )


def statement(test: Test, design: Design) -> Hypotheses:
    """L beta = rhs: a coefficient, all coefficients of a factor, or hypotheses as text."""
    names = design.coef_names
    if isinstance(test, str) and test not in names:
        of_factor = [name for name in names if name.startswith(f"{test}[") and ":" not in name]
        if of_factor:
            return read_hypotheses(of_factor, None, Coefficients(names, design.dropped.columns))
    return read_hypotheses(test, None, Coefficients(names, design.dropped.columns))


def fixed_formula(formula: Formula) -> str:
    """The formula without its random effects."""
    offsets = [f"offset({plain_name(text)})" for text in formula.offsets]
    return f"{formula.response.text} ~ {' + '.join([plain_name(formula.fixed), *offsets])}"


def clusters_of(formula: Formula, data: Frame, family: Family) -> Grouping:
    """The grouping factor with the fewest levels: clusters that are independent, where factors are nested."""
    design = build_glmm_design(formula, data, family.response)
    return min(design.main.groupings, key=lambda grouping: grouping.n_levels)


def default_method(formula: str, family: Family, test: Test) -> str:
    """How a model is tested if nothing is said."""
    if is_random_effect(test):
        return "lrt"
    if not parse_formula(formula).bars:
        return "ols"
    linear = family.density == "gaussian" and family.link.name == "identity"
    return "satterthwaite" if linear else "z"


def refuse_method(method: str, formula: str, family: Family, test: Test) -> None:
    """A way to test that the model does not have."""
    bars = parse_formula(formula).bars
    linear = family.density == "gaussian" and family.link.name == "identity"
    if method != "ols" and not bars:
        raise DataError(
            f"method={method!r} needs to know the clusters, and '{formula}' has no random effects; add "
            "(1 | group), or use method='ols'."
        )
    if is_random_effect(test):
        if method != "lrt":
            raise DataError(
                f"a random effect is tested by its likelihood ratio; leave method={method!r} out."
            )
        return
    if not linear and method in ("satterthwaite", "kenward-roger", "means"):
        raise DataError(
            f"method={method!r} is for linear mixed models; a {family.name} response is tested by 'z', "
            "'lrt', 'gee', 'cluster-robust' or 'ols' (naive)."
        )
    if family.response == "ordered" and method == "gee":
        raise DataError("method='gee' has no ordinal responses; use 'z' or 'cluster-robust'.")


def method_label(method: str, linear: bool, cluster: str) -> str:
    """A way to test in words."""
    if method in MIXED:
        ways = {
            "satterthwaite": "Satterthwaite's t",
            "kenward-roger": "Kenward-Roger's t",
            "z": "normal (z)",
            "lrt": "likelihood ratio",
            "boundary": "likelihood ratio at the boundary",
        }
        return f"mixed model, {ways[method]}"
    plain = "least squares" if linear else "regression"
    return {
        "ols": f"{plain}, rows as if independent",
        "cluster-robust": f"{plain}, CR2 by {cluster}",
        "means": f"least squares of the means by {cluster}",
        "gee": f"GEE, exchangeable by {cluster}, corrected",
    }[method]
