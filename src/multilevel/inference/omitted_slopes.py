"""Do the data ask for a random slope that the model leaves out?

Each covariate that varies within groups is given a random slope in turn (a factor of several levels, a random
interaction), the model is fitted again, and the restricted likelihoods are compared: the fixed parts agree.
A variance is tested, so the likelihood ratio is referred to a mixture of chi-squares (Stram & Lee 1994).

References:
    Barr, D. J., Levy, R., Scheepers, C. & Tily, H. J. (2013). Random effects structure for confirmatory
    hypothesis testing: keep it maximal. Journal of Memory and Language 68, 255-278.
    Stram, D. O. & Lee, J. W. (1994). Biometrics 50, 1171-1177.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design, Grouping, RandomTerm
from multilevel.errors import ModelError
from multilevel.estimation.lmm import minimise, working_model
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.compare import mixture_p
from multilevel.inference.design_checks import Source, main_effects, variables_in
from multilevel.inference.finding import Finding, by_p, ok
from multilevel.inference.influence import standard_deviations

LEAST_LEVELS = 5  # of a grouping factor, for its variance of slopes to be asked for
LEAST_SHARE = 1e-6  # of a covariate's variance that must lie within groups
SPANNED = 1e-10  # of a column's sum of squares that others leave: rounding
MOST_TRIED = 8  # refits in one reading


@dataclass(frozen=True, slots=True)
class Candidate:
    """A random term that could be added."""

    label: str  # "Days | Subject", as the formula would have it
    source: Source
    design: Design  # with the term
    n_covariances: int  # that come with the one variance


@dataclass(frozen=True, slots=True)
class Omitted:
    """What adding a term does."""

    candidate: Candidate
    chisq: float
    p_value: float
    sd: float  # standard deviation of the added effects
    se_ratio: float  # standard error of the covariate's coefficient with the term, over that without


def omitted_slopes(design: Design, record: LMMRecord) -> Finding:
    """The random slope that improves the fit most clearly."""
    candidates = [c for grouping in range(len(design.groupings)) for c in candidates_for(design, grouping)]
    tried = candidates[:MOST_TRIED]
    found = [result for one in tried if (result := try_candidate(design, record, one))]
    if not found:
        return ok("omitted random slopes", tried=0, left=len(candidates) - len(tried))
    first = min(found, key=lambda result: result.p_value)
    return by_p(
        "omitted random slopes",
        first.chisq,
        min(1.0, first.p_value * len(found)),
        label=first.candidate.label,
        name=first.candidate.source.name,
        sd=first.sd,
        se_ratio=first.se_ratio,
        tried=len(found),
        left=len(candidates) - len(tried),
    )


def try_candidate(design: Design, record: LMMRecord, candidate: Candidate) -> Omitted | None:
    """Fit with the term; None where these data cannot."""
    model = working_model(candidate.design)
    try:
        optimum = minimise(model, reml=record.reml)
    except ModelError:  # nothing would be left of the residual
        return None
    chisq = max(record.optimum.criterion - optimum.criterion, 0.0)
    solution = model.kernel.solution(optimum.theta)
    df = design.n_obs - (design.X.shape[1] if record.reml else 0)
    sigma = float(np.sqrt(solution.pwrss / df)) / model.response.scale
    half = np.linalg.solve(solution.fixed_factor, model.fixed.jacobian().T)
    se = sigma * np.sqrt((half * half).sum(axis=0))
    columns = list(candidate.source.columns)
    ratio = np.sqrt((se[columns] ** 2 / np.diag(record.vcov)[columns]).mean())
    sd = standard_deviations(model, optimum.theta[None, :], np.array([sigma]))[0, -1]
    return Omitted(candidate, chisq, mixture_p(chisq, candidate.n_covariances), float(sd), float(ratio))


# ---- what could be added ----


def candidates_for(design: Design, grouping: int) -> list[Candidate]:
    """Terms that could be added on one grouping factor, one for each variable of the fixed part."""
    factor = design.groupings[grouping]
    mine = [term for term in design.terms if term.grouping == grouping]
    if factor.n_levels < LEAST_LEVELS or not any("Intercept" in term.names for term in mine):
        return []
    known = np.hstack([term.Z for term in mine])
    pending: frozenset[str] = frozenset()
    found = []
    for source in new_sources(design, known):
        variables = variables_in(source.name)
        if variables & pending or not varies_within(design, source, factor):
            continue
        candidate = slope(design, grouping, source) or interaction(design, factor, source)
        if candidate is not None and can_be_told(candidate):
            found.append(candidate)
            pending |= variables  # x first; x^2 when x is there
    return found


def new_sources(design: Design, known: Array) -> list[Source]:
    """Main effects without the columns (of X) that known columns (n, q) of random terms already span."""
    sources = []
    for source in main_effects(design.coef_names):
        new = tuple(j for j in source.columns if not in_span(design.X[:, j], known))
        if len(new) == len(source.columns) or (new and source.name.startswith("poly(")):
            sources.append(Source(source.name, new))
    return sources


def in_span(column: Array, known: Array) -> bool:
    """Whether a column (n,) is a linear combination of others (n, q)."""
    left = column - known @ np.linalg.lstsq(known, column, rcond=None)[0]
    return bool((left * left).sum() <= SPANNED * ((column - column.mean()) ** 2).sum())


def varies_within(design: Design, source: Source, factor: Grouping) -> bool:
    """Whether some column of a source varies within the levels of a factor."""
    size = np.bincount(factor.codes)
    for column in design.X[:, list(source.columns)].T:
        centred = column - column.mean()
        mean = (np.bincount(factor.codes, centred) / size)[factor.codes]
        if ((centred - mean) ** 2).sum() > LEAST_SHARE * (centred**2).sum() > 0.0:
            return True
    return False


def slope(design: Design, grouping: int, source: Source) -> Candidate | None:
    """A random slope for a source of one column, beside the random intercept."""
    if len(source.columns) > 1 and not source.name.startswith("poly("):
        return None
    column = source.columns[0]
    name, factor = design.coef_names[column], design.groupings[grouping]
    place = next(
        k for k, term in enumerate(design.terms) if term.grouping == grouping and "Intercept" in term.names
    )
    term = design.terms[place]
    if term.structure not in ("us", "diag") or term.hom:
        return None
    wider = replace(
        term,
        names=(*term.names, name),
        Z=np.asfortranarray(np.column_stack([term.Z, design.X[:, column]])),
        structure="us" if term.n_columns == 1 else term.structure,
    )
    terms = (*design.terms[:place], *design.terms[place + 1 :], wider)
    n_covariances = term.n_columns if wider.structure == "us" else 0
    label = name if source.name.startswith("poly(") else source.name
    return Candidate(
        f"{label} | {factor.name}",
        Source(label, (column,)),
        replace(design, terms=terms),
        n_covariances,
    )


def interaction(design: Design, factor: Grouping, source: Source) -> Candidate | None:
    """A random intercept for each combination of a factor of the fixed part and a level of the groups."""
    columns = list(source.columns)
    key = design.X[:, columns] @ np.sqrt(np.arange(2.0, 2.0 + len(columns)))  # one number a level
    values, kinds = np.unique(key, return_inverse=True)
    if len(values) != len(columns) + 1:
        return None
    pairs, codes = np.unique(factor.codes.astype(np.int64) * len(values) + kinds, return_inverse=True)
    name = f"{factor.name}:{source.name}"
    cells = Grouping(name, codes.astype(np.int32).ravel(), tuple(map(str, pairs)))
    if any(same_partition(cells, other) for other in design.groupings):
        return None
    term = RandomTerm(f"1 | {name}", len(design.groupings), ("Intercept",), ones(design.n_rows), "us", False)
    return Candidate(
        term.label,
        source,
        replace(design, groupings=(*design.groupings, cells), terms=(*design.terms, term)),
        0,
    )


def ones(n: int) -> Array:
    """A column of ones (n, 1), in Fortran order."""
    return np.ones((n, 1), order="F")


def same_partition(one: Grouping, other: Grouping) -> bool:
    """Whether two groupings put the same rows together."""
    if one.n_levels != other.n_levels:
        return False
    pairs = one.codes.astype(np.int64) * other.n_levels + other.codes
    return len(np.unique(pairs)) == one.n_levels


def can_be_told(candidate: Candidate) -> bool:
    """Whether there are clearly more observations than effects of the added term."""
    design = candidate.design
    added = design.terms[-1]
    return bool(design.groupings[added.grouping].n_levels * added.n_columns < 0.8 * design.n_obs)
