"""Covariances of random effects from what a user says: deviations and correlations by group, or ICCs.

With `icc=`, deviations of intercepts follow from the shares of variance: sd_g^2 = icc_g / (1 - sum icc) v,
with v the variance within groups: sigma^2, or on the latent scale of a binary or ordinal response that of the
link's distribution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multilevel._options import checked_numbers
from multilevel._typing import Array
from multilevel.design.design import Design, RandomTerm
from multilevel.errors import DataError, DataTypeError
from multilevel.fitted.assemble import term_covariance
from multilevel.fitted.lmm import TermCovariance
from multilevel.simulation.numbers import checked_deviation, checked_number

LEAST_EIGENVALUE = -1e-10  # of a correlation matrix that rounding alone made indefinite
NO_VARIANCE = 1e-12  # eigenvalue, relative to the largest, of a covariance without full rank


def true_term(
    design: Design, index: int, sd: Any, cor: Any, shares: Mapping[str, float], within: float
) -> TermCovariance:
    """A term's covariance from the deviations and correlations given for its group."""
    term = design.terms[index]
    group = design.groupings[term.grouping].name
    deviations = term_deviations(design, term, group, sd, shares, within)
    root = covariance_root(np.outer(deviations, deviations) * term_correlations(design, term, group, cor))
    rank = int(np.linalg.matrix_rank(root, tol=NO_VARIANCE)) if root.any() else 0
    return term_covariance(design, term, root, 1.0, rank)


def term_deviations(
    design: Design, term: RandomTerm, group: str, sd: Any, shares: Mapping[str, float], within: float
) -> Array:
    """Standard deviations (q,) of a term's columns."""
    given = sd.get(group) if isinstance(sd, Mapping) else None
    if group in shares:
        if term.names[0] == "Intercept":
            own = np.sqrt(shares[group] / (1.0 - sum(shares.values())) * within)
            return np.array([own, *slope_deviations(term.names[1:], group, given)])
        return slope_deviations(term.names, group, given)
    if given is None:
        example = f"{{{group!r}: {'0.5' if term.n_columns == 1 else dict.fromkeys(term.names, 0.5)}}}"
        raise DataError(
            f"nothing is said of the random effects ({term.label}); give their standard deviations, "
            f"sd={example}" + (f", or icc={{{group!r}: 0.05}}." if term.names == ("Intercept",) else ".")
        )
    return named_deviations(design, term, group, given)


def named_deviations(design: Design, term: RandomTerm, group: str, given: Any) -> Array:
    """Deviations (q,) given as one number, by column, or as a list."""
    columns = [n for t in design.terms if design.groupings[t.grouping].name == group for n in t.names]
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in columns]
        missing = [name for name in term.names if name not in given]
        if unknown or missing:
            raise DataError(
                f"sd[{group!r}] names {', '.join(map(str, given))}; the random effects are "
                f"{', '.join(columns)}, each with a standard deviation."
            )
        return np.array([checked_deviation(f"sd[{group!r}][{n!r}]", given[n]) for n in term.names])
    numbers = [given] if np.ndim(given) == 0 else list(given)
    if term.hom and np.ndim(given) == 0:
        numbers = [given] * len(columns)
    if len(numbers) != len(columns):
        raise DataError(
            f"sd[{group!r}] has {len(numbers)} number{'s' * (len(numbers) != 1)}, and the random effects of "
            f"'{group}' are {', '.join(columns)}; give one each, as in "
            f"sd={{{group!r}: {dict.fromkeys(columns, 0.5)}}}."
        )
    by_name = dict(zip(columns, numbers, strict=True))
    return np.array([checked_deviation(f"sd[{group!r}]", by_name[name]) for name in term.names])


def slope_deviations(names: Sequence[str], group: str, given: Any) -> Array:
    """Deviations of slopes beside an intercept whose deviation an ICC says."""
    if not names:
        return np.empty(0)
    if not isinstance(given, Mapping) or set(given) != set(names):
        raise DataError(
            f"icc= says how much the intercepts of '{group}' vary; give the other random effects by name, "
            f"sd={{{group!r}: {dict.fromkeys(names, 0.5)}}}."
        )
    return np.array([checked_deviation(f"sd[{group!r}][{name!r}]", given[name]) for name in names])


