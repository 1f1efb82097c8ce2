"""Marginal means of a model with a link, on the scale of the link or of the response."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, Literal

from multilevel._options import Seed, checked_choice
from multilevel.inference.clustering import Clustering
from multilevel.inference.specs import Names
from multilevel.report.response_scale import ResponseScale
from multilevel.results.base import RecordT
from multilevel.results.marginal_means import ContrastTable, MarginalMeans
from multilevel.results.means import At, Means

Scale = Literal["link", "response"]


class ResponseMeans(Means[RecordT]):
    """Questions about means at chosen values of the predictors."""

    def emmeans(
        self,
        specs: Names,
        by: Names = None,
        *,
        kind: Scale = "link",
        at: At | None = None,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        weights: str = "equal",
        level: float = 0.95,
    ) -> MarginalMeans:
        """Estimated marginal means, in a typical group: random effects are zero.

        Means are averages of linear predictors over a reference grid. With kind="response" they are shown
        through the inverse of the link, and contrasts of them as odds ratios, rate ratios or hazard ratios.
        All other arguments are those of `ml.lmm(...).emmeans`.

        Args:
            specs: the factors whose levels have means: "a", ["a", "b"], "a * b", or "a | b".
            by: variables within whose levels the means are compared later.
            kind: "link", or "response".
            at: values on the grid instead of the usual.
            df: with a robust variance "residual" (t on one df fewer than there are clusters) or "z".
            vcov: kind of variance, as for `vcov(kind=)`.
            cluster: clusters of that variance, a column or labels (n,).
            weights: "equal", "proportional", "outer", "cells" or "flat".
            level: of the confidence limits.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> fit.emmeans("period", kind="response")["estimate"].round(3)
            array([0.198, 0.084, 0.074, 0.048])
            >>> fit.emmeans("period", kind="response").contrasts("consecutive")["estimate"].round(2)
            array([0.37, 0.87, 0.64])

        References:
            Searle, S. R., Speed, F. M. & Milliken, G. A. (1980). Population marginal means in the linear
            model: an alternative to least squares means. The American Statistician 34, 216-221.
        """
        checked_choice("kind", kind, ("link", "response"))
        means = super().emmeans(
            specs, by, at=at, df=df, vcov=vcov, cluster=cluster, weights=weights, level=level
        )
        if kind == "link":
            return means
        return replace(means, holder=replace(means.holder, scale=self._response_scale()))

    def contrasts(
        self,
        specs: Names,
        method: Any = "pairwise",
        *,
        kind: Scale = "link",
        by: Names = None,
        adjust: str | None = None,
        ref: object = None,
        interaction: bool = False,
        at: At | None = None,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        weights: str = "equal",
        level: float = 0.95,
        seed: Seed = 0,
    ) -> ContrastTable:
        """Differences between marginal means on the scale of the link; with kind="response" ratios.

        The same as `fit.emmeans(specs, by, kind=kind, ...).contrasts(method, ...)`.
        """
        means = self.emmeans(
            specs,
            by,
            kind=kind,
            at=at,
            df=df,
            vcov=vcov,
            cluster=cluster,
            weights=weights,
            level=level,
        )
        return means.contrasts(method, adjust=adjust, ref=ref, interaction=interaction, seed=seed)

    @abstractmethod
    def _response_scale(self) -> ResponseScale:
        """How means and contrasts are carried through the inverse of the link."""
