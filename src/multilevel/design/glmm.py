"""The design of a generalized mixed model: mean, dispersion and excess of zeros, on the same rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from multilevel._typing import Array, Frame
from multilevel.design.arguments import RowNumbers
from multilevel.design.build import build_design, columns_needed
from multilevel.design.columns import INTERCEPT
from multilevel.design.design import Design
from multilevel.design.observed import ResponseKind
from multilevel.errors import DataTypeError, FormulaError
from multilevel.formula.parse import parse_formula
from multilevel.formula.terms import Formula
from multilevel.frames.table import read_table

WHOLE_SUCCESSES = 1e-6  # how far a share times its trials may be from a count, by the share's rounding


@dataclass(frozen=True, slots=True)
class GLMMDesign:
    """What a generalized mixed model is estimated from; every side has the n rows of the main one."""

    main: Design  # the response, and the linear predictor of the mean
    zi: Design | None  # the logit of an excess of zeros; its random effects are its own
    dispersion: Design | None  # the log of the dispersion; None where it is one number, or none

    @property
    def sides(self) -> tuple[Design, ...]:
        """The designs that have random effects or may have them: of the mean, and of zeros."""
        return (self.main,) if self.zi is None else (self.main, self.zi)

    @property
    def trials(self) -> Array | None:
        """Trials of each row (n,), where the response counts successes."""
        return self.main.trials

    @property
    def categories(self) -> tuple[str, ...]:
        """Labels of an ordered response, from the lowest; none where it is a number."""
        return self.main.categories


def build_glmm_design(
    formula: Formula,
    data: Frame,
    response: ResponseKind = "number",
    *,
    zi: str | None = None,
    dispersion: str | None = None,
    weights: RowNumbers | None = None,
    freq_weights: RowNumbers | None = None,
    offset: RowNumbers | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: str = "drop",
    extra_columns: Sequence[str] = (),
) -> GLMMDesign:
    """Code the formula and the right-hand sides `zi` and `dispersion` on the rows complete for all of them.

    Rows with something missing in `extra_columns` are left out, too.

    >>> data = {"y": [1, 2, 0, 3], "x": [0.0, 1.0, 0.0, 1.0], "g": ["a", "a", "b", "b"]}
    >>> design = build_glmm_design(parse_formula("y ~ x + (1 | g)"), data, zi="~ x")
    >>> design.main.coef_names, design.zi.coef_names
    (('Intercept', 'x'), ('Intercept', 'x'))
    """
    if response == "ordered":  # coded beside an intercept, which the thresholds stand for
        formula = replace(formula, fixed=f"1{formula.fixed[1:]}")
    formulas = [
        formula,
        *(
            side_formula(formula, name, text)
            for name, text in (("zi", zi), ("dispersion", dispersion))
            if text
        ),
    ]
    table = read_table(data)
    needed = [columns_needed(each, table.names) for each in formulas]
    given: dict[str, Any] = {"weights": weights, "freq_weights": freq_weights}

    def build(index: int, **more: Any) -> Design:
        others = [name for k, names in enumerate(needed) if k != index for name in names]
        return build_design(
            formulas[index],
            table,
            response=response,
            missing=missing,
            extra_columns=tuple(dict.fromkeys([*others, *extra_columns])),
            contrasts=contrasts_of(index, needed, contrasts),
            **given,
            **more,
        )

    main = with_weights_as_trials(build(0, offset=offset), response)
    sides = iter(range(1, len(formulas)))
    return GLMMDesign(
        main=without_intercept(main) if response == "ordered" else main,
        zi=build(next(sides)) if zi else None,
        dispersion=build(next(sides)) if dispersion else None,
    )


def contrasts_of(
    side: int, needed: Sequence[Sequence[str]], contrasts: Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """Codings of the factors that a side has; the main one also gets those that none has, to refuse them."""
    if contrasts is None:
        return None
    elsewhere = {name for k, names in enumerate(needed) if k != side for name in names}
    mine = set(needed[side])
    return {n: c for n, c in contrasts.items() if n in mine or (side == 0 and n not in elsewhere)}


def side_formula(formula: Formula, name: str, text: object) -> Formula:
    """A right-hand side, `"~ x + (1 | g)"`, as a formula with the response of the model."""
    if not isinstance(text, str):
        raise DataTypeError(f'{name}= is a right-hand side as text, {name}="~ x"; got {text!r:.60}.')
    left, tilde, right = text.partition("~")
    if not tilde or left.strip():
        raise FormulaError(f'{name}={text!r} is no right-hand side; write {name}="~ x", or {name}="~ 1".')
    return parse_formula(f"{formula.response.text} ~ {right.strip()}")


def with_weights_as_trials(design: Design, response: ResponseKind) -> Design:
    """Shares of successes with their trials as weights, which is R's way, as successes in trials."""
    shares, trials = design.y, design.weights
    if response != "trials" or design.trials is not None or trials is None:
        return design
    if ((shares == 0.0) | (shares == 1.0)).all() or (shares < 0.0).any() or (shares > 1.0).any():
        return design
    successes = np.round(shares * trials)
    whole = np.abs(successes - shares * trials) <= WHOLE_SUCCESSES * np.maximum(trials, 1.0)
    if not whole.all() or (trials != np.round(trials)).any():
        return design
    return replace(design, y=successes, trials=trials, weights=None)


def without_intercept(design: Design) -> Design:
    """The same design less its constant column: thresholds take its place in ordinal models."""
    if INTERCEPT not in design.coef_names:
        return design
    at = design.coef_names.index(INTERCEPT)
    stay = [j for j in range(len(design.coef_names)) if j != at]
    combinations = design.dropped.combinations
    return replace(
        design,
        X=design.X[:, stay].copy(order="F"),
        coef_names=_without(design.coef_names, at),
        dropped=replace(design.dropped, combinations=None if combinations is None else combinations[stay]),
        encoder=replace(design.encoder, kept=_without(design.encoder.kept, at)),
    )


def _without(values: Sequence[Any], at: int) -> tuple[Any, ...]:
    return (*values[:at], *values[at + 1 :])
