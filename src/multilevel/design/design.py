"""`Design`: the arrays a model is estimated from, and what is needed to code new data alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from multilevel._typing import Array, Codes, Mask
from multilevel.formula.terms import Formula, StructureName

if TYPE_CHECKING:
    from multilevel.design.encoder import Encoder
    from multilevel.frames.table import FrameKind


@dataclass(frozen=True, slots=True)
class Grouping:
    """A grouping factor: which level each used row belongs to."""

    name: str  # "Subject", or "batch:cask" for an interaction
    codes: Codes  # (n,) 0 .. J-1, every level present at least once
    levels: tuple[str, ...]  # (J,) labels as text, in the order of the codes

    @property
    def n_levels(self) -> int:
        """Number of levels J."""
        return len(self.levels)


@dataclass(frozen=True, slots=True)
class RandomTerm:
    """One bar of the formula: columns that vary by the levels of a grouping factor."""

    label: str  # "1 + Days | Subject"
    grouping: int  # index into Design.groupings
    names: tuple[str, ...]  # (q,) column names, e.g. ("Intercept", "Days")
    Z: Array  # (n, q), Fortran order: the columns before they are spread over the levels
    structure: StructureName
    hom: bool

    @property
    def n_columns(self) -> int:
        """Number of columns q."""
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Dropped:
    """What the design left out, so that it can be said."""

    n_total: int  # rows in the data
    n_missing: int  # rows dropped for a missing value
    missing_by_column: dict[str, int]  # column -> rows in which it is missing
    columns: tuple[str, ...]  # columns of X dropped because X was rank deficient
    combinations: Array | None = None  # (p, k) these columns as combinations of the p kept; None if k = 0


@dataclass(frozen=True, slots=True)
class Design:
    """Everything estimation needs; n rows used, p fixed-effect columns kept.

    The response is stored as given; estimation works on `y - offset`.
    """

    formula: Formula
    y: Array  # (n,)
    X: Array  # (n, p) Fortran order, full column rank
    coef_names: tuple[str, ...]  # (p,) formulaic's names
    groupings: tuple[Grouping, ...]
    terms: tuple[RandomTerm, ...]
    weights: Array | None  # (n,) precision weights: Var(e_i) = sigma^2 / w_i
    freq_weights: Array | None  # (n,) counts: how many times each row stands
    offset: Array | None  # (n,) known part of the linear predictor
    rows: Mask  # (n_total,) True for the rows used
    dropped: Dropped
    encoder: Encoder  # codes new data as these were coded
    frame_kind: FrameKind  # the user's own kind of frame, for tables that go back
    trials: Array | None = None  # (n,) where the response counts successes; None where each row is one trial
    categories: tuple[str, ...] = ()  # labels of an ordered response, whose y is the category from 0

    @property
    def n_rows(self) -> int:
        """Rows used."""
        return len(self.y)

    @property
    def n_obs(self) -> float:
        """Observations: rows, each counted as often as its frequency weight says."""
        return float(self.n_rows if self.freq_weights is None else self.freq_weights.sum())

    @property
    def response_name(self) -> str:
        """The left side as written."""
        return self.formula.response.text
