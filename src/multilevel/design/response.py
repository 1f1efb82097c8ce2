"""The left side of a formula as numbers."""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.design.columns import refuse_not_finite
from multilevel.design.expressions import Columns, Memory, Value, evaluate, plain_name
from multilevel.design.factor import Factor
from multilevel.errors import DataError, DataTypeError, FormulaError
from multilevel.formula.terms import Response


def evaluate_response(
    response: Response, columns: Columns, memory: Memory, n: int, rows: Mask | None
) -> Array:
    """The response (n,), a copy; `rows` says where the rows used stand in the data, for messages."""
    if response.kind != "single":
        raise FormulaError(_no_trials(response))
    expression = response.expressions[0]
    value = evaluate(expression, columns, memory)
    if isinstance(value, Factor) or value.dtype == np.bool_:
        raise DataTypeError(_not_numeric(response, value))
    if np.shape(value) != (n,):
        raise DataError(f"The response '{response.text}' does not give one value for each row.")
    y = np.array(value, dtype=np.float64)
    if expression not in columns:  # what is computed, unlike what is read, has not been looked at
        refuse_not_finite(f"The response '{response.text}'", y, rows)
    return y


def refuse_constant(y: Array, text: str) -> None:
    """A response without variation has nothing to explain."""
    if (y[:100] == y[0]).all() and (y == y[0]).all():
        raise DataError(
            f"The response '{plain_name(text)}' is {y[0]:g} in every row used, so there is nothing "
            "to explain; check the data."
        )


def _no_trials(response: Response) -> str:
    successes, other = response.expressions
    if response.kind == "ratio":
        return (
            f"'{response.text}' on the left means successes out of trials, which only a binomial model has; "
            f"for the ratio itself write I({successes} / {other})."
        )
    return (
        f"'{response.text}' on the left means successes and failures, which only a binomial model has; "
        "name one numeric response."
    )


def _not_numeric(response: Response, value: Value) -> str:
    if isinstance(value, Factor):
        return f"The response '{response.text}' holds labels, not numbers; name a numeric column."
    return (
        f"The response '{response.text}' is true or false; convert it to 0 and 1 to model the probability "
        "on a linear scale."
    )
