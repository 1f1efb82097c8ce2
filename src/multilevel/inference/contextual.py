"""Do the within-group and the between-group effects of a covariate differ?

A covariate that varies within groups and between them has two effects, and its one coefficient blends them.
Mundlak (1978): add the group means m to the fixed part; their coefficient is the difference. With the
covariance parameters held, its estimate is generalised least squares in one variable,

    difference = m'Py / m'Pm,   variance = sigma^2 / m'Pm,

P the projection that takes out X and weighs by V^-1. The model applies P by fitting m as it fits y.

References:
    Mundlak, Y. (1978). On the pooling of time series and cross section data. Econometrica 46, 69-85.
    Snijders, T. A. B. & Bosker, R. J. (2012). Multilevel Analysis, 2nd ed., section 4.6. Sage.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.design.design import Design
from multilevel.estimation.lmm import WorkingModel
from multilevel.estimation.refits import with_response
from multilevel.estimation.working import effective_weights, working_response
from multilevel.fitted.assemble import factor_root
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.design_checks import main_effects
from multilevel.inference.finding import Finding, by_p, ok
from multilevel.inference.wald import two_sided_p

LEAST_SHARE = 1e-3  # of a covariate's variance that lies within, or between, groups to have an effect there
LEAST_LEFT = 1e-6  # of a mean's sum of squares that X must leave to tell its effect
LEAST_DF = 3.0
DIFFERENT = 0.1  # relative difference of the two effects that matters


@dataclass(frozen=True, slots=True)
class Contextual:
    """The two effects of one covariate, and a t test of their difference."""

    name: str
    group: str
    within: float
    between: float
    statistic: float
    df: float
    p_value: float


def contextual_effects(design: Design, record: LMMRecord, model: WorkingModel) -> Finding:
    """The covariate and grouping factor whose within and between effects differ most clearly.

    The model comes back with the response it had.
    """
    found = [
        effect
        for grouping in design.groupings
        for source in main_effects(design.coef_names)
        if len(source.columns) == 1
        and (effect := contextual_effect(design, record, model, source.columns[0], grouping.name))
    ]
    with_response(design, model, design.y)
    if not found:
        return ok("within and between", tested=0)
    first = min(found, key=lambda effect: effect.p_value)
    return by_p(
        "within and between",
        first.statistic,
        min(1.0, first.p_value * len(found)),
        matters=abs(first.between - first.within) > DIFFERENT * max(abs(first.within), abs(first.between)),
        tested=len(found),
        name=first.name,
        group=first.group,
        plain=first.group.isidentifier(),
        within=first.within,
        between=first.between,
    )


def contextual_effect(
    design: Design, record: LMMRecord, model: WorkingModel, column: int, group: str
) -> Contextual | None:
    """Mundlak's test for one column of X; None where the data cannot tell the two effects apart."""
    grouping = next(g for g in design.groupings if g.name == group)
    x, weights = design.X[:, column], effective_weights(design)
    mean = group_means(x, grouping.codes, grouping.n_levels, design.freq_weights)
    df = float(grouping.n_levels - 1 - constant_columns(design, grouping.codes))
    if df < LEAST_DF or not varies_within_and_between(x, mean):
        return None
    if model.fixed.centring.one is not None:  # P takes out the constant: less of it keeps the digits
        mean = mean - mean.mean()
    rest, coefficients = gls_residual(design, record, model, mean)
    weighted = rest if weights is None else weights * rest
    left = float(weighted @ mean)
    total = float(((mean - mean.mean()) ** 2 * (1.0 if weights is None else weights)).sum())
    if left < LEAST_LEFT * total:
        return None
    difference = float(weighted @ (design.y - record.fitted_fixed)) / left
    statistic = difference * np.sqrt(left) / record.sigma
    within = float(record.beta[column] - difference * coefficients[column])
    p = float(two_sided_p(np.array(statistic), np.array(df)))
    return Contextual(design.coef_names[column], group, within, within + difference, float(statistic), df, p)


def group_means(x: Array, codes: Codes, n_levels: int, counts: Array | None) -> Array:
    """The mean of x (n,) over each row's group: (n,)."""
    shift = float(x.mean())
    size = np.bincount(codes, counts, n_levels)
    total = np.bincount(codes, (x - shift) if counts is None else counts * (x - shift), n_levels)
    return np.asarray((total / size)[codes] + shift)


def varies_within_and_between(x: Array, mean: Array) -> bool:
    """Whether both parts of a covariate are there to have an effect."""
    whole = float(x.var())
    return bool(whole > 0.0 and LEAST_SHARE < mean.var() / whole < 1.0 - LEAST_SHARE)


def constant_columns(design: Design, codes: Codes) -> int:
    """Columns of X, the intercept aside, that do not vary within groups."""
    first = np.zeros(int(codes.max()) + 1, dtype=np.intp)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    same = [(column == column[first[codes]]).all() for column in design.X.T]
    return int(sum(same)) - int(any(name == "Intercept" for name in design.coef_names))


def gls_residual(design: Design, record: LMMRecord, model: WorkingModel, v: Array) -> tuple[Array, Array]:
    """What the model leaves of v (n,) in the place of y, theta held; and the coefficients.

    P v is the weights times the rest. The model is left with v as its response.
    """
    centred = model.fixed.centring.one is not None
    response = working_response(v, effective_weights(design), centred)
    model.kernel.set_response(np.ascontiguousarray(v), response.shift, response.scale)
    solution = model.kernel.solution(record.optimum.theta)
    factors = model.kernel.term_factors(record.optimum.theta)
    b = [u @ factor_root(model, factors, k).T for k, u in enumerate(solution.u)]
    _, whole = model.kernel.linear_predictors(solution.beta, b)
    rest = v - (whole / response.scale + response.shift)
    return rest, model.fixed.coefficients(solution.beta, response)
