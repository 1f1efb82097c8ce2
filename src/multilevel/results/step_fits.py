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
from multilevel.design.model_terms import columns_of_sides, formula_sides
from multilevel.estimation.lmm import minimise, working_model
from multilevel.estimation.ols import fit_ols
from multilevel.fitted.assemble import assemble_lmm
from multilevel.fitted.ols import assemble_ols
from multilevel.formula.parse import parse_formula
from multilevel.formula.terms import Formula
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
    available: tuple[str, ...]  # columns of the data

    def design(self, formula: str) -> Design:
        """The design of one formula."""
        parsed = parse_formula(formula)
        return build_design(parsed, self.data, **self.options_for(parsed), extra_columns=self.columns)

    def options_for(self, formula: Formula) -> dict[str, Any]:
        """The options, with contrasts of the predictors of this formula alone."""
        used = columns_of_sides(formula_sides(formula), self.available)
        given: Mapping[str, Any] = self.options["contrasts"] or {}
        kept = {name: coding for name, coding in given.items() if name in used}
        return {**self.options, "contrasts": kept or None}

    def mixed(self, design: Design) -> TwoFits:
        """A mixed model both ways; the rows are read once."""
        refuse_saturated_terms(design)
        model, options = working_model(design), self.options_for(design.formula)

        def fit(reml: bool) -> LMMFit:
            call = Call(lmm, self.data, {"reml": reml, "residual": None, **options})
            return LMMFit(design, assemble_lmm(design, model, minimise(model, reml=reml), reml=reml), call)

        by_ml = fit(reml=False)
        return TwoFits(fit(reml=True) if self.reml else by_ml, by_ml)

    def linear(self, design: Design) -> TwoFits:
        """Least squares, which knows no groups."""
        options = self.options_for(design.formula)
        call = Call(ols, self.data, {"vcov": None, "cluster": None, **options})
        record = assemble_ols(design, fit_ols(design))
        fit = OLSFit(design, record, call, choose_variance(None, ()))
        return TwoFits(fit, fit)


def step_test(name: str, small: TwoFits, large: TwoFits) -> StepTest:
    """The likelihood-ratio test of a larger model against the one called `name`."""
    tests = compare(small.ml, large.ml).tests
    return StepTest(
        against=name,
        chisq=float(tests.chisq[1]),
        df=float(tests.df[1]),
        p_value=float(tests.p_value[1]),
        p_boundary=float(tests.p_boundary[1]),
        variances=count_effects(large) > count_effects(small),
    )


def count_effects(fits: TwoFits) -> int:
    """Random effects a level has, over all terms."""
    return sum(term.n_columns for term in fits.asked.design.terms)
