"""What would an expert see in a fitted generalized linear model?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import gammainc, gammaincc

from multilevel._typing import Array
from multilevel.design.design import Design, Grouping
from multilevel.estimation.glm import prior_weights, proportions
from multilevel.families.family import Family
from multilevel.fitted.glm import GLMRecord, with_known_size
from multilevel.inference.design_checks import collinearity, dropped_columns, dropped_rows, scaling
from multilevel.inference.finding import Finding, by_p, note, ok, warn
from multilevel.inference.influence import Influence
from multilevel.inference.linear_checks import between_clusters
from multilevel.inference.lmm_checks import influential_rows
from multilevel.inference.scaled_residuals import ModelCheck, outliers, two_sided, uniformity, zeros
from multilevel.inference.variance_choice import CLUSTER_KINDS, VarianceChoice

MATTERS = 1.2  # ratio of squares from which a departure is told
FAR = 0.03  # distance from the uniform distribution that matters
FEW_EVENTS, VERY_FEW_EVENTS = 10.0, 5.0  # of the rarer outcome for each coefficient
WITHOUT_DISPERSION = {  # what to do about responses that vary too much, by density
    "poisson": "family='negative_binomial'",
    "binomial": "family='beta_binomial'",
}
WITH_ZEROS = ("poisson", "nbinom2", "nbinom1", "tweedie")


@dataclass(frozen=True, slots=True)
class SimulatedRows:
    """Responses simulated from a fit of independent rows, beside the ones observed; S simulations."""

    draws: Array  # (n, S)
    residuals: Array  # (n,) scaled: uniform where the model holds


def glm_findings(
    design: Design,
    record: GLMRecord,
    choice: VarianceChoice,
    clusters: Grouping | None,
    influence: Influence | None,
    simulated: SimulatedRows | None,
) -> list[Finding]:
    """All looks; without simulated responses, influence or known clusters those that need none."""
    findings = [dropped_rows(design), dropped_columns(design), *scaling(design), collinearity(design)]
    if record.family.density == "binomial":
        findings.append(events_per_coefficient(design, record))
    if simulated is not None:
        findings += response_findings(design, record, choice, simulated)
    if influence is not None:
        findings.append(influential_rows(influence, design))
    if clusters is not None and record.regression is not None:
        findings.append(alike_in_clusters(design, record, choice.kind, clusters))
    return findings


def events_per_coefficient(design: Design, record: GLMRecord) -> Finding:
    """How many of the rarer outcome there are for each coefficient beside the intercept."""
    trials = np.ones(design.n_rows) if design.trials is None else design.trials
    counts = np.ones(design.n_rows) if design.freq_weights is None else design.freq_weights
    successes = float(counts @ design.y)
    rarer = min(successes, float(counts @ trials) - successes)
    p = sum(name != "Intercept" for name in record.coef_names)
    each = rarer / p if p else np.inf
    tell = warn if each < VERY_FEW_EVENTS else note if each < FEW_EVENTS else ok
    return tell("events per coefficient", each, count=round(rarer), coefficients=p)


def response_findings(
    design: Design, record: GLMRecord, choice: VarianceChoice, simulated: SimulatedRows
) -> list[Finding]:
    """Where responses stand among simulated ones."""
    y, draws = design.y, simulated.draws
    uniform = uniformity(simulated.residuals)
    findings = [by_p("uniform residuals", uniform.observed, uniform.p_value, matters=uniform.observed > FAR)]
    if record.family.density in WITHOUT_DISPERSION and not single_trials(design, record):
        findings.append(excess_variation(design, record, choice, draws))
    if record.family.response != "ordered":
        findings.append(counted("responses out of reach", outliers(y, draws)))
    if record.family.density in WITH_ZEROS and (y == 0.0).any():
        found = zeros(y, draws)
        p_value = beyond_simulations(found.observed, (draws == 0.0).sum(axis=0).astype(np.float64))
        findings.append(counted("number of zeros", replace(found, p_value=p_value)))
    return findings


def counted(check: str, found: ModelCheck) -> Finding:
    """A comparison of counts."""
    return by_p(check, found.observed, found.p_value, observed=found.observed, expected=found.expected)


def beyond_simulations(observed: float, drawn: Array) -> float:
    """A two-sided p-value among simulated values (S,); beyond all of them by a gamma of their moments."""
    p_value = two_sided(observed, drawn)
    mean, variance = float(drawn.mean()), float(drawn.var())
    if p_value > 2.0 / (len(drawn) + 1.0) or not (mean > 0.0 and variance > 0.0):
        return p_value
    shape = mean**2 / variance
    tails = gammainc(shape, observed * shape / mean), gammaincc(shape, observed * shape / mean)
    return min(p_value, 2.0 * float(min(tails)))


def single_trials(design: Design, record: GLMRecord) -> bool:
    """Whether responses are 0 or 1, which have no variance of their own to compare."""
    return record.family.density == "binomial" and design.trials is None


def excess_variation(design: Design, record: GLMRecord, choice: VarianceChoice, draws: Array) -> Finding:
    """Pearson's sum of squares per degree of freedom, against those of simulated responses per row."""
    family = with_known_size(record.family, record.dispersion)
    size = np.ones(design.n_rows) if design.trials is None else design.trials
    drawn = pearson_squares(design, family, record.fitted, draws / size[:, None]) / design.n_rows
    observed = pearson_squares(design, family, record.fitted, proportions(design)[:, None])[0]
    ratio = float(observed) / record.df_residual
    robust = choice.kind != "model"
    return by_p(
        "excess variation",
        ratio,
        beyond_simulations(ratio, drawn),
        matters=not 1.0 / MATTERS < ratio < MATTERS,
        most="note" if robust else "warn",
        family=record.family.name,
        cure=WITHOUT_DISPERSION[record.family.density],
        robust=robust,
    )


def pearson_squares(design: Design, family: Family, mu: Array, y: Array) -> Array:
    """Sums (S,) of squared Pearson residuals of responses (n, S), shares where there are trials."""
    weights = prior_weights(design)
    over = (1.0 if weights is None else weights) / family.variance(mu)
    return np.asarray(over @ (y - mu[:, None]) ** 2)


def alike_in_clusters(design: Design, record: GLMRecord, vcov: str, clusters: Grouping) -> Finding:
    """Whether Pearson residuals of one cluster are alike: the F test between clusters."""
    family = with_known_size(record.family, record.dispersion)
    weights = prior_weights(design)
    over = (1.0 if weights is None else weights) / family.variance(record.fitted)
    residual = (proportions(design) - record.fitted) * np.sqrt(over)
    statistic, p_value, icc = between_clusters(np.asarray(residual), design.freq_weights, clusters)
    return by_p(
        "alike within clusters",
        statistic,
        p_value,
        matters=vcov not in CLUSTER_KINDS,
        group=clusters.name,
        count=clusters.n_levels,
        icc=icc,
        robust=vcov in CLUSTER_KINDS,
        mixed="ml.glmm",
    )
