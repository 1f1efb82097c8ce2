"""Tests of fixed effects: terms, hypotheses of one's own, and the strata of an experiment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy.typing as npt

from multilevel._options import checked_switch
from multilevel._typing import Array, Frame
from multilevel.errors import DataError, ModelError
from multilevel.inference.anova import checked_type, joint_test, tests_of_hypotheses, tests_of_terms
from multilevel.inference.clustering import Clustering
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.hypotheses import Asked, read_hypotheses, refuse_contradiction
from multilevel.inference.hypothesis_text import Coefficients
from multilevel.inference.strata import strata_tests
from multilevel.inference.term_contrasts import Metric, Type, metric_of_fit, metric_of_rows
from multilevel.report.anova import anova_columns, hypothesis_columns, joint_columns, strata_columns
from multilevel.results.base import Fit, RecordT


class Testing(Fit[RecordT]):
    """Fits whose fixed effects can be tested."""

    def anova(
        self,
        type: Literal[1, 2, 3, "I", "II", "III", "sequential"] = 3,
        *,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        strata: bool = False,
    ) -> Frame:
        """Does each term matter? F tests, one row a term.

        The columns are term, sum_sq, mean_sq, df_num, df_den, statistic, p_value. Where terms overlap, the
        type says what "matter" means; with balanced data all types agree, and none depends on how factors are
        coded. A term contains another that has the same numeric factors and fewer others: `A:B` contains `A`,
        and `A:x` contains `x` but not `A`, so that in `A * x` the levels of A are compared where x is zero.

        Args:
            type: 3, each term on average over the cells of terms that contain it, each cell counting alike;
                2, each term beside all that do not contain it; 1, each term beside those before it. Types 1
                and 2 average over cells as the rows do. "sequential" is type 1 in the model's own weighting
                of rows, which R's lme4 and nlme print.
            df: method for the denominator degrees of freedom, of a mixed model "satterthwaite",
                "kenward-roger" or another of those of `summary`; the fit's own if not given.
            vcov: kind of variance; with one that is robust there are no sums of squares.
            cluster: clusters of that variance, a column or labels (n,).
            strata: instead, the classical analysis of a balanced experiment with random intercepts: each term
                in each stratum (between blocks, between plots, within plots) where it varies, beside the
                stratum's residuals, with terms in the order of the formula. One row a term and stratum:
                stratum, term, df, sum_sq, mean_sq, statistic, p_value.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Y ~ V * N + (1 | B/V)", ml.datasets.oats())
            >>> fit.anova()[["term", "df_num", "df_den", "statistic", "p_value"]].round(3)
              term  df_num  df_den  statistic  p_value
            0    V       2    10.0      1.485    0.272
            1    N       3    45.0     37.686    0.000
            2  V:N       6    45.0      0.303    0.932

        References:
            Goodnight, J. H. (1980). Tests of hypotheses in fixed effects linear models. Communications in
            Statistics - Theory and Methods 9, 167-180.
            Nelder, J. A. (1965). The analysis of randomized experiments with orthogonal block structure.
            Proceedings of the Royal Society A 283, 147-178.
        """
        kind = checked_type(type)
        if checked_switch("strata", strata):
            refuse_with_strata(kind, df, vcov, cluster)
            return self._frame(strata_columns(strata_tests(self.design)))
        inference = self._inference(df, vcov, cluster)
        model_based = (
            (vcov or self._own_vcov()).casefold() == "model" and cluster is None and self.sigma > 0.0
        )
        scale = self.sigma**2 if model_based else None
        tests = tests_of_terms(self.design, inference, kind, self._metric(kind), scale)
        return self._frame(anova_columns(tests))

    def test(
        self,
        hypotheses: Asked,
        *,
        rhs: npt.ArrayLike | None = None,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        joint: bool = False,
        level: float = 0.95,
    ) -> Frame:
        """Test linear hypotheses about the coefficients, each alone, or with `joint` all at once.

        One row a hypothesis: term, null_value, estimate, std_error, statistic, df, p_value, conf_low,
        conf_high. With `joint` one row, an F test: term, df_num, df_den, statistic, p_value.

        Args:
            hypotheses: text in the names of the coefficients, `"Days = 10, A[T.b] = A[T.c]"` (what has no
                equal sign is to be zero; `(a + b) / 2 = c` works), a list of such texts, a mapping from
                labels to texts, to vectors (p,) or to weights by name, or a matrix (k, p).
            rhs: values (k,) of hypotheses given as numbers; zero if not given.
            df: method for the degrees of freedom, as for `anova`.
            vcov: kind of variance.
            cluster: clusters of that variance, a column or labels (n,).
            joint: one test that all hold.
            level: of the confidence limits.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy())
            >>> fit.test("Intercept + 9 * Days = 300")[["estimate", "statistic", "df", "p_value"]].round(3)
               estimate  statistic    df  p_value
            0   345.611      3.118  17.0    0.006
        """
        asked = read_hypotheses(hypotheses, rhs, self._testable(hypotheses))
        inference = self._inference_of(hypotheses, df, vcov, cluster)
        if checked_switch("joint", joint):
            refuse_contradiction(asked)
            rank = round(self._inference_of(hypotheses, "z", "model").f_test(asked.L).df_num)
            test = joint_test("the joint hypothesis", asked.L, rank, inference, asked.rhs)
            return self._frame(joint_columns(asked.labels, test))
        return self._frame(hypothesis_columns(tests_of_hypotheses(asked, inference, level)))

    def _testable(self, hypotheses: Asked) -> Coefficients:  # noqa: ARG002
        """The coefficients that hypotheses may be about."""
        return Coefficients(self.coef_names, self.dropped.columns)

    def _inference_of(
        self,
        hypotheses: Asked,  # noqa: ARG002
        df: str | None,
        vcov: str | None,
        cluster: Clustering | None = None,
    ) -> CoefficientInference:
        """What is believed of them."""
        return self._inference(df, vcov, cluster)

    def _own_vcov(self) -> str:
        """The kind of variance that the fit has by itself."""
        return "model"

    def _metric(self, kind: Type) -> Callable[[], Metric]:
        """How rows count in hypotheses of a type."""
        if kind == "sequential":
            return partial(metric_of_fit, self.design.X, self._inference("z", "model"))
        return partial(metric_of_rows, self.design.X, self._row_counts())

    def _row_counts(self) -> Array | None:
        """How much each row (n,) counts in hypotheses of types 1 and 2; None for once each."""
        return self.design.freq_weights


def refuse_with_strata(kind: object, df: str | None, vcov: str | None, cluster: Clustering | None) -> None:
    """Strata have their own order, variances and degrees of freedom."""
    if kind == 2:
        raise DataError("strata=True takes terms in the order of the formula; leave type=2 out.")
    if df is not None or vcov is not None or cluster is not None:
        raise ModelError(
            "strata=True compares each term with the residuals of its stratum, exactly, so it takes no df=, "
            "vcov= or cluster=; leave them or strata=True out."
        )
