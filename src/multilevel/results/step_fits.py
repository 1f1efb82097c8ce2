"""Models of one table, all fitted to the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from multilevel._typing import Frame
from multilevel.clusters.ladder import StepTest
from multilevel.design.build import build_design
from multilevel.design.checks import refuse_saturated_terms
from multilevel.design.design import Design
from multilevel.estimation.lmm import minimise, working_model
from multilevel.estimation.ols import fit_ols
from multilevel.fitted.assemble import assemble_lmm
from multilevel.fitted.ols import assemble_ols
from multilevel.formula.parse import parse_formula
from multilevel.inference.variance_choice import choose_variance
from multilevel.results.base import Call
from multilevel.results.compare import compare
from multilevel.results.lmm import LMMFit, lmm
from multilevel.results.ols import OLSFit, ols


@dataclass(frozen=True, slots=True)
class TwoFits:
    """One model as it was asked for, and by maximum likelihood, which tests and criteria need."""

    asked: LMMFit | OLSFit
    ml: LMMFit | OLSFit


@dataclass(frozen=True, slots=True)
class Fitter:
    """Fits models to the rows in which all of `columns` are complete."""

    data: Frame
    reml: bool
    options: Mapping[str, Any]  # weights, freq_weights, offset, contrasts, missing
    columns: tuple[str, ...]

    def design(self, formula: str) -> Design:
        """The design of one formula."""
        return build_design(parse_formula(formula), self.data, **self.options, extra_columns=self.columns)

    def mixed(self, design: Design) -> TwoFits:
        """A mixed model both ways; the rows are read once."""
        refuse_saturated_terms(design)
        model = working_model(design)

        def fit(reml: bool) -> LMMFit:
            call = Call(lmm, self.data, {"reml": reml, "residual": None, **self.options})
            return LMMFit(design, assemble_lmm(design, model, minimise(model, reml=reml), reml=reml), call)

        by_ml = fit(reml=False)
        return TwoFits(fit(reml=True) if self.reml else by_ml, by_ml)

    def linear(self, design: Design) -> TwoFits:
        """Least squares, which knows no groups."""
        call = Call(ols, self.data, {"vcov": None, "cluster": None, **self.options})
        record = assemble_ols(design, fit_ols(design))
        fit = OLSFit(design, record, call, choose_variance(None, ()))
        return TwoFits(fit, fit)


def step_test(name: str, small: TwoFits, large: TwoFits) -> StepTest:
    """The likelihood-ratio test of a larger model against the one called `name`."""
    tests = compare(small.ml, large.ml).tests
    values = (tests.chisq[1], tests.df[1], tests.p_value[1], tests.p_boundary[1])
    return StepTest(name, *map(float, values), variances=count_effects(large) > count_effects(small))


def count_effects(fits: TwoFits) -> int:
    """Random effects a level has, over all terms."""
    return sum(term.n_columns for term in fits.asked.design.terms)
