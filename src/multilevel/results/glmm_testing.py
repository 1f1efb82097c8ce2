"""Tests of the mean's coefficients in a generalized mixed model: chi-square tests by Wald."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

from multilevel._options import checked_choice
from multilevel._typing import Frame
from multilevel.design.fixed_terms import fixed_terms
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.anova import checked_type
from multilevel.inference.clustering import Clustering
from multilevel.inference.term_contrasts import Metric, Type, metric_of_fit
from multilevel.inference.wald_terms import wald_terms
from multilevel.report.anova import chi_square_columns
from multilevel.results.glmm_base import GLMMBase
from multilevel.results.testing import Testing


class GLMMTesting(Testing[GLMMRecord], GLMMBase):
    """Wald tests of terms and hypotheses."""

    def anova(
        self,
        type: Literal[1, 2, 3, "I", "II", "III", "sequential"] = 2,
        *,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        strata: bool = False,
    ) -> Frame:
        """Does each term of the mean matter? Wald's chi-square tests, one row a term.

        The columns are term, statistic, df, p_value. For a likelihood-ratio test fit the model without the
        term and `ml.compare()` the two.

        Args:
            type: 2, each term beside all that do not contain it (`A:B` and `A:x` contain `A`); 3, each term
                beside all others, so that with `A * B` the test of A is at B's reference level, or with
                `contrasts={"B": "sum"}` on average over its levels; 1, each term beside those before it.
            df: None or "z": there are no degrees of freedom to estimate.
            vcov: None or "model".
            cluster: must be None.
            strata: must be False; strata belong to balanced linear models.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> fit.anova().round(4)
                 term  statistic  df  p_value
            0  period    24.9486   3      0.0

        References:
            Fox, J. (2016). Applied Regression Analysis and Generalized Linear Models, 3rd ed., section 15.3.
        """
        checked_choice("strata", str(strata), ("False",))
        self._inference(df, vcov, cluster)  # refuses what there is not
        tests = wald_terms(fixed_terms(self.design), self.fixef, self.record.vcov, checked_type(type))
        return self._frame(chi_square_columns(tests))

    def _metric(self, kind: Type) -> Callable[[], Metric]:  # noqa: ARG002
        """Rows count as the model weighs them: by its own information."""
        return partial(metric_of_fit, self.design.X, self._inference())

    def _own_vcov(self) -> str:
        return "model"
