"""What was observed in each row: a number, successes in trials, or one of several ordered categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.design.columns import refuse_not_finite, row_list
from multilevel.design.expressions import Columns, Memory, Value, evaluate
from multilevel.design.factor import Factor, as_factor
from multilevel.design.response import evaluate_response
from multilevel.errors import DataError, DataTypeError, FormulaError
from multilevel.formula.terms import Response
from multilevel.frames.labels import label_text

ResponseKind: TypeAlias = Literal["number", "trials", "ordered"]
MOST_CATEGORIES = 30
WHOLE = 1e-8  # how far rounding may move a count


@dataclass(frozen=True, slots=True)
class Observed:
    """The response of n rows."""

    y: Array  # (n,) a number; successes; or the category, counted from 0
    trials: Array | None = None  # (n,) of each row; None where each is one
    categories: tuple[str, ...] = ()  # labels of the ordered categories, the lowest first


def observe(
    kind: ResponseKind, response: Response, columns: Columns, memory: Memory, n: int, rows: Mask | None
) -> Observed:
    """The left side of a formula as a family of this kind takes it; `rows` place them in messages."""
    if kind == "number":
        return Observed(evaluate_response(response, columns, memory, n, rows))
    if kind == "ordered":
        return ordered_categories(response, single_value(response, columns, memory, n))
    if response.kind == "single":
        return Observed(zero_or_one(response, single_value(response, columns, memory, n)))
    first, second = (
        count_of(expression, evaluate(expression, columns, memory), n, rows)
        for expression in response.expressions
    )
    trials = second if response.kind == "ratio" else first + second
    refuse_impossible_counts(response, first, trials, rows)
    return Observed(first, None if (trials == 1.0).all() else trials)


def single_value(response: Response, columns: Columns, memory: Memory, n: int) -> Value:
    """The one expression on the left."""
    if response.kind != "single":
        raise FormulaError(
            f"'{response.text}' on the left means successes out of trials, which only a binomial model has; "
            "name one ordered column."
        )
    value = evaluate(response.expressions[0], columns, memory)
    if len(value) != n:
        raise DataError(f"The response '{response.text}' does not give one value for each row.")
    return value


# ---- successes ----


def zero_or_one(response: Response, value: Value) -> Array:
    """Single trials: numbers 0 and 1 (or shares, for the family to judge), truth values, or two labels."""
    if isinstance(value, Factor):
        if len(value.levels) != 2:
            raise DataTypeError(
                f"The response '{response.text}' holds {len(value.levels)} labels; a binomial model explains "
                "two, 0 and 1, or successes / trials."
            )
        return value.codes.astype(np.float64)
    return np.array(value, dtype=np.float64)


def count_of(expression: str, value: Value, n: int, rows: Mask | None) -> Array:
    """Whole numbers (n,), none of them negative."""
    if isinstance(value, Factor):
        raise DataTypeError(f"'{expression}' holds labels, not counts of trials.")
    numbers = np.asarray(value, dtype=np.float64)
    counts = numbers if numbers.shape == (n,) else np.broadcast_to(numbers, (n,))
    refuse_not_finite(f"'{expression}'", counts, rows)
    whole = np.rint(counts)
    if (whole == counts).all() and whole.min(initial=0.0) >= 0.0:
        return whole
    wrong = (np.abs(counts - whole) > WHOLE * np.maximum(whole, 1.0)) | (whole < 0.0)
    if wrong.any():
        raise DataError(
            f"'{expression}' counts trials, and is no count (0, 1, 2, ...) in {row_list(wrong, rows)}."
        )
    return whole


def refuse_impossible_counts(response: Response, successes: Array, trials: Array, rows: Mask | None) -> None:
    """More successes than trials, or no trials at all."""
    many = successes > trials
    if many.any():
        raise DataError(
            f"'{response.text}' has more successes than trials in {row_list(many, rows)}; is the order "
            "successes / trials?"
        )
    none = trials == 0.0
    if none.any():
        raise DataError(f"'{response.text}' has no trials in {row_list(none, rows)}; leave these rows out.")


# ---- ordered categories ----


def ordered_categories(response: Response, value: Value) -> Observed:
    """Categories from 0 of the labels that occur, in their order."""
    factor = ordered_factor(response, value)
    counts = np.bincount(factor.codes, minlength=len(factor.levels))
    place = np.cumsum(counts > 0) - 1
    labels = tuple(
        label_text(level) for level, count in zip(factor.levels, counts.tolist(), strict=True) if count
    )
    refuse_too_few(response, labels)
    return Observed(place[factor.codes].astype(np.float64), None, labels)


def ordered_factor(response: Response, value: Value) -> Factor:
    """An ordered categorical column, or numbers, whose order is theirs."""
    if isinstance(value, Factor):
        if not (value.ordered or value.ranked) and len(value.levels) > 2:
            shown = ", ".join(label_text(level) for level in value.levels[:5])
            raise DataTypeError(
                f"The response '{response.text}' has categories without an order ({shown}), which an ordinal "
                "model needs; make the column an ordered categorical (in polars an Enum), or write "
                f"ordered({response.text}, levels=[...]) in its place, lowest category first."
            )
        return value
    factor = as_factor(value)
    if len(factor.levels) > MOST_CATEGORIES:
        raise DataError(
            f"The response '{response.text}' has {len(factor.levels)} different numbers, too many to be "
            "ordered categories; use another family."
        )
    return factor


def refuse_too_few(response: Response, labels: Sequence[str]) -> None:
    """One category leaves nothing to explain."""
    if len(labels) < 2:
        raise DataError(
            f"The response '{response.text}' is {labels[0]} in every row used; there is nothing to explain."
        )


def category_of(labels: Sequence[str], response: Response, value: Value) -> Array:
    """Categories of new data (n,) among those of the fit; NaN where the fit has not seen one."""
    factor = ordered_factor(response, value)
    known = {label: float(code) for code, label in enumerate(labels)}
    lookup = np.array([known.get(label_text(level), np.nan) for level in factor.levels])
    return np.asarray(lookup[factor.codes])
