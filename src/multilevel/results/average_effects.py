"""Average marginal effects of a population mean with a link: of `glm` and `gee`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal

from multilevel._options import checked_choice
from multilevel._typing import Frame
from multilevel.inference.clustering import Clustering
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.response_effects import MeanFunction, response_effects, with_errors
from multilevel.inference.specs import Names
from multilevel.inference.wald import checked_level
from multilevel.report.means import effect_columns
from multilevel.results.base import RecordT
from multilevel.results.means import warn_of_unknown
from multilevel.results.response_means import ResponseMeans


class AverageEffects(ResponseMeans[RecordT]):
    """Models without random effects, whose mean is a function of the linear predictor."""

    def ame(
        self,
        variables: Names = None,
        *,
        by: Names = None,
        kind: Literal["response", "link"] = "response",
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        level: float = 0.95,
    ) -> Frame:
        """Average marginal effects: by how much the mean response changes with one variable, over the rows.

        The mean slope along a covariate, or difference to the first level of a factor, everything else as it
        is in each row: differences of probabilities, of counts, of amounts. Standard errors are by the delta
        method.

        Args:
            variables: "x", ["x", "g"]; all variables of the formula if not given.
            by: columns of the data within whose levels effects are averaged.
            kind: "response"; or "link", effects on the linear predictor (log odds, log rates).
            df: a method for degrees of freedom, the fit's own if not given.
            vcov: a kind of variance, the fit's own if not given.
            cluster: its clusters.
            level: of the confidence limits.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glm("incidence / size ~ period", ml.datasets.cbpp(), family="binomial")
            >>> fit.ame()[["contrast", "estimate", "std_error"]].round(3)
              contrast  estimate  std_error
            0    2 - 1    -0.139      0.031
            1    3 - 1    -0.148      0.031
            2    4 - 1    -0.174      0.030

        References:
            Bartus, T. (2005). Estimation of marginal effects using margeff. The Stata Journal 5, 309-329.
        """
        checked_choice("kind", kind, ("response", "link"))
        if kind == "link":
            return super().ame(variables, by=by, df=df, vcov=vcov, cluster=cluster, level=level)
        mean, inference = self._mean_function(), self._effect_inference(df, vcov, cluster)
        source = self._population()
        effects = response_effects(source, self.call.data, variables, by, self.fixef, mean)
        found = with_errors(effects, inference)
        warn_of_unknown(effects.term, found.known)
        labels: dict[str, Sequence[object]] = {
            "term": effects.term,
            "contrast": effects.contrast,
            **effects.groups,
        }
        return self._frame(effect_columns(labels, found, checked_level(level)))

    @abstractmethod
    def _mean_function(self) -> MeanFunction:
        """Mean response at linear predictors, with its derivatives."""

    def _effect_inference(
        self, df: str | None, vcov: str | None, cluster: Clustering | None
    ) -> CoefficientInference:
        """What is believed of the coefficients, and of what else the mean depends on."""
        return self._inference(df, vcov, cluster)
