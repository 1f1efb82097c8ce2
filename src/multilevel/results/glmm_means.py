"""Marginal means of a generalized mixed model, on the scale of the link or of the response."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from multilevel._options import Seed, checked_choice
from multilevel._typing import Frame
from multilevel.errors import ModelError
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.clustering import Clustering
from multilevel.inference.glmm_effects import response_effects
from multilevel.inference.specs import Names
from multilevel.inference.wald import checked_level, critical_value, two_sided_p
from multilevel.report.glmm_tables import ratio_word
from multilevel.report.response_scale import ResponseScale
from multilevel.results.glmm_base import GLMMBase
from multilevel.results.marginal_means import ContrastTable, MarginalMeans
from multilevel.results.means import At, Means

Scale = Literal["link", "response"]


class GLMMMeans(Means[GLMMRecord], GLMMBase):
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
            df: None or "z".
            vcov: None or "model".
            cluster: must be None.
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

    def ame(
        self,
        variables: Names = None,
        *,
        by: Names = None,
        re: Literal["integrate", "none"] = "integrate",
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        level: float = 0.95,
    ) -> Frame:
        """Average marginal effects on the response: what a change of one variable does in the population.

        The mean slope along a covariate, or difference to the first level of a factor, of the expected
        response, everything else as it is in each row: differences of probabilities, of counts, of amounts.
        Random effects are averaged over, and an excess of zeros counts.

        Args:
            variables: "x", ["x", "g"]; all variables of the fixed parts if not given.
            by: columns of the data within whose levels effects are averaged.
            re: "integrate" over the random effects, or "none": in a group whose random effects are zero.
            df: None or "z".
            vcov: None or "model".
            cluster: must be None.
            level: of the confidence limits.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> fit.ame()[["contrast", "estimate", "std_error"]].round(3)
              contrast  estimate  std_error
            0    2 - 1    -0.119      0.036
            1    3 - 1    -0.130      0.036
            2    4 - 1    -0.159      0.037

        References:
            Bartus, T. (2005). Estimation of marginal effects using margeff. The Stata Journal 5, 309-329.
        """
        checked_choice("re", re, ("integrate", "none"))
        self._inference(df, vcov, cluster)  # refuses what there is not
        found = response_effects(
            self.model, self.record, self.call.data, variables, by, integrate=re == "integrate"
        )
        std_error = np.sqrt(np.maximum(np.diag(found.vcov), 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = found.estimate / std_error
        half = critical_value(checked_level(level), None) * std_error
        return self._frame(
            {
                "term": found.term,
                "contrast": found.contrast,
                **found.groups,
                "estimate": found.estimate,
                "std_error": std_error,
                "statistic": statistic,
                "p_value": two_sided_p(statistic, None),
                "conf_low": found.estimate - half,
                "conf_high": found.estimate + half,
            }
        )

    def _response_scale(self) -> ResponseScale:
        family = self.record.family
        if family.response == "ordered":
            raise ModelError(
                "the response of an ordinal model is a category, which has no mean; use kind='link', or "
                "predict() for the probabilities of the categories."
            )
        words = {"trials": "probabilities", "number": "on the scale of the response"}
        ratio = None if family.link.ratio is None else ratio_word(self.record)
        return ResponseScale(family.link, words[family.response], ratio)
