"""`ml.glm`: a generalized linear model from formula and data, and the fit that the user holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from multilevel._options import Seed, checked_choice, checked_count, checked_switch
from multilevel._typing import Array, Frame
from multilevel.clusters.coefficient_inflation import WhitenedRows, whitened_rows
from multilevel.design.design import Design, Grouping
from multilevel.design.glmm import GLMMDesign, build_glmm_design
from multilevel.errors import ModelError
from multilevel.estimation.glm import prior_weights, proportions, solve_glm
from multilevel.estimation.glmm_prior import checked_prior
from multilevel.families.by_name import as_family
from multilevel.families.family import Family
from multilevel.families.links import Link
from multilevel.families.moments import is_truncated
from multilevel.fitted.glm import GLMRecord, assemble_glm, with_known_size
from multilevel.formula.parse import parse_formula
from multilevel.inference.clustering import Clustering, named_columns, read_ways
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.glm_inference import glm_inference, glm_variance
from multilevel.inference.glm_influence import influence_of_rows
from multilevel.inference.glm_means import (
    joint_inference,
    mean_function,
    moves_with_dispersion,
)
from multilevel.inference.response_effects import MeanFunction
from multilevel.inference.scaled_residuals import normal_scores
from multilevel.inference.variance import Variance, covariance
from multilevel.inference.variance_choice import (
    CLUSTER_KINDS,
    VarianceChoice,
    choose_variance,
    known_kind,
    warn_of_few_clusters,
)
from multilevel.inference.wald import CoefficientTable, inferred_table
from multilevel.report.glm_equation import glm_sections
from multilevel.report.glm_summary import glm_summary
from multilevel.report.notation import write_page
from multilevel.report.ratios import ratio_of_family
from multilevel.report.response_scale import ResponseScale
from multilevel.report.summary import Summary
from multilevel.report.tables import fixed_columns
from multilevel.results.average_effects import AverageEffects
from multilevel.results.base import Call
from multilevel.results.checks import checked_response
from multilevel.results.glm_diagnostics import GLMDiagnostics, ResidualKind
from multilevel.results.glm_explained import GLMExplained
from multilevel.results.glm_prediction import GLMPrediction
from multilevel.results.glmm_checks import refuse_impossible, refuse_sides
from multilevel.results.ols import refuse_bars
from multilevel.simulation.families import draw
from multilevel.simulation.glmm import density_of, stacked
from multilevel.simulation.lmm import refuse_counted_rows
from multilevel.simulation.streams import random_streams

DfMethod = Literal["residual", "satterthwaite", "z"]


def glm(
    formula: str,
    data: Frame,
    *,
    family: str | Family,
    link: str | Link | None = None,
    vcov: str | None = None,
    cluster: Clustering | None = None,
    prior: str | Mapping[str, float] | None = None,
    weights: str | npt.ArrayLike | None = None,
    freq_weights: str | npt.ArrayLike | None = None,
    offset: str | npt.ArrayLike | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> GLMFit:
    """Generalized linear model: logistic, Poisson, gamma and other regressions of independent rows.

    By maximum likelihood. Rows that come in groups are not independent: `cluster=` corrects the standard
    errors, `ml.glmm` and `ml.gee` model the groups.

    Args:
        formula: `"y ~ x"`; of a binomial family the left side may be 0/1, `successes / trials` or
            `cbind(successes, failures)`.
        data: any data frame, or a mapping of equally long columns (n rows).
        family: as for `ml.glmm`: "binomial", "poisson", "gamma", "negative_binomial", "ordinal", ...
        link: the family's usual one if not given.
        vcov: variance of the coefficients: "model", "HC0" to "HC3", or with `cluster` "CR0", "CR1", "CR1p",
            "CR1S", "CR2", "CR3", as for `ml.ols`, of the weighted regression that the fit is.
        cluster: column of cluster labels, an array (n,) of them, or a list of columns.
        prior: None for maximum likelihood; "weak", or a mapping such as `{"coef": 2.5, "intercept": 10}` of
            standard deviations of normal priors on coefficients of standardised columns, which keep estimates
            finite where predictors separate the responses.
        weights: column or array (n,): the dispersion of a row is phi / weight where the family has one that
            is so divided (gaussian, gamma, inverse_gaussian); else they multiply its log-density.
        freq_weights: counts, column or array (n,): how many observations a row stands for.
        offset: known part of the linear predictor, column or array (n,): the log of an exposure.
        contrasts: coding of factors, for example `{"g": "sum"}`.
        missing: "drop" rows with missing values and say how many, or "raise".

    Example:
        >>> import multilevel as ml
        >>> fit = ml.glm("resp ~ age + smoke", ml.datasets.ohio(), family="binomial", cluster="id")
        >>> fit.fixef.round(3), fit.se.round(3)
        (array([-1.884, -0.113,  0.272]), array([0.114, 0.044, 0.178]))

    References:
        McCullagh, P. & Nelder, J. A. (1989). Generalized Linear Models, 2nd ed. Chapman & Hall.
    """
    data_options: dict[str, Any] = {
        "weights": weights,
        "freq_weights": freq_weights,
        "offset": offset,
        "contrasts": contrasts,
        "missing": missing,
    }
    chosen = as_family(family, link)
    terms = parse_formula(formula)
    refuse_bars(terms, "ml.glmm")
    model = build_glmm_design(
        terms, data, chosen.response, **data_options, extra_columns=named_columns(cluster, data)
    )
    choice = choose_variance(vcov, read_ways(cluster, data, model.main))
    options = {
        "family": family,
        "link": link,
        "vcov": vcov,
        "cluster": cluster,
        "prior": prior,
        **data_options,
    }
    fit = GLMFit(model, estimate(model, chosen, prior), Call(glm, data, options), choice)
    warn_of_few_clusters(choice)
    return fit


def estimate(model: GLMMDesign, family: Family, prior: object) -> GLMRecord:
    """From design to record."""
    refuse_empty(model)
    refuse_sides(family, model)
    refuse_impossible(family, model)
    solution = solve_glm(model, family, checked_prior(prior))
    return assemble_glm(model, family, solution, prior=prior is not None)


def refuse_empty(model: GLMMDesign) -> None:
    """A model without coefficients has nothing to estimate; thresholds are some."""
    if not model.main.coef_names and not model.categories:
        raise ModelError(
            "the formula has no terms, not even an intercept, so there is nothing to estimate; "
            "write y ~ 1 for the mean, or add a predictor."
        )


class GLMFit(AverageEffects[GLMRecord], GLMDiagnostics, GLMExplained, GLMPrediction):
    """A fitted generalized linear model, with the variance of its coefficients that was asked for."""

    def __init__(self, model: GLMMDesign, record: GLMRecord, call: Call, choice: VarianceChoice) -> None:
        super().__init__(model.main, record, call)
        self.model = model
        self.choice = choice
        self.variance = glm_variance(record, choice, None)

    # Stored numbers ----------------------------------------------------------------------------------

    @property
    def family(self) -> str:
        """Distribution of the response."""
        return self.record.family.name

    @property
    def link(self) -> str:
        """The link function's name."""
        return self.record.family.link.name

    @property
    def dispersion(self) -> float | None:
        """Pearson's phi (gaussian, gamma, inverse_gaussian), else phi by likelihood; None if fixed."""
        if self.record.free_scale:
            return self.record.scale
        return None if self.record.dispersion is None else float(self.record.dispersion[0])

    @property
    def thresholds(self) -> Array:
        """Thresholds between ordered categories; empty in other families."""
        return self.record.thresholds

    @property
    def deviance(self) -> float:
        """Twice the log-likelihood lost against the saturated model, up to the dispersion."""
        return self.record.deviance

    @property
    def null_deviance(self) -> float:
        """The deviance of the model with an intercept alone."""
        return self.record.null_deviance

    @property
    def criterion(self) -> float:
        """Minus twice the log-likelihood."""
        return -2.0 * self.loglik

    @property
    def df_residual(self) -> int:
        """Observations less coefficients of the mean."""
        return round(self.record.df_residual)

    # Tables ------------------------------------------------------------------------------------------

    def summary(self, df: DfMethod | None = None, *, exponentiate: bool = False) -> Summary:
        """Coefficients with their tests, scale and deviance, and what deserves notice.

        Args:
            df: degrees of freedom of the tests: "residual", "satterthwaite" (variances with clusters) or "z".
            exponentiate: show odds ratios, rate ratios or hazard ratios, as the link has them, with limits.
        """
        word = self._ratio_word() if checked_switch("exponentiate", exponentiate) else None
        residuals = None if self.record.regression is None else self.residuals()
        return glm_summary(
            self.design, self.record, self._variance_with(df), self._coefficients(df), residuals, word
        )

    def tidy(
        self,
        *,
        conf_int: bool = False,
        conf_level: float = 0.95,
        exponentiate: bool = False,
        df: DfMethod | None = None,
    ) -> Frame:
        """One row a coefficient; with `exponentiate` odds ratios, rate ratios or hazard ratios."""
        if checked_switch("exponentiate", exponentiate):
            self._ratio_word()
        limits = conf_level if conf_int else None
        return self._frame(fixed_columns(self._coefficients(df), limits, exponentiate))

    def equation(self, style: Literal["text", "latex"] = "text") -> str:
        """The fitted model written out, with the estimates, as text or as LaTeX.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glm("resp ~ age", ml.datasets.ohio(), family="binomial")
            >>> print(fit.equation())
            Response
              resp: binomial with probability μ
              logit(μ) = η
            Linear predictor
              η_i = β0 + β1 age_i
            Estimates
              β0 = -1.7829  (Intercept)
              β1 = -0.11315  (age)
        """
        return write_page(glm_sections(self.design, self.record), style)

    # Inference ---------------------------------------------------------------------------------------

    def vcov(self, *, kind: str | None = None, cluster: Clustering | None = None) -> Array:
        """Covariance (p, p) of the coefficients: the fit's own, or another kind or clustering for once.

        Args:
            kind: "model", "HC0" to "HC3", "CR0", "CR1", "CR1p", "CR1S", "CR2" or "CR3", as for `ml.glm`.
            cluster: column of the data of the fit, or labels (n,) for its rows, or a list of these.
        """
        variance = self._variance_with(None, kind, cluster)
        if variance is None or self.record.regression is None:
            return self.record.vcov
        return covariance(self.record.regression[1], variance)

    def _variance_with(
        self, df: str | None, kind: str | None = None, cluster: Clustering | None = None
    ) -> Variance | None:
        if kind is None and cluster is None:
            return self.variance if df is None else glm_variance(self.record, self.choice, df)
        clusters = read_ways(cluster, self.call.data, self.design)
        own = cluster is None and kind is not None and known_kind(kind) in CLUSTER_KINDS
        choice = choose_variance(kind, self.choice.clusters if own else clusters)
        return glm_variance(self.record, choice, df)

    def _coefficients(self, df: str | None = None) -> CoefficientTable:
        return inferred_table(self.coef_names, self._inference(df))

    def _inference(
        self, df: str | None = None, vcov: str | None = None, cluster: Clustering | None = None
    ) -> CoefficientInference:
        return glm_inference(self.record, self._variance_with(df, vcov, cluster))

    def _clusters(self) -> tuple[Grouping, ...]:
        return self.choice.clusters

    def _whitened(self) -> WhitenedRows | None:
        if self.choice.clusters or self.record.regression is None:
            return None
        working, found = self.record.regression
        rows = whitened_rows(working.X, found.residuals, working.weights, working.freq_weights)
        return replace(rows, known_scale=not self.record.free_scale)

    def _own_vcov(self) -> str:
        return self.choice.kind

    def _response_scale(self) -> ResponseScale:
        family = self.record.family
        if family.response == "ordered":
            raise ModelError(
                "the response of an ordinal model is a category, which has no mean; use kind='link'."
            )
        words = {"trials": "probabilities", "number": "on the scale of the response"}
        if is_truncated(family.density):
            words["number"] = "of the counts before their zeros were cut off"
        ratio = None if family.link.ratio is None else self._ratio_word()
        return ResponseScale(family.link, words[family.response], ratio)

    def _mean_function(self) -> MeanFunction:
        if self.record.family.response == "ordered":
            raise ModelError(
                "the response of an ordinal model is a category, which has no mean whose change could be "
                "averaged; ame(kind='link') has effects on the latent scale."
            )
        return mean_function(self.record)

    def _effect_inference(
        self, df: str | None, vcov: str | None, cluster: Clustering | None
    ) -> CoefficientInference:
        own = self._inference(df, vcov, cluster)
        return joint_inference(self.record) if moves_with_dispersion(self.record) else own

    def _ratio_word(self) -> str:
        return ratio_of_family(self.record.family, self.design.response_name)

    # Data --------------------------------------------------------------------------------------------

    def residuals(self, kind: ResidualKind = "deviance", *, n: int = 250, seed: Seed = 0) -> Array:
        """Residuals (n,), of the mean or among simulated responses.

        - "deviance": signed root of the row's part of the deviance;
        - "pearson": over the root of the family's variance;
        - "response": the response (a share, where there are trials) less its mean;
        - "working": on the scale of the linear predictor;
        - "scaled": the share of `n` simulated responses below the one observed, ties broken at random;
          uniform between 0 and 1 where the model holds, whatever the family;
        - "quantile": the same as standard normal numbers.

        Args:
            kind: which of these.
            n: simulations for the last two.
            seed: of the simulations.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glm("incidence / size ~ period", ml.datasets.cbpp(), family="binomial")
            >>> fit.residuals("pearson")[:2].round(3), bool(0.0 < fit.residuals("scaled", seed=1)[0] < 1.0)
            (array([-0.692,  2.166]), True)

        References:
            Dunn, P. K. & Smyth, G. K. (1996). Randomized quantile residuals. Journal of Computational and
            Graphical Statistics 5, 236-244.
        """
        checked_choice("kind", kind, ("deviance", "pearson", "response", "working", "scaled", "quantile"))
        if kind in ("scaled", "quantile"):
            scaled = self._simulated(n, seed).residuals
            return scaled if kind == "scaled" else normal_scores(scaled)
        if self.record.regression is None and kind != "response":
            raise ModelError(
                f"the {self.family} family has residuals of kind 'response' only; simulate() shows what the "
                "model expects."
            )
        y, mu = proportions(self.design), self.fitted
        if kind == "response":
            return y - mu
        family = with_known_size(self.record.family, self.record.dispersion)
        if kind == "working":
            return np.asarray((y - mu) / family.link.slope(self.record.eta))
        weights = prior_weights(self.design)
        counts = np.ones_like(mu) if weights is None else weights
        if kind == "pearson":
            return np.asarray((y - mu) * np.sqrt(counts / family.variance(mu)))
        return np.asarray(np.sign(y - mu) * np.sqrt(counts * np.maximum(family.unit_deviance(y, mu), 0.0)))

    def simulate(self, n: int = 1, seed: Seed = None) -> Array:
        """Draw `n` new responses (rows used, n); counts of successes where there are trials."""
        refuse_counted_rows(self.design)
        density = density_of(self.model, self.record)
        predictors = stacked(self.model, self.record, self.record.eta, None)
        streams = random_streams(checked_count("n", n), seed)
        return np.column_stack([draw(density, predictors, self.design.trials, stream) for stream in streams])

    # The same model again ----------------------------------------------------------------------------

    def refit(self, y: npt.ArrayLike) -> Self:
        """Fit the same model to another response (n,), over the rows used or all rows of the data.

        Where there are trials the response counts successes; categories are numbered from 0.
        """
        main = replace(self.design, y=checked_response(y, self.design))
        model = replace(self.model, main=main)
        record = estimate(model, self.record.family, self.call.options.get("prior"))
        return type(self)(model, record, self.call, self.choice)

    def _of_design(self, model: GLMMDesign) -> Self:
        record = estimate(model, self.record.family, self.call.options.get("prior"))
        return type(self)(model, record, self.call, choose_variance(None, ()))

    # What the shared face asks for -------------------------------------------------------------------

    def _glance(self) -> dict[str, object]:
        return {
            "null_deviance": self.null_deviance,
            "deviance": self.deviance,
            "scale": self.record.scale,
            "loglik": self.loglik,
            "aic": self.aic,
            "bic": self.bic,
            "df_residual": self.df_residual,
            "nobs": self.nobs,
            "vcov": self.choice.kind,
        }

    def _augmented(self) -> dict[str, Array]:
        columns = {"fitted": self.fitted, "eta": self.record.eta}
        if self.record.regression is None:
            return columns
        columns |= {"residual": self.residuals("response"), "residual_deviance": self.residuals()}
        if self.record.prior:
            return columns
        found, leverage = influence_of_rows(self.record, self.residuals())
        return {**columns, "leverage": leverage, "cooks_distance": found.cooks_distance}

    def _estimate(self, design: Design) -> GLMRecord:
        prior = self.call.options.get("prior")
        return estimate(replace(self.model, main=design), self.record.family, prior)
