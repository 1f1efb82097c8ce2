"""Which models does a ladder hold, and which of them can these data carry?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.ladder import (
    LEAST_GROUPS,
    MOST_SLOPES,
    Slope,
    StepNumbers,
    StepTest,
    carries,
    carries_together,
    slopes_vary,
)
from multilevel.clusters.r_squared import OBSERVATION, RAUDENBUSH_BRYK, RESIDUAL, ExplainedVariance
from multilevel.design.design import Design
from multilevel.design.step_formulas import StepFormulas
from multilevel.errors import ModelError
from multilevel.report.ladder_words import constant_notes, not_carried_note, refused_note, too_many_note
from multilevel.results.explained import explained_by
from multilevel.results.lmm import LMMFit
from multilevel.results.step_fits import Fitter, TwoFits, step_test

NO_GROUPS, EMPTY, INTERCEPT, SLOPES = "no groups", "empty", "intercept", "slopes"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A step that lets the effect of one predictor differ between groups."""

    name: str  # "slope Days"; "effects f" of a factor
    expression: str
    bars: tuple[str, ...]
    n_columns: int  # random effects a group, the intercept among them
    design: Design

    @property
    def is_cells(self) -> bool:
        """Whether effects of a factor differ, as intercepts of combinations of group and level."""
        return len(self.bars) > 1


@dataclass(slots=True)
class Climb:
    """The fitted steps of a ladder, in order, and what was left out."""

    fits: dict[str, TwoFits] = field(default_factory=dict)
    bars: dict[str, tuple[str, ...]] = field(default_factory=dict)
    tests: dict[str, StepTest] = field(default_factory=dict)
    slopes: dict[str, Candidate] = field(default_factory=dict)
    constant: list[str] = field(default_factory=list)  # predictors that do not vary within groups
    notes: list[str] = field(default_factory=list)

    @property
    def full(self) -> str:
        """The step with all predictors and a random intercept."""
        return INTERCEPT if INTERCEPT in self.fits else EMPTY

    def mixed(self, name: str) -> LMMFit:
        """The mixed model of a step, as it was asked for."""
        fit = self.fits[name].asked
        assert isinstance(fit, LMMFit)
        return fit

    def add(self, name: str, fits: TwoFits, bars: tuple[str, ...], base: str | None) -> None:
        """Put a fitted step on the ladder, tested against one below."""
        test = StepTest(None) if base is None else step_test(base, self.fits[base], fits)
        self.fits[name], self.bars[name], self.tests[name] = fits, bars, test


def climb(formulas: StepFormulas, fitter: Fitter) -> Climb:
    """Fit the mean alone, the empty model, the predictors, each random slope, and all of these together."""
    found = Climb()
    found.add(NO_GROUPS, fitter.linear(fitter.design(formulas.without_groups())), (), None)
    bar = formulas.bar()
    found.add(EMPTY, fitter.mixed(fitter.design(formulas.with_fixed("1", bar))), (bar,), NO_GROUPS)
    if formulas.has_predictors or not formulas.has_intercept:
        found.add(INTERCEPT, fitter.mixed(fitter.design(formulas.with_bars(bar))), (bar,), EMPTY)
        add_slopes(found, formulas, fitter)
        add_all_slopes(found, formulas, fitter)
        found.notes[:0] = constant_notes(found.constant, formulas.groups)
    return found


# ---- random slopes ----


def add_slopes(found: Climb, formulas: StepFormulas, fitter: Fitter) -> None:
    """One slope at a time, each beside the random intercept alone."""
    taken: set[str] = set()
    for expression in formulas.main_effects:
        columns = formulas.columns_of(expression) - set(formulas.group_columns)
        if not columns:
            found.constant.append(formulas.written(expression))
            continue
        if columns & taken:  # x^2 where x has a slope
            continue
        if len(found.slopes) == MOST_SLOPES:
            found.notes.append(too_many_note(formulas.written(expression), MOST_SLOPES))
            return
        candidate = candidate_for(found, formulas, fitter, expression)
        if candidate is None:
            continue
        taken |= columns
        if try_to_add(found, fitter, candidate.name, candidate.bars, candidate.design, found.full):
            found.slopes[candidate.name] = candidate


def candidate_for(found: Climb, formulas: StepFormulas, fitter: Fitter, expression: str) -> Candidate | None:
    """The random slope of one predictor; None, with a note, where there can be none."""
    intercept = found.fits[INTERCEPT].asked.design
    coding = intercept.encoder.sides.codings.get(expression)
    is_cells = coding is not None and len(coding.levels) > 2
    name = f"{'effects' if is_cells else 'slope'} {formulas.written(expression)}"
    bars = (formulas.bar(), formulas.cells(expression)) if is_cells else (formulas.bar([expression]),)
    n_groups = intercept.groupings[0].n_levels
    if n_groups < LEAST_GROUPS:
        found.notes.append(not_carried_note(name, f"{n_groups} groups are too few"))
        return None
    design = fitter.design(formulas.with_bars(*bars))
    codes = design.groupings[0].codes
    varies = design.groupings[1].n_levels > n_groups if is_cells else slopes_vary(design.terms[0].Z, codes)
    if not varies:
        found.constant.append(formulas.written(expression))
        return None
    n_levels, n_columns = design.groupings[-1].n_levels, design.terms[0].n_columns
    if not carries(n_levels, n_columns, design.n_obs):
        found.notes.append(
            not_carried_note(
                name, f"it has {n_levels * n_columns} random effects for {design.n_obs:.0f} observations"
            )
        )
        return None
    return Candidate(name, expression, bars, n_columns, design)


