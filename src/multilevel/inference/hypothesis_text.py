"""Hypotheses as text: linear equations in the names of coefficients.

Names may hold brackets, colons and commas of their own:

    "Days = 0"    "A[T.b] = A[T.c]"    "(x1 + x2) / 2 - 2 * x3 = 5, x1:z = 0"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np

from multilevel._typing import Array
from multilevel.errors import DataError, ModelError

Kind: TypeAlias = Literal["name", "number", "sign", "end"]

MOST_NAMED = 8  # coefficients that an error lists
_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_SIGN = re.compile(r"==|[=+\-*/(),;\n]")
_UNKNOWN = re.compile(r"`[^`]*`|(?:[^\W\d][\w.]*(?:\[[^\]]*\]|\([^)]*\))*:?)+|\S")  # what a name looks like


@dataclass(frozen=True, slots=True)
class Coefficients:
    """The names that a hypothesis may use, and those it may not."""

    names: tuple[str, ...]  # (p,)
    dropped: tuple[str, ...]  # columns that the model does without


@dataclass(frozen=True, slots=True)
class Linear:
    """weights'beta + constant: the value of an expression."""

    weights: Array  # (p,)
    constant: float

    def plus(self, other: Linear, factor: float = 1.0) -> Linear:
        """This and `factor` times another."""
        return Linear(self.weights + factor * other.weights, self.constant + factor * other.constant)

    def times(self, factor: float) -> Linear:
        """A multiple of this."""
        return Linear(factor * self.weights, factor * self.constant)

    @property
    def is_number(self) -> bool:
        """Whether no coefficient has a part in it."""
        return not self.weights.any()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a hypothesis."""

    kind: Kind
    text: str
    start: int
    end: int


def parse(text: str, coefficients: Coefficients) -> list[tuple[str, Linear]]:
    """The statements in a text, each with its label and as an expression that is to be zero.

    >>> names = Coefficients(("Intercept", "x", "g[T.b]"), ())
    >>> [(label, value.weights, value.constant) for label, value in parse("2*x = g[T.b] + 1", names)]
    [('2*x = g[T.b] + 1', array([ 0.,  2., -1.]), -1.0)]
    """
    reader = _Reader(text, coefficients)
    statements = list(reader.statements())
    if not statements:
        raise DataError('there is no hypothesis to test; write for example test("x = 0").')
    return statements


class _Reader:
    """Reads sums, products and brackets, one token after the other."""

    def __init__(self, text: str, coefficients: Coefficients) -> None:
        self.text = text
        self.coefficients = coefficients
        self.tokens = list(_tokens(text, coefficients))
        self.at = 0

    def statements(self) -> Iterator[tuple[str, Linear]]:
        """Each statement; one without = says that its expression is zero, `a = b = c` makes two."""
        while self._next().kind != "end":
            if self._take(",", ";", "\n"):
                continue
            first = self.at
            sides = [self._sum()]
            while self._take("=", "=="):
                sides.append(self._sum())
            if self._next().kind != "end" and self._next().text not in (",", ";", "\n"):
                self._complain()
            texts = self._sides(first)
            if len(sides) == 1:
                yield f"{texts[0]} = 0", sides[0]
            for (left, right), (one, other) in zip(pairwise(sides), pairwise(texts), strict=True):
                yield f"{one} = {other}", left.plus(right, -1.0)

    def _sides(self, first: int) -> list[str]:
        """The texts between the equal signs of the statement that began at a token."""
        bounds, start = [], self.tokens[first].start
        for token in self.tokens[first : self.at]:
            if token.text in ("=", "=="):
                bounds.append((start, token.start))
                start = token.end
        bounds.append((start, self.tokens[self.at - 1].end))
        return [" ".join(self.text[a:b].split()) for a, b in bounds]

    def _sum(self) -> Linear:
        value = self._product()
        while sign := self._take("+", "-"):
            value = value.plus(self._product(), 1.0 if sign == "+" else -1.0)
        return value

    def _product(self) -> Linear:
        value = self._single()
        while sign := self._take("*", "/"):
            other = self._single()
            if sign == "/":
                value = value.times(1.0 / self._number(other, divisor=True))
            elif other.is_number:
                value = value.times(other.constant)
            else:
                value = other.times(self._number(value, divisor=False))
        return value

    def _number(self, value: Linear, *, divisor: bool) -> float:
        if not value.is_number or (divisor and value.constant == 0.0):
            does = "divides by a coefficient or by zero" if divisor else "multiplies coefficients"
            raise DataError(f"'{self.text}' {does}; hypotheses are linear, such as '2 * a - b / 3 = 0'.")
        return value.constant

    def _single(self) -> Linear:
        nothing = np.zeros(len(self.coefficients.names))
        if self._take("-"):
            return self._single().times(-1.0)
        if self._take("+"):
            return self._single()
        if self._take("("):
            value = self._sum()
            if not self._take(")"):
                self._complain()
            return value
        token = self._next()
        if token.kind not in ("name", "number"):
            self._complain()
        self.at += 1
        if token.kind == "number":
            return Linear(nothing, float(token.text))
        nothing[position(token.text, self.coefficients)] = 1.0
        return Linear(nothing, 0.0)

    def _next(self) -> Token:
        return self.tokens[self.at]

    def _take(self, *signs: str) -> str | None:
        token = self._next()
        if token.kind != "sign" or token.text not in signs:
            return None
        self.at += 1
        return token.text

    def _complain(self) -> None:
        token = self._next()
        where = "ends too early" if token.kind == "end" else f"cannot be read at '{token.text}'"
        raise DataError(
            f"the hypothesis '{self.text.strip()}' {where}; write sums of coefficients, such as "
            "'2 * a - b = 0', with commas between hypotheses."
        )


def _tokens(text: str, coefficients: Coefficients) -> Iterator[Token]:
    """Names of coefficients as long as they can be, numbers, and signs."""
    known = _pattern([*coefficients.names, *coefficients.dropped])
    kinds: tuple[tuple[Kind, re.Pattern[str]], ...] = (
        ("name", known),
        ("number", _NUMBER),
        ("sign", _SIGN),
        ("name", _UNKNOWN),  # takes anything
    )
    at = 0
    while at < len(text):
        if text[at] != "\n" and text[at].isspace():
            at += 1
            continue
        kind, found = next(
            (kind, found) for kind, pattern in kinds if (found := pattern.match(text, at)) is not None
        )
        yield Token(kind, found[0].rstrip(":"), at, found.end())
        at = found.end()
    yield Token("end", "", at, at)


def _pattern(names: Sequence[str]) -> re.Pattern[str]:
    """Any of the names, spaces aside, where no longer name goes on."""
    pieces = (r"\s*".join(map(re.escape, re.findall(r"\w+|[^\w\s]", name))) for name in names)
    longest = sorted(pieces, key=len, reverse=True)
    return re.compile(rf"(?:{'|'.join(longest)})(?![\w\[:.]|\s*\()" if longest else r"(?!)")


def position(name: str, coefficients: Coefficients) -> int:
    """Which coefficient a name is: as it is written, spaces and the order of an interaction aside."""
    keys = [_key(known) for known in coefficients.names]
    if _key(name) in keys:
        return keys.index(_key(name))
    if _key(name) in map(_key, coefficients.dropped):
        raise ModelError(
            f"'{name}' was dropped from the model, being a linear combination of the columns before it, so "
            f"nothing can be said of it; the coefficients are {listed(coefficients.names)}."
        )
    raise DataError(f"there is no coefficient '{name}'; {_nearest(name, coefficients.names)}")


def _key(name: str) -> tuple[str, ...]:
    """Parts of an interaction in alphabetical order, without spaces."""
    parts, depth = [""], 0
    for character in "".join(name.split()):
        depth += (character in "([") - (character in ")]")
        if character == ":" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return tuple(sorted(parts))


def _nearest(name: str, names: Sequence[str]) -> str:
    part = [known for known in names if len(name) > 2 and name.lower() in known.lower()]
    near = list(dict.fromkeys([*get_close_matches(name, names, n=3), *part]))[:5]
    if near:
        return f"did you mean {' or '.join(repr(each) for each in near)}?"
    return f"the coefficients are {listed(names)}."


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def describe(weights: Array, names: Sequence[str]) -> str:
    """A row of L as a sum of coefficients.

    >>> describe(np.array([0.0, 1.0, -0.5]), ["Intercept", "x", "z"])
    'x - 0.5 * z'
    """
    words: list[str] = []
    for weight, name in zip(weights.tolist(), names, strict=True):
        if weight != 0.0:
            sign = ("- " if weight < 0 else "+ ") if words else ("-" if weight < 0 else "")
            times = "" if abs(weight) == 1.0 else f"{abs(weight):.4g} * "
            words.append(f"{sign}{times}{name}")
    return " ".join(words)
