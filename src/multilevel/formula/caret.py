"""Where in a formula is the mistake? Errors that show the text with a caret under the place."""

from __future__ import annotations

from multilevel.errors import FormulaError


def formula_error(text: str, position: int, problem: str) -> FormulaError:
    """The error to raise: what is wrong and what to do, the formula, and a caret under `position`."""
    line_start = text.rfind("\n", 0, position) + 1
    line = text[line_start:].partition("\n")[0]
    return FormulaError(f"{problem}\n  {line}\n  {' ' * (position - line_start)}^")