def term_correlations(design: Design, term: RandomTerm, group: str, cor: Any) -> Array:
    """Correlations (q, q) of a term's columns: one for all pairs, or a matrix."""
    q = term.n_columns
    given = cor.get(term.label, cor.get(group)) if isinstance(cor, Mapping) else None
    if given is None:
        return np.eye(q)
    if not correlated(term):
        if any(correlated(t) for t in design.terms if t.grouping == term.grouping):
            return np.eye(q)  # what is said is of another term of the group
        raise DataError(
            f"cor= names '{group}', but the random effects ({term.label}) have no correlation; leave it out."
        )
    if np.ndim(given) == 0:
        rho = checked_number(f"cor[{group!r}]", given)
        lag = np.abs(np.subtract.outer(np.arange(q), np.arange(q)))
        R = rho**lag if term.structure == "ar1" else np.where(lag == 0, 1.0, rho)
    else:
        R = checked_numbers(f"cor[{group!r}]", given)
    refuse_no_correlation(R, term, group)
    return R


def correlated(term: RandomTerm) -> bool:
    """Whether the effects of a term have correlations."""
    return term.n_columns > 1 and term.structure != "diag"


def refuse_no_correlation(R: Array, term: RandomTerm, group: str) -> None:
    """A matrix of correlations that could not be one."""
    q = term.n_columns
    if R.shape != (q, q) or not np.allclose(R, R.T) or not np.allclose(np.diag(R), 1.0):
        raise DataError(
            f"cor[{group!r}] is a symmetric {q} by {q} matrix with ones on its diagonal, in the order "
            f"{', '.join(term.names)}; or one number for all pairs."
        )
    if (np.abs(R) > 1.0).any():
        raise DataError(f"cor[{group!r}] holds {np.abs(R).max():g}; correlations lie between -1 and 1.")
    least = float(np.linalg.eigvalsh(R)[0])
    if least < LEAST_EIGENVALUE:
        raise DataError(
            f"cor[{group!r}] is not positive definite (its least eigenvalue is {least:.3g}): no variables "
            "can have these correlations. Make them smaller, or less unlike each other."
        )


def covariance_root(Sigma: Array) -> Array:
    """A root (q, q) of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(Sigma)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


# ---- intraclass correlations, groups ----


def icc_by_group(design: Design, icc: Any) -> dict[str, float]:
    """Shares of variance by group; one number stands for the only group."""
    if icc is None:
        return {}
    groups = list(
        dict.fromkeys(design.groupings[t.grouping].name for t in design.terms if "Intercept" in t.names)
    )
    if not isinstance(icc, Mapping):
        if len(groups) != 1:
            raise DataError(
                f"icc={icc!r} is one number, and the random intercepts are of {len(groups)} groups"
                + (f"; write icc={{{groups[0]!r}: ..., {groups[1]!r}: ...}}." if len(groups) > 1 else ".")
            )
        icc = {groups[0]: icc}
    for name, value in icc.items():
        if name not in groups:
            listed = ", ".join(groups) or "(none)"
            raise DataError(f"icc= names {name!r}; the formula has random intercepts of {listed}.")
        if not 0.0 <= checked_number(f"icc[{name!r}]", value) < 1.0:
            raise DataError(f"icc={value:g} for '{name}' is out of range; an ICC here is 0 or more, below 1.")
    if sum(icc.values()) >= 1.0:
        raise DataError(f"the ICCs add up to {sum(icc.values()):g}; together they stay below 1.")
    return {name: float(value) for name, value in icc.items()}


def refuse_unknown_groups(design: Design, argument: str, given: Any) -> None:
    """sd= and cor= are by group."""
    groups = [design.groupings[term.grouping].name for term in design.terms]
    labels = [term.label for term in design.terms]
    if given is None:
        return
    example = groups[0] if groups else "school"
    if not isinstance(given, Mapping):
        raise DataTypeError(
            f"{argument}= is by group, as in {argument}={{{example!r}: 0.5}}; got {given!r:.40}."
        )
    for name in given:
        if name not in groups and not (argument == "cor" and name in labels):
            listed = ", ".join(dict.fromkeys(groups)) or "(none)"
            raise DataError(f"{argument}= names {name!r}; the formula has random effects of {listed}.")
