"""The bootstraps of generalized models, with random effects or without: what they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.inference.bootstrap import Replicates
from multilevel.inference.parameters import Parameter
from multilevel.report.summary import Summary
from multilevel.results.bootstrap import Bootstrap

Kind = Literal["parametric", "case"]


class GeneralizedBootstrap(Bootstrap):
    """Estimates of a generalized model in replicated samples, a row each."""

    model_words: ClassVar[str]  # as the page has it

    def __init__(
        self,
        source: Any,  # what replicates are made from
        design: Design,  # of the mean
        replicates: Replicates,
        parameters: tuple[Parameter, ...],
        estimates: Array,
        *,
        kind: Kind,
        seed: int | Sequence[int] | None,
        requested: int,
        clusters: str | None,
        own_statistic: bool,
    ) -> None:
        self.kind = kind
        self.seed = seed
        self.requested = requested
        self.clusters = clusters
        self.estimates = estimates
        self._parameters = parameters
        self._replicates = replicates
        self._own_statistic = own_statistic
        self._source = source
        self._design = design
        self._fitted = None

    def _studentized(self, level: float, chosen: list[int]) -> Any:  # noqa: ARG002
        raise ModelError('studentized limits are made for linear mixed models; use "percentile" or "bca".')

    def summary(self, level: float = 0.95) -> Summary:
        """Estimates, bias, standard errors and percentile limits on a page, with what deserves notice."""
        page = super().summary(level)
        title = f"{self.kind.capitalize()} bootstrap of a {self.model_words}"
        return Summary(title, page.facts, page.blocks, page.notes)
