"""Marginal means of a generalized mixed model, on the scale of the link or of the response."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Frame
from multilevel.errors import ModelError
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.clustering import Clustering
from multilevel.inference.glmm_effects import response_effects
from multilevel.inference.specs import Names
from multilevel.inference.wald import checked_level, critical_value, two_sided_p
from multilevel.report.glmm_tables import ratio_word
from multilevel.report.response_scale import ResponseScale
from multilevel.results.glmm_base import GLMMBase, df_of
from multilevel.results.response_means import ResponseMeans


class GLMMMeans(ResponseMeans[GLMMRecord], GLMMBase):
    """Questions about means at chosen values of the predictors."""

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
            df: with a robust variance "residual" (t on one df fewer than there are clusters) or "z".
            vcov: kind of variance, as for `vcov(kind=)`.
            cluster: clusters of that variance, a column or labels (n,).
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
        sandwich = self._sandwich(vcov, cluster, df)
        record = self._with_variance(sandwich)
        found = response_effects(
            self.model, record, self.call.data, variables, by, integrate=re == "integrate"
        )
        std_error = np.sqrt(np.maximum(np.diag(found.vcov), 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = found.estimate / std_error
        known_df = None if np.isinf(df_of(sandwich)) else np.full(len(statistic), df_of(sandwich))
        half = critical_value(checked_level(level), known_df) * std_error
        return self._frame(
            {
                "term": found.term,
                "contrast": found.contrast,
                **found.groups,
                "estimate": found.estimate,
                "std_error": std_error,
                "statistic": statistic,
                "p_value": two_sided_p(statistic, known_df),
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
