"""What a formula says, before any data: response, fixed part, offsets, random-effect bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

StructureName = Literal["us", "diag", "cs", "ar1"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One random-effects term, `(effects | factor)`, after `/` and `||` have been expanded."""

    effects: str  # left of the bar as a formulaic right-hand side, e.g. "1 + Days"
    factor: tuple[str, ...]  # expressions whose interaction groups the rows, e.g. ("batch", "cask")
    structure: StructureName  # "||" gives "diag"
    hom: bool  # one common variance for all columns (cs, ar1, diag)
    text: str  # as the user wrote it, for messages


@dataclass(frozen=True, slots=True)
class Response:
    """The left side. `a / b` and `cbind(a, b)` are kept apart: only binomial families may use them."""

    kind: Literal["single", "ratio", "cbind"]
    expressions: tuple[str, ...]  # one expression, or (successes, trials), or (successes, failures)
    text: str


@dataclass(frozen=True, slots=True)
class Formula:
    """A parsed model formula."""

    text: str
    response: Response
    fixed: str  # formulaic right-hand side of the fixed part, always explicit about the intercept
    offsets: tuple[str, ...]  # expressions inside offset(...)
    bars: tuple[Bar, ...]
