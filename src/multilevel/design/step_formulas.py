"""How are the steps of a ladder of models written as formulas?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from multilevel.design.expressions import plain_name
from multilevel.design.model_terms import Term, columns_of_all, expand_terms
from multilevel.formula.terms import Formula

_NAME = re.compile(r"(?:[^\W\d]|\.(?!\d))[\w.]*")  # what a formula reads as one name


@dataclass(frozen=True, slots=True)
class StepFormulas:
    """The parts that formulas of all steps are put together from, as text that can be parsed again."""

    response: str
    right: str  # the fixed part as the user wrote it, offsets included
    offsets: tuple[str, ...]  # "offset(k)"
    terms: tuple[Term, ...]  # of the fixed part, expanded
    group_columns: tuple[str, ...]
    available: tuple[str, ...]  # columns of the data

    @property
    def groups(self) -> str:
        """The grouping factor in a bar: "g", or "a:b" for combinations."""
        return ":".join(map(quoted, self.group_columns))

    @property
    def has_intercept(self) -> bool:
        """Whether the fixed part has an intercept."""
        return () in self.terms

    @property
    def has_predictors(self) -> bool:
        """Whether the fixed part is more than an intercept."""
        return any(self.terms)

    @property
    def main_effects(self) -> tuple[str, ...]:
        """The predictors that stand alone in a term."""
        return tuple(term[0] for term in self.terms if len(term) == 1)

    @property
    def predictor_columns(self) -> tuple[str, ...]:
        """The columns that predictors are computed from."""
        return columns_of_all([part for term in self.terms for part in term], self.available)

    def columns_of(self, expression: str) -> frozenset[str]:
        """The columns that one expression is computed from."""
        return frozenset(columns_of_all([expression], self.available))

    def written(self, expression: str) -> str:
        """An expression as a user would write it."""
        return written(expression, self.available)

    def without_groups(self) -> str:
        """The mean alone: y ~ 1."""
        return self.with_fixed("1")

    def with_fixed(self, fixed: str, *bars: str) -> str:
        """Another fixed part, with the offsets and some bars: "y ~ 1 + (1 | g)"."""
        return f"{self.response} ~ {' + '.join([fixed, *self.offsets, *bars])}"

    def with_bars(self, *bars: str) -> str:
        """The fixed part as it was written, with some bars."""
        return f"{self.response} ~ {' + '.join([self.right, *bars])}"

    def bar(self, effects: Sequence[str] = ()) -> str:
        """A random intercept, and random slopes of some expressions: "(1 + x | g)"."""
        return f"({' + '.join(['1', *map(self.written, effects)])} | {self.groups})"

    def cells(self, expression: str) -> str:
        """A random intercept for each combination of a group and a level of a factor: "(1 | g:f)"."""
        return f"(1 | {self.groups}:{self.written(expression)})"

    def fixed_with_time(self, time: str, forms: Sequence[str]) -> str:
        """The fixed part with what depends on `time` alone replaced by other forms of it."""
        first, others = ("1" if self.has_intercept else "0"), []
        for term in self.terms:
            if term and not all(self.columns_of(part) <= {time} for part in term):
                others.append(":".join(map(self.written, term)))
        parts = [*forms, *others]
        return " + ".join(parts if self.has_intercept else [first, *parts])


def step_formulas(formula: Formula, groups: str, available: tuple[str, ...]) -> StepFormulas:
    """The parts of a formula without bars, for rows in groups.

    >>> from multilevel.formula.parse import parse_formula
    >>> parts = step_formulas(parse_formula("y ~ x * z"), "g", ("y", "x", "z", "g"))
    >>> parts.with_bars(parts.bar(["x"])), parts.main_effects
    ('y ~ x * z + (1 + x | g)', ('x', 'z'))
    """
    return StepFormulas(
        response=formula.response.text,
        right=" ".join(formula.text.partition("~")[2].split()),
        offsets=tuple(f"offset({plain_name(each)})" for each in formula.offsets),
        terms=expand_terms(formula.fixed),
        group_columns=(groups,) if groups in available else tuple(groups.split(":")),
        available=available,
    )


def written(expression: str, available: tuple[str, ...]) -> str:
    """An expression as a user would write it in a formula."""
    return quoted(expression) if expression in available else plain_name(expression)


def quoted(name: str) -> str:
    """A column's name, in backticks where it would not be read as one."""
    return name if _NAME.fullmatch(name) else f"`{name}`"
