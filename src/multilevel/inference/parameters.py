"""What are the parameters of a mixed model called, and what are their values at a point?

Coefficients, then the standard deviations and correlations of the random effects, then sigma: all that a
profile or a bootstrap gives limits for. Names are broom's with the grouping factor behind a bar:
`sd__(Intercept)|Subject`, `cor__(Intercept).Days|Subject`, and `sigma`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design, RandomTerm
from multilevel.errors import DataError, DataTypeError

Kind = Literal["fixed", "sd", "cor", "sigma"]
RESIDUAL = "Residual"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a mixed model."""

    name: str  # "Days", "sd__Days|Subject", "sigma"
    kind: Kind
    group: str | None  # grouping factor; None for a coefficient
    term: str  # as tidy() has it: "Days", "sd__Days", "sd__Observation"
    index: int  # of the coefficient, or of the random-effects term
    columns: tuple[int, ...] = ()  # of the term: one for a standard deviation, two for a correlation

    @property
    def effect(self) -> Literal["fixed", "ran_pars"]:
        """The part of the model, in broom's words."""
        return "fixed" if self.kind == "fixed" else "ran_pars"


def lmm_parameters(design: Design) -> tuple[Parameter, ...]:
    """All parameters: coefficients, then term by term, then sigma."""
    fixed = [Parameter(name, "fixed", None, name, j) for j, name in enumerate(design.coef_names)]
    random = [p for index, term in enumerate(design.terms) for p in term_parameters(design, term, index)]
    sigma = Parameter("sigma", "sigma", RESIDUAL, "sd__Observation", -1)
    return tuple(with_distinct_names([*fixed, *random, sigma]))


def term_parameters(design: Design, term: RandomTerm, index: int) -> list[Parameter]:
    """The free standard deviations and correlations of a term, in the order of tidy("ran_pars")."""
    group = design.groupings[term.grouping].name
    names = ["(Intercept)" if name == "Intercept" else name for name in term.names]
    q = len(names)
    deviations = [("all", (0,))] if term.hom and q > 1 else [(name, (k,)) for k, name in enumerate(names)]
    return [
        *(Parameter(f"sd__{n}|{group}", "sd", group, f"sd__{n}", index, at) for n, at in deviations),
        *(
            Parameter(f"cor__{n}|{group}", "cor", group, f"cor__{n}", index, at)
            for n, at in term_correlations(term, names)
        ),
    ]


def term_correlations(term: RandomTerm, names: Sequence[str]) -> list[tuple[str, tuple[int, int]]]:
    """The free correlations of a term: every pair, or the one that its structure has."""
    q = len(names)
    if term.structure == "diag" or q == 1:
        return []
    if term.structure == "us" or q == 2:
        return [(f"{names[j]}.{names[k]}", (j, k)) for j in range(q) for k in range(j + 1, q)]
    return [("lag1" if term.structure == "ar1" else "all", (0, 1))]


def with_distinct_names(parameters: Sequence[Parameter]) -> list[Parameter]:
    """Two terms on one factor may share a column: the second is numbered."""
    seen: Counter[str] = Counter()
    out = []
    for parameter in parameters:
        seen[parameter.name] += 1
        number = seen[parameter.name]
        out.append(parameter if number == 1 else replace(parameter, name=f"{parameter.name}#{number}"))
    return out


def parameter_values(
    parameters: Sequence[Parameter], beta: Array, roots: Sequence[Array], sigma: Array
) -> Array:
    """Values (..., K) from coefficients (..., p), roots (..., q, q) of each Sigma / sigma^2, and sigma (...).

    A correlation with an effect whose standard deviation is zero is NaN.
    """
    columns = [one_value(parameter, beta, roots, np.asarray(sigma)) for parameter in parameters]
    return np.stack(columns, axis=-1)


def one_value(parameter: Parameter, beta: Array, roots: Sequence[Array], sigma: Array) -> Array:
    """Values (...) of one parameter."""
    if parameter.kind == "fixed":
        return np.asarray(beta[..., parameter.index])
    if parameter.kind == "sigma":
        return sigma
    rows = [roots[parameter.index][..., column, :] for column in parameter.columns]
    sizes = [np.sqrt((row * row).sum(axis=-1)) for row in rows]
    if parameter.kind == "sd":
        return np.asarray(sigma * sizes[0])
    product = np.where(sizes[0] * sizes[1] > 0.0, sizes[0] * sizes[1], np.nan)
    return np.asarray(np.clip((rows[0] * rows[1]).sum(axis=-1) / product, -1.0, 1.0))


def chosen_parameters(
    parameters: Sequence[Parameter], which: str | Sequence[str] | None
) -> tuple[Parameter, ...]:
    """Those asked for: all, "fixed", "ran_pars", or by name."""
    if which is None or which == "all":
        return tuple(parameters)
    wanted = [which] if isinstance(which, str) else list(which)
    if not all(isinstance(name, str) for name in wanted):
        raise DataTypeError(f"parameters are chosen by name, got {which!r}; write which=['sigma'].")
    found = [
        p for name in wanted for p in (by_effect(parameters, name) or [named_parameter(parameters, name)])
    ]
    return tuple(dict.fromkeys(found))


def by_effect(parameters: Sequence[Parameter], effect: str) -> list[Parameter]:
    """The fixed or the random part, unless a parameter has that name."""
    if any(p.name == effect for p in parameters):
        return []
    return [p for p in parameters if p.effect == effect]


def named_parameter(parameters: Sequence[Parameter], name: str) -> Parameter:
    """The parameter of that name, or of that term if only one has it."""
    found = [p for p in parameters if p.name == name] or [p for p in parameters if p.term == name]
    if len(found) == 1:
        return found[0]
    names = [p.name for p in parameters]
    of_factor = [each for each in names if each.startswith(f"{name}[")]  # coefficients of a factor
    near = of_factor[:2] or get_close_matches(name, names, n=1, cutoff=0.6)
    meant = " or ".join(f"'{each}'" for each in near)
    hint = f" (did you mean {meant}?)" if near and not found else ""
    raise DataError(f"'{name}' is no parameter of this model{hint}; it has {', '.join(names)}.")
