"""Marginal means, contrasts, trends and average effects: what fits with a linear predictor share."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from multilevel._options import Seed
from multilevel._typing import Frame, Mask
from multilevel.errors import MultilevelWarning
from multilevel.inference.clustering import Clustering
from multilevel.inference.emmeans import marginal_means, marginal_trends
from multilevel.inference.joint_terms import joint_terms
from multilevel.inference.linear_functions import Basis, estimated
from multilevel.inference.marginal_effects import marginal_effects
from multilevel.inference.reference_grid import Population, population
from multilevel.inference.specs import Names
from multilevel.inference.wald import checked_level
from multilevel.report.means import effect_columns, joint_columns
from multilevel.results.base import Fit, RecordT
from multilevel.results.marginal_means import ContrastTable, Holder, MarginalMeans

At = Mapping[str, Any]  # variable -> values on the reference grid


def warn_of_unknown(terms: Sequence[str], known: Mask) -> None:
    """Say which effects have no answer: a plain frame has no room for a note."""
    unknown = dict.fromkeys(term for term, is_known in zip(terms, known, strict=True) if not is_known)
    if unknown:
        warnings.warn(
            f"The effect of {', '.join(unknown)} cannot be estimated from these data, which do not tell it "
            "apart from other terms, or lack combinations of levels; it is missing in the table.",
            MultilevelWarning,
            stacklevel=3,
        )


class Means(Fit[RecordT]):
    """Questions about means at chosen values of the predictors, and about differences between them."""

    def emmeans(
        self,
        specs: Names,
        by: Names = None,
        *,
        at: At | None = None,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        weights: str = "equal",
        level: float = 0.95,
    ) -> MarginalMeans:
        """Estimated marginal means: what the model predicts at each level, the other factors averaged out.

        Predictions are made on a reference grid: all levels of the factors, covariates at their means (a
        covariate with two values at both), offsets at their mean. They are population means: random effects
        are zero. With `weights="equal"` every level of a factor averaged over counts alike, as in a balanced
        experiment, whatever the data hold; "proportional" counts levels as often as they occur.

        Args:
            specs: the factors whose levels have means: "a", ["a", "b"], "a * b", or "a | b" for means of a
                within each b. A covariate needs values in `at`, else it stands at its mean; "1" is the
                mean of everything.
            by: variables within whose levels the means are compared later.
            at: values on the grid instead of the usual: `{"x": [0, 10], "g": ["a", "b"]}`.
            df: a method for degrees of freedom, the fit's own if not given.
            vcov: a kind of variance, the fit's own if not given.
            cluster: its clusters.
            weights: "equal", "proportional", "outer", "cells" or "flat".
            level: of the confidence limits.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.ols("Y ~ V + N", ml.datasets.oats())
            >>> fit.emmeans("N")["estimate"].round(2)
            array([ 79.39,  98.89, 114.22, 123.39])

        References:
            Searle, S. R., Speed, F. M. & Milliken, G. A. (1980). Population marginal means in the linear
            model: an alternative to least squares means. The American Statistician 34, 216-221.
        """
        source = self._population()
        means = marginal_means(source, specs, by, at, weights)
        return MarginalMeans(means, self._holder(source, None, df, vcov, cluster), checked_level(level))

    def contrasts(
        self,
        specs: Names,
        method: Any = "pairwise",
        *,
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
        """Differences between marginal means, with tests and limits adjusted for how many there are.

        The same as `fit.emmeans(specs, by, ...).contrasts(method, ...)`, where all arguments are explained.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.ols("Y ~ V + N", ml.datasets.oats())
            >>> table = fit.contrasts("N", "consecutive", adjust="holm")
            >>> table["contrast"], table["estimate"].round(1)
            (['0.2cwt - 0.0cwt', '0.4cwt - 0.2cwt', '0.6cwt - 0.4cwt'], array([19.5, 15.3,  9.2]))

        References:
            Hochberg, Y. & Tamhane, A. C. (1987). Multiple Comparison Procedures. Wiley.
        """
        means = self.emmeans(
            specs, by, at=at, df=df, vcov=vcov, cluster=cluster, weights=weights, level=level
        )
        return means.contrasts(method, adjust=adjust, ref=ref, interaction=interaction, seed=seed)

    def emtrends(
        self,
        specs: Names,
        var: str,
        by: Names = None,
        *,
        at: At | None = None,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        weights: str = "equal",
        level: float = 0.95,
    ) -> MarginalMeans:
        """Slopes along a covariate at each level of the factors; `contrasts()` compares them.

        Where the slope is not constant (`poly(x, 2)`, splines, logarithms) it is the slope at the mean of
        `var`, or at its values in `at`. All other arguments are those of `emmeans`.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("distance ~ age * Sex + (1 | Subject)", ml.datasets.orthodont())
            >>> fit.emtrends("Sex", var="age")["estimate"].round(3)
            array([0.784, 0.48 ])
        """
        source = self._population()
        trends = marginal_trends(source, specs, var, by, at, weights)
        return MarginalMeans(trends, self._holder(source, var, df, vcov, cluster), checked_level(level))

    def joint_tests(
        self,
        *,
        at: At | None = None,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        weights: str = "equal",
    ) -> Frame:
        """F tests of all main effects and interactions on the reference grid: term, statistic, df_num, ...

        A main effect is the differences between its levels, averaged over the other factors and with the
        covariates at their means; a covariate's is its slope there. These tests do not depend on the coding
        of factors.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Y ~ V * N + (1 | B / V)", ml.datasets.oats())
            >>> fit.joint_tests()["statistic"].round(2).tolist()
            [1.49, 37.69, 0.3]
        """
        source = self._population()
        tests = joint_terms(source, self._basis(source, df, vcov, cluster), at, weights)
        return self._frame(joint_columns({"term": [t.term for t in tests]}, [t.test for t in tests]))

    def ame(
        self,
        variables: Names = None,
        *,
        by: Names = None,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        level: float = 0.95,
    ) -> Frame:
        """Average marginal effects: the mean slope, or difference to the first level, over the rows used.

        Everything else stays as it is in each row, so the average is over the data, where `emmeans` averages
        over a grid. Effects are those in the population: random effects are zero.

        Args:
            variables: "x", ["x", "g"]; all variables of the fixed part if not given.
            by: columns of the data within whose levels effects are averaged.
            df: a method for degrees of freedom, the fit's own if not given.
            vcov: a kind of variance, the fit's own if not given.
            cluster: its clusters.
            level: of the confidence limits.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("distance ~ age * Sex + (1 | Subject)", ml.datasets.orthodont())
            >>> fit.ame()["estimate"].round(3).tolist()
            [0.66, -2.321]

        References:
            Bartus, T. (2005). Estimation of marginal effects using margeff. The Stata Journal 5, 309-329.
        """
        source = self._population()
        effects = marginal_effects(source, self.call.data, variables, by)
        found = estimated(effects.functions, self._basis(source, df, vcov, cluster))
        warn_of_unknown(effects.term, found.known)
        labels: dict[str, Sequence[object]] = {
            "term": effects.term,
            "contrast": effects.contrast,
            **effects.groups,
        }
        return self._frame(effect_columns(labels, found, checked_level(level)))

    def _population(self) -> Population:
        return population(self.design, self.call.data)

    def _basis(
        self, source: Population, df: str | None, vcov: str | None, cluster: Clustering | None
    ) -> Basis:
        return Basis(source.columns, self._inference(df, vcov, cluster))

    def _holder(
        self,
        source: Population,
        var: str | None,
        df: str | None,
        vcov: str | None,
        cluster: Clustering | None,
    ) -> Holder:
        basis = self._basis(source, df, vcov, cluster)
        return Holder(basis, self.design.frame_kind, self.design.response_name, var, self.dropped.columns)