def try_to_add(
    found: Climb, fitter: Fitter, name: str, bars: tuple[str, ...], design: Design, base: str
) -> bool:
    """Fit a step; where the data refuse, say why instead."""
    try:
        fits = fitter.mixed(design)
    except ModelError as error:
        found.notes.append(refused_note(name, str(error)))
        return False
    found.add(name, fits, bars, base)
    return True


def add_all_slopes(found: Climb, formulas: StepFormulas, fitter: Fitter) -> None:
    """All slopes in one model, tested against the best with one."""
    if len(found.slopes) < 2:
        return
    candidates = list(found.slopes.values())
    expressions = [each.expression for each in candidates if not each.is_cells]
    bars = (
        formulas.bar(expressions),
        *(formulas.cells(each.expression) for each in candidates if each.is_cells),
    )
    first = candidates[0].design
    n_groups = found.fits[INTERCEPT].asked.design.groupings[0].n_levels
    n_columns = 1 + sum(each.n_columns - 1 for each in candidates)
    if not carries_together(n_groups, n_columns, first.n_obs):
        found.notes.append(
            not_carried_note(
                SLOPES,
                f"{n_groups} groups and {first.n_obs:.0f} observations are few for {n_columns} columns",
            )
        )
        return
    best = max(found.slopes, key=lambda name: found.fits[name].ml.loglik)
    try_to_add(found, fitter, SLOPES, bars, fitter.design(formulas.with_bars(*bars)), best)


# ---- what the steps say ----


def step_numbers(found: Climb, name: str) -> StepNumbers:
    """One step in numbers."""
    fits = found.fits[name]
    fit, ml = fits.asked, fits.ml
    plain = StepNumbers(
        name=name,
        formula=fit.formula,
        npar=ml.df_model,
        loglik=ml.loglik,
        aic=ml.aic,
        bic=ml.bic,
        test=found.tests[name],
        var_residual=fit.sigma**2,
        converged=fit.converged and ml.converged,
    )
    return with_groups(found, plain, fit) if isinstance(fit, LMMFit) else plain


def with_groups(found: Climb, step: StepNumbers, fit: LMMFit) -> StepNumbers:
    """What a mixed model has besides."""
    measures = explained_by(fit, found.mixed(EMPTY))
    group = (RAUDENBUSH_BRYK, fit.design.groupings[0].name)
    groups, cells = by_label(measures, measures.unexplained)[group], variance_of_cells(fit)
    return replace(
        step,
        criterion=fit.criterion,
        var_groups=groups,
        var_cells=cells,
        icc=groups / (groups + float(np.nan_to_num(cells)) + step.var_residual),
        explained=shares(by_label(measures, measures.estimate), group),
        slope=slope_of(found, step.name),
        spreads=spreads(fit),
        singular=fit.singular,
    )


def variance_of_cells(fit: LMMFit) -> float:
    """Variance of the effects of combinations of groups with factors, summed; NaN without."""
    cells = [float(term.covariance[0, 0]) for term in fit.record.terms[1:]]
    return sum(cells) if cells else np.nan


def by_label(measures: ExplainedVariance, values: Array) -> dict[tuple[str, str], float]:
    """Values (1, R) of measures by what they are and of what."""
    return {
        (label.measure, label.group): float(value)
        for label, value in zip(measures.labels, values[0], strict=True)
    }


def shares(values: Mapping[tuple[str, str], float], group: tuple[str, str]) -> dict[str, float]:
    """R2, and by how much the variances of groups and residual are below those of the empty model."""
    return {
        "r2_marginal": values["marginal", OBSERVATION],
        "r2_conditional": values["conditional", OBSERVATION],
        "reduction_groups": values[group],
        "reduction_residual": values[RAUDENBUSH_BRYK, RESIDUAL],
    }


def slope_of(found: Climb, name: str) -> Slope | None:
    """The one coefficient that a step lets differ between groups, if it is one."""
    candidate = found.slopes.get(name)
    if candidate is None or candidate.is_cells or candidate.n_columns != 2:
        return None
    before, after = found.mixed(found.full), found.mixed(name)
    column = after.design.terms[0].names[1]
    if column not in after.coef_names:
        return None
    k = after.coef_names.index(column)
    sd = float(after.record.terms[0].sd[1])
    moderated = any(column in name.split(":") for name in after.coef_names if name != column)
    return Slope(column, float(after.fixef[k]), sd, model_se(before, k), model_se(after, k), moderated)


def spreads(fit: LMMFit) -> tuple[tuple[str, float], ...]:
    """Standard deviation of each random effect but the groups' intercept, by column or by combination."""
    first, *cells = fit.record.terms
    slopes = zip(first.names[1:], first.sd[1:].tolist(), strict=True)
    return (*slopes, *((term.group, float(term.sd[0])) for term in cells))


def model_se(fit: LMMFit, k: int) -> float:
    """Model-based standard error of coefficient k."""
    return float(np.sqrt(fit.record.vcov[k, k]))
