"""Can these data tell the parts of this model apart? Refusals that name the term."""

from __future__ import annotations

from multilevel.design.design import Design, RandomTerm
from multilevel.errors import ModelError


def refuse_saturated_terms(design: Design) -> None:
    """Refuse a Gaussian random-effects term with as many effects as there are observations.

    Its variance and the residual variance could not be told apart. Terms with a heterogeneous `cs` or
    an `ar1` structure are let through, as is anything in a model without a free residual variance:
    callers with such a model do not ask.
    """
    for term in design.terms:
        n_effects = design.groupings[term.grouping].n_levels * term.n_columns
        if term.structure in ("us", "diag") and n_effects >= design.n_obs:
            raise ModelError(_saturated(design, term, n_effects))


def _saturated(design: Design, term: RandomTerm, n_effects: int) -> str:
    grouping = design.groupings[term.grouping]
    return (
        f"({term.label}) has {n_effects} random effects ({grouping.n_levels} levels of {grouping.name!r} by "
        f"{term.n_columns} columns) for {design.n_obs:g} observations, so its variance and the residual "
        "variance cannot be told apart; use a simpler term or a coarser grouping factor."
    )
