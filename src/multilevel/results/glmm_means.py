"""Marginal means of a generalized mixed model, on the scale of the link or of the response."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np

from multilevel._options import Seed, checked_choice
from multilevel._typing import Frame
from multilevel.errors import ModelError
from multilevel.estimation.glmm_rows import Component
from multilevel.families.links import LINKS
from multilevel.families.moments import is_truncated
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.clustering import Clustering
from multilevel.inference.coefficients import KnownDf
from multilevel.inference.component_means import design_of, has_parts, mean_words, response_means
from multilevel.inference.emmeans import marginal_means
from multilevel.inference.glmm_effects import response_effects
from multilevel.inference.joint_terms import joint_terms
from multilevel.inference.linear_functions import Basis
from multilevel.inference.reference_grid import Population, population
from multilevel.inference.specs import Names
from multilevel.inference.wald import checked_level, critical_value, two_sided_p
from multilevel.report.glmm_tables import ratio_word
from multilevel.report.means import joint_columns
from multilevel.report.response_scale import ResponseScale
from multilevel.results.glmm_base import GLMMBase, df_of, root_of
from multilevel.results.marginal_means import ContrastTable, Holder, MarginalMeans
from multilevel.results.means import At
from multilevel.results.response_means import ResponseMeans, Scale

PartName = Literal["response", "conditional", "zi", "dispersion"]
PARTS = ("response", "conditional", "zi", "dispersion")


class GLMMMeans(ResponseMeans[GLMMRecord], GLMMBase):
    """Questions about means at chosen values of the predictors."""

    def emmeans(
        self,
        specs: Names,
        by: Names = None,
        *,
        kind: Scale = "link",
        component: PartName | None = None,
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
        Where the model has several parts (zi=, a truncated family) kind="response" has the expected response
        itself, as `predict(kind="response", re="none")`, averaged on its own scale, and contrasts are
        differences; `component` chooses a part instead. All other arguments are those of
        `ml.lmm(...).emmeans`.

        Args:
            specs: the factors whose levels have means: "a", ["a", "b"], "a * b", or "a | b".
            by: variables within whose levels the means are compared later.
            kind: "link", or "response".
            component: "response" (all parts together), "conditional" (the mean before excess zeros, or before
                zeros are cut off), "zi" (the zeros), "dispersion"; if not given "response" with
                kind="response", else "conditional".
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
        checked_choice("component", component, (None, *PARTS))
        several = has_parts(self.model, self.record)
        part = component or ("response" if several and kind == "response" else "conditional")
        if part == "response":
            if kind == "link":
                raise ModelError(
                    'the expected response has no link of its own; write kind="response", or choose a part.'
                )
            if several:
                return self._expected_means(specs, by, at, df, vcov, cluster, weights, level)
        if part in ("zi", "dispersion"):
            return self._part_means(part, kind, specs, by, at, df, vcov, cluster, weights, level)
        means = super().emmeans(
            specs, by, kind=kind, at=at, df=df, vcov=vcov, cluster=cluster, weights=weights, level=level
        )
        about = mean_words(self.record) if several else ""
        return replace(means, holder=replace(means.holder, about=about))

    def contrasts(
        self,
        specs: Names,
        method: Any = "pairwise",
        *,
        kind: Scale = "link",
        component: PartName | None = None,
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

        The same as `fit.emmeans(specs, by, kind=kind, component=component, ...).contrasts(method, ...)`.
        """
        means = self.emmeans(
            specs,
            by,
            kind=kind,
            component=component,
            at=at,
            df=df,
            vcov=vcov,
            cluster=cluster,
            weights=weights,
            level=level,
        )
        return means.contrasts(method, adjust=adjust, ref=ref, interaction=interaction, seed=seed)

    def joint_tests(
        self,
        *,
        component: Literal["conditional", "zi", "dispersion"] = "conditional",
        at: At | None = None,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        weights: str = "equal",
    ) -> Frame:
        """Wald tests of all main effects and interactions on the reference grid: term, statistic, df_num, ...

        A main effect is the differences between its levels, averaged over the other factors and with the
        covariates at their means; a covariate's is its slope there. These tests do not depend on the coding
        of factors. `component` is the part whose terms are tested: the mean, the zeros ("zi") or the
        "dispersion".

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> fit.joint_tests()["statistic"].round(2).tolist()
            [8.32]
        """
        checked_choice("component", component, PARTS[1:])
        if component == "conditional":
            return super().joint_tests(at=at, df=df, vcov=vcov, cluster=cluster, weights=weights)
        source, basis = self._part(component, df, vcov, cluster)
        tests = joint_terms(source, basis, at, weights)
        return self._frame(joint_columns({"term": [t.term for t in tests]}, [t.test for t in tests]))

    def _expected_means(
        self,
        specs: Names,
        by: Names,
        at: At | None,
        df: str | None,
        vcov: str | None,
        cluster: Clustering | None,
        weights: str,
        level: float,
    ) -> MarginalMeans:
        """Marginal means of the response, all parts together."""
        sandwich = self._sandwich(vcov, cluster, df)
        found = response_means(
            self.model,
            self._with_variance(sandwich),
            self.call.data,
            specs,
            by,
            at,
            weights,
            method="normal" if sandwich is None else sandwich.kind,
            df=df_of(sandwich),
        )
        holder = Holder(
            found.basis,
            self.design.frame_kind,
            self.design.response_name,
            None,
            self.dropped.columns,
            about="expected responses, zeros included" if self.model.zi is not None else "expected responses",
            expected=True,
        )
        return MarginalMeans(found.means, holder, checked_level(level))

    def _part_means(
        self,
        part: PartName,
        kind: Scale,
        specs: Names,
        by: Names,
        at: At | None,
        df: str | None,
        vcov: str | None,
        cluster: Clustering | None,
        weights: str,
        level: float,
    ) -> MarginalMeans:
        """Marginal means of the linear predictor of the zeros or of the dispersion."""
        source, basis = self._part(part, df, vcov, cluster)
        scale = self._part_scale(part)
        holder = Holder(
            basis,
            self.design.frame_kind,
            self.design.response_name,
            None,
            source.design.dropped.columns,
            scale=scale if kind == "response" else None,
            about="" if kind == "response" else f"{scale.link.name} of the {scale.means}",
        )
        return MarginalMeans(marginal_means(source, specs, by, at, weights), holder, checked_level(level))

    def _part(
        self, part: PartName, df: str | None, vcov: str | None, cluster: Clustering | None
    ) -> tuple[Population, Basis]:
        """The variables of the zeros or of the dispersion, and what is believed of its coefficients."""
        sandwich = self._sandwich(vcov, cluster, df)
        component: Component = "zi" if part == "zi" else "disp"
        side, estimates = design_of(self.model, component), self._with_variance(sandwich).part(component)
        assert estimates is not None
        source = population(side, self.call.data)
        method = "normal" if sandwich is None else sandwich.kind
        inference = KnownDf(method, estimates.estimate, root_of(estimates.vcov), df_of(sandwich))
        return source, Basis(source.columns, inference)

    def _part_scale(self, part: PartName) -> ResponseScale:
        """How the linear predictor of the zeros or of the dispersion is carried to its natural scale."""
        if part == "dispersion":
            return ResponseScale(LINKS["log"], "dispersion", "ratio")
        hurdle = is_truncated(self.record.family.density)
        words = "probability of a zero" if hurdle else "probability of an excess zero"
        return ResponseScale(LINKS["logit"], words, "odds ratio")

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
