"""Ordered categories: thresholds cut a latent variable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from multilevel._options import checked_choice
from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.families.family import DensityName, Family, PredictorName, ResponseKind

NO_MEAN = "ordered categories have no mean and variance; fit them by ml.glmm."
Thresholds = Literal["flexible", "symmetric", "equidistant"]


@dataclass(frozen=True, init=False)
class Ordinal(Family):
    """Ordered categories by a cumulative model: link(P(y <= j)) = threshold_j - eta.

    There is no intercept: the thresholds take its place. `thresholds` may be "flexible", "symmetric" about
    their middle, or "equidistant".
    """

    thresholds: Thresholds = "flexible"
    name: ClassVar[str] = "ordinal"
    density: ClassVar[DensityName] = "ordinal"
    links: ClassVar[tuple[str, ...]] = ("logit", "probit", "cloglog", "cauchit")
    predictors: ClassVar[tuple[PredictorName, ...]] = ("upper", "lower")
    response: ClassVar[ResponseKind] = "ordered"
    quasi: ClassVar[bool] = False

    def __init__(self, link: str | None = None, *, thresholds: Thresholds = "flexible") -> None:
        checked_choice("thresholds", thresholds, ("flexible", "symmetric", "equidistant"))
        super().__init__(link)
        object.__setattr__(self, "thresholds", thresholds)

    def variance(self, mu: Array) -> Array:  # noqa: ARG002
        """Categories have no mean."""
        raise ModelError(NO_MEAN)

    def unit_deviance(self, y: Array, mu: Array) -> Array:  # noqa: ARG002
        """Categories have no mean."""
        raise ModelError(NO_MEAN)

    def start(self, y: Array) -> Array:  # noqa: ARG002
        """Categories have no mean."""
        raise ModelError(NO_MEAN)

    def refuse_impossible(self, y: Array, text: str) -> None:
        """Categories are coded before, from the labels."""
