"""What is left of a mixed model when its predictors are taken out?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multilevel.design.design import Design, RandomTerm
from multilevel.formula.terms import Bar, Formula

INTERCEPT = "Intercept"


def null_design(design: Design) -> Design:
    """The same rows with an intercept, and a random intercept for each grouping factor, alone.

    Weights and the offset stay. The encoder is still that of the model with predictors: a null model is there
    to be estimated, not to predict.
    """
    if is_null(design):
        return design
    ones = np.ones((design.n_rows, 1), order="F")
    terms = tuple(
        RandomTerm(f"1 | {grouping.name}", number, (INTERCEPT,), ones, "us", hom=False)
        for number, grouping in enumerate(design.groupings)
    )
    formula = null_formula(design)
    return replace(design, formula=formula, X=ones, coef_names=(INTERCEPT,), terms=terms)


def intercept_alone(design: Design) -> Design:
    """The same rows with an intercept and no random effects at all: of a part that matters little."""
    ones = np.ones((design.n_rows, 1), order="F")
    return replace(design, X=ones, coef_names=(INTERCEPT,), terms=(), groupings=(), offset=None)


def is_null(design: Design) -> bool:
    """Whether a model has no predictors to take out."""
    return design.coef_names == (INTERCEPT,) and all(term.names == (INTERCEPT,) for term in design.terms)


def null_formula(design: Design) -> Formula:
    """The formula of the null model: y ~ 1 + (1 | g)."""
    first = {term.grouping: bar for term, bar in zip(design.terms, design.formula.bars, strict=True)}
    bars = tuple(
        Bar("1", first[number].factor, "us", hom=False, text=f"(1 | {grouping.name})")
        for number, grouping in enumerate(design.groupings)
    )
    text = " + ".join([f"{design.formula.response.text} ~ 1", *(bar.text for bar in bars)])
    return replace(design.formula, text=text, fixed="1", bars=bars)
