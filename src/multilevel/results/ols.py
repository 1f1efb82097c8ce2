"""`ml.ols`: least squares from formula and data, and the fit that the user holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from multilevel._options import Seed, checked_choice
from multilevel._typing import Array, Frame
from multilevel.clusters.coefficient_inflation import WhitenedRows, whitened_rows
from multilevel.design.build import build_design
from multilevel.design.design import Design, Grouping
from multilevel.errors import FormulaError
from multilevel.estimation.ols import fit_ols, total_weights
from multilevel.fitted.ols import OLSRecord, assemble_ols
from multilevel.formula.parse import parse_formula
from multilevel.formula.terms import Formula
from multilevel.inference.clustering import Clustering, named_columns, read_ways
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.linear_prediction import (
    Interval,
    degrees_of_freedom,
    half_width,
    new_rows,
    predictor,
    used_rows,
)
from multilevel.inference.matrices import ModelMatrices, linear_matrices
from multilevel.inference.overall import adjusted_r_squared, overall_test, r_squared
from multilevel.inference.residuals import (
    ResidualKind,
    cooks_distance,
    residuals_of_kind,
    studentized_residuals,
)
from multilevel.inference.robust_inference import ols_inference, with_df
from multilevel.inference.sandwich import leverage, scored_rows
from multilevel.inference.variance import Variance, covariance
from multilevel.inference.variance_choice import (
    CLUSTER_KINDS,
    VarianceChoice,
    choose_variance,
    estimate_variance,
    known_kind,
    same_clusters,
    warn_of_few_clusters,
)
from multilevel.inference.wald import CoefficientTable, wald_table
from multilevel.report.notation import write_page
from multilevel.report.ols_equation import linear_sections
from multilevel.report.ols_summary import ols_summary
from multilevel.report.summary import Summary
from multilevel.report.tables import confint_columns
from multilevel.results.base import Call
from multilevel.results.checks import checked_response
from multilevel.results.diagnostics import LinearDiagnostics
from multilevel.results.means import Means
from multilevel.results.testing import Testing
from multilevel.simulation.ols import simulate_linear

DfMethod = Literal["residual", "satterthwaite", "z"]


def ols(
    formula: str,
    data: Frame,
    *,
    vcov: str | None = None,
    cluster: Clustering | None = None,
    weights: str | npt.ArrayLike | None = None,
    freq_weights: str | npt.ArrayLike | None = None,
    offset: str | npt.ArrayLike | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> OLSFit:
    """Least squares: a linear model that takes rows as independent, or as alike within clusters.

    Args:
        formula: `"y ~ x1 + x2"`; random effects belong in `ml.lmm`.
        data: any data frame, or a mapping of equally long columns (n rows).
        vcov: variance of the coefficients: "model" (independent errors of equal variance), "HC0" to "HC3"
            (unequal variances), or for errors alike within clusters, which needs `cluster`, "CR0", "CR1",
            "CR1p", "CR1S" (sandwiches with one factor or none, and t on one df fewer than clusters), "CR2"
            (unbiased under a working model) and "CR3" (jackknife), both with df by Satterthwaite.
            The default is "model", or "CR1" when `cluster` is given; below some 40 clusters use "CR2".
        cluster: column of cluster labels, or an array (n,) of them; rows of one cluster may stand anywhere.
            A list of columns, as `["firm", "year"]`, clusters in several ways at once (CR0, CR1, CR1S).
        weights: precision weights, column or array (n,): the variance of an error is sigma^2 / weight.
        freq_weights: counts, column or array (n,): how many observations a row stands for.
        offset: known part of the response, column or array (n,).
        contrasts: coding of factors, for example `{"g": "sum"}`, or `{"g": "treatment('b')"}` to make b the
            reference level.
        missing: "drop" rows with missing values and say how many, or "raise".

    Example:
        >>> import multilevel as ml
        >>> fit = ml.ols("Reaction ~ Days", ml.datasets.sleepstudy())
        >>> fit.fixef.round(2)
        array([251.41,  10.47])
        >>> fit.se.round(2), fit.vcov(kind="HC3").diagonal().round(2)
        (array([6.61, 1.24]), array([26.87,  1.64]))
        >>> ml.ols("Reaction ~ Days", ml.datasets.sleepstudy(), vcov="CR2", cluster="Subject").se.round(2)
        array([6.82, 1.55])

    References:
        Cameron, A. C. & Miller, D. L. (2015). A practitioner's guide to cluster-robust inference.
        Journal of Human Resources 50, 317-372.
        Pustejovsky, J. E. & Tipton, E. (2018). Small-sample methods for cluster-robust variance estimation
        and hypothesis testing in fixed effects models. Journal of Business & Economic Statistics 36, 672-683.
    """
    data_options: dict[str, Any] = {
        "weights": weights,
        "freq_weights": freq_weights,
        "offset": offset,
        "contrasts": contrasts,
        "missing": missing,
    }
    terms = parse_formula(formula)
    refuse_bars(terms)
    design = build_design(terms, data, **data_options, extra_columns=named_columns(cluster, data))
    choice = choose_variance(vcov, read_ways(cluster, data, design))
    record = assemble_ols(design, fit_ols(design))
    call = Call(ols, data, {"vcov": vcov, "cluster": cluster, **data_options})
    fit = OLSFit(design, record, call, choice)
    warn_of_few_clusters(choice)
    return fit


def refuse_bars(formula: Formula, mixed: str = "ml.lmm") -> None:
    """Random effects are of a mixed model, fitted by another function."""
    if formula.bars:
        raise FormulaError(
            f"'{formula.text}' has random effects, {formula.bars[0].text}, which a model of independent rows "
            f"cannot have; use {mixed}, or leave the bars out."
        )


class OLSFit(LinearDiagnostics, Means[OLSRecord], Testing[OLSRecord]):
    """A linear model fitted by least squares, with the variance of its coefficients that was asked for."""

    def __init__(self, design: Design, record: OLSRecord, call: Call, choice: VarianceChoice) -> None:
        super().__init__(design, record, call)
        self.choice = choice
        self.variance = estimate_variance(design, record, choice)

    # Stored numbers ----------------------------------------------------------------------------------

    @property
    def df_residual(self) -> int:
        """Observations less coefficients."""
        return round(self.record.df_residual)

    @property
    def criterion(self) -> float:
        """The deviance, -2 log-likelihood."""
        return -2.0 * self.loglik

    @property
    def r_squared(self) -> float:
        """Share of the variance of the response that the model accounts for."""
        return r_squared(self.record)

    @property
    def adj_r_squared(self) -> float:
        """R-squared with both variances on their degrees of freedom."""
        return adjusted_r_squared(self.record)

    @property
    def n_clusters(self) -> int | None:
        """Clusters of the variance, the fewest where they are in several ways; None without clusters."""
        return self.variance.n_clusters

    # Tables ------------------------------------------------------------------------------------------

    def summary(self, df: DfMethod | None = None) -> Summary:
        """Coefficients with their tests, and how well the model fits.

        `df` says how degrees of freedom are found: "residual" (one fewer than clusters, where there are any),
        "satterthwaite" (for variances with clusters, from how many bear on each coefficient; what CR2 and CR3
        have if nothing is said), or "z" (none: the normal distribution).
        """
        variance = self._variance_with(df)
        table = self._coefficients(df)
        return ols_summary(self.design, self.record, variance, table, self.residuals("scaled"))

    def tidy(
        self,
        *,
        conf_int: bool = False,
        conf_level: float = 0.95,
        exponentiate: bool = False,
        df: DfMethod | None = None,
    ) -> Frame:
        """One row a coefficient: term, estimate, std_error, statistic, df, p_value, and limits on request.

        `df` is the method for degrees of freedom, as in `summary`.

        Example:
            >>> import multilevel as ml
            >>> pupils = ml.datasets.course_demo_10x30()
            >>> fit = ml.ols("y ~ treatment", pupils, vcov="CR2", cluster="school")
            >>> list(fit.tidy()["df"].round(1)), list(fit.tidy(df="residual")["df"])
            ([4.0, 8.0], [9.0, 9.0])
        """
        return super().tidy(conf_int=conf_int, conf_level=conf_level, exponentiate=exponentiate, df=df)

    def confint(
        self, method: Literal["wald"] = "wald", *, level: float = 0.95, df: DfMethod | None = None
    ) -> Frame:
        """Confidence limits: term, estimate, conf_low, conf_high; `df` as in `summary`."""
        checked_choice("method", method, ("wald",))
        return self._frame(confint_columns(self._coefficients(df), level))

    def equation(self, style: Literal["text", "latex"] = "text") -> str:
        """The model written out, as text or as LaTeX."""
        return write_page(linear_sections(self.design, self.record), style)

    def _coefficients(self, df: str | None = None) -> CoefficientTable:
        variance = self._variance_with(df)
        std_error = np.sqrt(covariance(self.record, variance).diagonal())
        degrees = degrees_of_freedom(self.record, variance, np.eye(self.record.n_coefficients))
        return wald_table(self.coef_names, self.fixef, std_error, None if df == "z" else degrees)

    def _inference(
        self, df: str | None = None, vcov: str | None = None, cluster: Clustering | None = None
    ) -> CoefficientInference:
        return ols_inference(self.record, self._variance_with(df, vcov, cluster))

    def _glance(self) -> dict[str, object]:
        test = overall_test(self.record, self.variance)
        return {
            "r_squared": self.r_squared,
            "adj_r_squared": self.adj_r_squared,
            "sigma": self.sigma,
            "statistic": np.nan if test is None else test.statistic,
            "p_value": np.nan if test is None else test.p_value,
            "loglik": self.loglik,
            "aic": self.aic,
            "bic": self.bic,
            "rss": self.record.rss,
            "df_residual": self.df_residual,
            "nobs": self.nobs,
            "vcov": self.variance.kind,
        }

    def _augmented(self) -> dict[str, Array]:
        rows = scored_rows(self.design, self.record)
        return {
            "fitted": self.fitted,
            "residual": self.record.residuals,
            "residual_scaled": self.residuals("scaled"),
            "residual_studentized": studentized_residuals(rows, self.sigma),
            "leverage": leverage(rows),
            "cooks_distance": cooks_distance(rows, self.sigma),
        }

    # Inference ---------------------------------------------------------------------------------------

    def vcov(self, *, kind: str | None = None, cluster: Clustering | None = None) -> Array:
        """Covariance (p, p) of the coefficients: the fit's own, or another kind or clustering for once.

        Args:
            kind: "model", "HC0" to "HC3", "CR0", "CR1", "CR1p", "CR1S", "CR2" or "CR3", as for `ml.ols`.
            cluster: column of the data of the fit, or labels (n,) for its rows, or a list of these for
                clusters in several ways; the fit's own if not given.
        """
        return covariance(self.record, self._variance_with(None, kind, cluster))

    def matrices(self) -> ModelMatrices:
        """X, and the variances of the errors: y = X beta + e (there is no Z)."""
        return linear_matrices(self.design, self.sigma)

    def _clusters(self) -> tuple[Grouping, ...]:
        return self.choice.clusters

    def _whitened(self) -> WhitenedRows | None:
        if self.choice.clusters:
            return None
        design = self.design
        return whitened_rows(design.X, self.record.residuals, design.weights, design.freq_weights)

    def _own_vcov(self) -> str:
        return self.choice.kind

    def _row_counts(self) -> Array | None:
        return total_weights(self.design)

    def _variance_with(
        self, df: str | None, kind: str | None = None, cluster: Clustering | None = None
    ) -> Variance:
        """The fit's own variance, or another kind or clustering, with degrees of freedom by a method."""
        if kind is None and cluster is None:
            return with_df(self.design, self.record, self.choice, self.variance, df)
        choice = self._choice(kind, cluster)
        if not same_clusters(choice.clusters, self.choice.clusters):  # of its own the fit has told
            warn_of_few_clusters(choice)
        variance = estimate_variance(self.design, self.record, choice)
        return with_df(self.design, self.record, choice, variance, df)

    def _choice(self, kind: str | None, cluster: Clustering | None) -> VarianceChoice:
        """Another variance: of the clusters given, else of the fit's own where the kind needs clusters."""
        clusters = read_ways(cluster, self.call.data, self.design)
        own = cluster is None and kind is not None and known_kind(kind) in CLUSTER_KINDS
        return choose_variance(kind, self.choice.clusters if own else clusters)

    # Data --------------------------------------------------------------------------------------------

    def residuals(self, kind: ResidualKind = "response") -> Array:
        """Residuals (n,): "response", "pearson" (times root weight), "scaled" (by sigma), "studentized"."""
        return residuals_of_kind(self.design, self.record, kind)

    def predict(
        self,
        new: Frame | None = None,
        *,
        kind: Literal["response", "link"] = "response",
        interval: Interval | None = None,
        level: float = 0.95,
        weights: npt.ArrayLike | None = None,
    ) -> Array | Frame:
        """Predicted values (k,) for new rows, or for the rows used; with `interval`, a frame with limits.

        The frame has the columns fitted, conf_low and conf_high.

        Args:
            new: data with the predictors; rows with missing values give NaN.
            kind: "response" and "link" are the same in a linear model.
            interval: "confidence" for the mean, "prediction" for a new observation.
            level: of the interval.
            weights: precision weights (k,) of the new observations; if not given, those in the column that
                the fit took them from, or 1.
        """
        checked_choice("kind", kind, ("response", "link"))
        checked_choice("interval", interval, (None, "confidence", "prediction"))
        rows = used_rows(self.design) if new is None else new_rows(self.design, new, weights)
        fitted = predictor(self.record, rows)
        if interval is None:
            return fitted
        half = half_width(self.record, self.variance, rows, interval, level)
        limits = {"conf_low": fitted - half, "conf_high": fitted + half}
        return self._predictions(new, {"fitted": fitted, **limits})

    def simulate(self, n: int = 1, seed: Seed = None) -> Array:
        """Draw `n` new responses (rows used, n) from the fitted model."""
        return simulate_linear(self.design, self.record, n, seed)

    def refit(self, y: npt.ArrayLike) -> Self:
        """Fit the same model to another response (n,), over the rows used or all rows of the data."""
        design = replace(self.design, y=checked_response(y, self.design))
        return type(self)(design, self._estimate(design), self.call, self.choice)

    def _estimate(self, design: Design) -> OLSRecord:
        return assemble_ols(design, fit_ols(design))

    @property
    def __maketables_vcov_info__(self) -> dict[str, str | None]:
        return {"vcov_type": self.variance.kind, "clustervar": self.variance.cluster}

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "r2", "adj_r2"]
