"""What a ladder of models says, in sentences whose numbers are those of its tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.clusters.ladder import Slope, StepNumbers, StepTest, lowest
from multilevel.inference.wald import critical_value
from multilevel.report.numbers import format_p
from multilevel.report.wording import figure

CAUTION = (
    "The steps were fitted and tested one after the other on the same data: no p-value is corrected for the"
    " number of tests, and those of a model that was chosen this way come out too small. If the design has"
    " an effect vary between groups, and the question is about that effect, its random slope belongs in the"
    " model whatever its test says (Barr et al. 2013)."
)
TIE = 2.0  # difference of a criterion below which two models hardly differ


# ---- steps that are not there ----


def constant_notes(expressions: Sequence[str], groups: str) -> list[str]:
    """Predictors of groups have no slopes within them."""
    if not expressions:
        return []
    return [f"No random slope of {', '.join(expressions)}: constant within each {groups}."]


def not_carried_note(name: str, why: str) -> str:
    """A step that these data cannot carry."""
    return f"No step '{name}': {why}."


def refused_note(name: str, error: str) -> str:
    """A step whose fit was refused."""
    return f"No step '{name}': {error}"


def too_many_note(expression: str, most: int) -> str:
    """Predictors whose slopes were left out."""
    return f"Slopes from {expression} on were not tried: {most} steps with one slope are the most."


# ---- what each step says ----


def reading(steps: Sequence[StepNumbers], response: str, groups: str) -> list[str]:
    """A sentence or two for each step, and where to stop."""
    by_name = {step.name: step for step in steps}
    _, empty, *others = steps
    notes = [f"{empty.name}: {empty_words(empty, response, groups)}"]
    for step in others:
        base = by_name[str(step.test.against)]
        words = predictor_words(empty, step, groups) if base is empty else slope_words(step, groups)
        notes.append(f"{step.name}: {words}{state_words(step)}")
    return [*notes, *stop_words(steps)]


def empty_words(step: StepNumbers, response: str, groups: str) -> str:
    """The intraclass correlation."""
    if step.var_groups == 0.0:
        return (
            f"no variance of {response} is found between levels of {groups} (ICC 0): they differ no more than"
            " rows drawn at random would have them differ."
        )
    return (
        f"{percent(step.icc)} of the variance of {response} lies between levels of {groups}: two"
        f" observations of one level correlate {step.icc:.3f}. {test_words(step.test)}"
    )


def predictor_words(empty: StepNumbers, step: StepNumbers, groups: str) -> str:
    """What the fixed part takes of either variance."""
    within = change(step.explained["reduction_residual"], empty.var_residual, step.var_residual)
    between = change(step.explained["reduction_groups"], empty.var_groups, step.var_groups)
    grown = (
        " That the variance between groups grows is no flaw: a predictor that varies within groups lowers the"
        " residual variance, and with it the part of the spread of group means that is put down to chance."
        if step.explained["reduction_groups"] < 0.0 < step.explained["reduction_residual"]
        else ""
    )
    return (
        f"the predictors account for {percent(step.explained['r2_marginal'])} of the variance of an"
        f" observation (marginal R2). The variance within levels of {groups} {within}, that between them"
        f" {between}.{grown} {test_words(step.test)}"
    )


def slope_words(step: StepNumbers, groups: str) -> str:
    """How much effects differ between groups, and what that does to the standard error."""
    test = test_words(step.test)
    if step.slope is None:
        sds = ", ".join(f"{name} {figure(sd)}" for name, sd in step.spreads)
        return f"standard deviations of effects between levels of {groups}: {sds}. {test}"
    return f"{one_slope(step.slope, groups)} {test}"


def one_slope(slope: Slope, groups: str) -> str:
    """The spread of one slope."""
    if slope.sd == 0.0:
        return f"no variance is found between the slopes of {slope.name}."
    if slope.moderated:
        return (
            f"the slope of {slope.name} differs between levels of {groups} with a standard deviation of"
            f" {figure(slope.sd)} about what the fixed part, with its interactions, gives it"
            f" ({figure(slope.estimate)} where these are zero). {error_words(slope)}"
        )
    half = float(critical_value(0.95, None)) * slope.sd
    low, high = slope.estimate - half, slope.estimate + half
    return (
        f"the slope of {slope.name}, {figure(slope.estimate)} on average, differs between levels of {groups}"
        f" with a standard deviation of {figure(slope.sd)}: if such slopes are normal, 95% lie between"
        f" {figure(low)} and {figure(high)}. {error_words(slope)}"
    )


def error_words(slope: Slope) -> str:
    """What the random slope does to the standard error of its mean."""
    return f"Its standard error goes from {figure(slope.se_before)} to {figure(slope.se_after)}."


def test_words(test: StepTest) -> str:
    """The likelihood-ratio test against another step."""
    if np.isnan(test.chisq):
        return f"No test against '{test.against}': it is not nested in this model."
    (p,) = format_p([test.p])
    name = "boundary p" if np.isfinite(test.p_boundary) else "naive p" if test.variances else "p"
    size = ", which is too large" if name == "naive p" else ""
    return (
        f"Against '{test.against}': likelihood ratio {test.chisq:.2f} on {test.df:.0f} df, {name} {p}{size}."
    )


def state_words(step: StepNumbers) -> str:
    """What is wrong with a fit."""
    if not step.converged:
        return " The search did not end at a certified optimum: do not use this step."
    if step.singular:
        return (
            " The fit is singular, a variance of zero or a correlation of 1 or -1: the data do not tell all"
            " of these effects apart."
        )
    return ""


def change(reduction: float, before: float, after: float) -> str:
    """By what share a variance falls or grows."""
    if np.isnan(reduction):
        return f"goes from {figure(before)} to {figure(after)}"
    if reduction == 0.0:
        return f"stays at {figure(before)}"
    return (
        f"{'falls' if reduction > 0.0 else 'grows'} by {percent(abs(reduction))} ({figure(before)} to"
        f" {figure(after)})"
    )


def percent(share: float) -> str:
    """A share in percent."""
    return f"{100.0 * share:.1f}%"


# ---- where to stop ----


def stop_words(steps: Sequence[StepNumbers]) -> list[str]:
    """The steps that AIC and BIC prefer, and what such a preference is worth."""
    if len(steps) < 3:
        return []
    sound = [step for step in steps if step.converged]
    by_aic, by_bic = lowest(sound, "aic"), lowest(sound, "bic")
    if by_aic is by_bic:
        where = (
            f"AIC ({by_aic.aic:.1f}) and BIC ({by_bic.bic:.1f}) are both lowest at '{by_aic.name}': that is"
            " where these steps stop improving the description of the data."
        )
    else:
        where = (
            f"AIC is lowest at '{by_aic.name}' ({by_aic.aic:.1f}), BIC at '{by_bic.name}'"
            f" ({by_bic.bic:.1f}), which asks more of an added parameter: between the two the data do not"
            " decide; let the question do so."
        )
    return [where + tie_words(sound, by_aic) + singular_words(by_aic), CAUTION]


def tie_words(steps: Sequence[StepNumbers], best: StepNumbers) -> str:
    """Other steps that are about as good."""
    near = [f"'{step.name}'" for step in steps if step is not best and step.aic - best.aic < TIE]
    return f" Within {TIE:g} of the lowest AIC: {', '.join(near)}." if near else ""


def singular_words(best: StepNumbers) -> str:
    """A preferred step on the boundary."""
    return f" '{best.name}' is singular, though: a simpler covariance fits as well." if best.singular else ""
