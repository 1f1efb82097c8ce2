"""`ml.gee`: generalized estimating equations from formula and data, and the fit that the user holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_choice, checked_switch
from multilevel._typing import Array, Frame, Mask
from multilevel.covariance.working.by_name import as_correlation
from multilevel.covariance.working.nested import NestedExchangeable
from multilevel.covariance.working.specification import Correlation, PatternedCorrelation
from multilevel.design.build import build_design
from multilevel.design.design import Design, Grouping
from multilevel.errors import DataError, ModelError
from multilevel.estimation.gee.problem import EstimatingProblem, Moments
from multilevel.estimation.gee.solve import EstimatingSolution, solve
from multilevel.estimation.glm import proportions
from multilevel.families.family import Family
from multilevel.families.links import Link
from multilevel.fitted.gee import GEERecord, assemble_gee
from multilevel.formula.parse import parse_formula
from multilevel.inference.clustering import Clustering
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.gee_corrections import cluster_informations, resting_on_one_cluster
from multilevel.inference.gee_inference import gee_inference
from multilevel.inference.gee_jackknife import JackknifeKind, jackknife_covariance
from multilevel.inference.gee_joint import joint_equations
from multilevel.inference.gee_kinds import FEW_CLUSTERS, chosen_kind
from multilevel.inference.linear_prediction import new_rows, used_rows
from multilevel.inference.response_effects import MeanFunction, MeanOfRows
from multilevel.inference.wald import CoefficientTable, critical_value, inferred_table
from multilevel.inference.weighted_scores import dropout_scores_of, projected_scores
from multilevel.report.gee_equation import gee_sections
from multilevel.report.gee_summary import gee_summary
from multilevel.report.notation import write_page
from multilevel.report.ratios import ratio_of_family
from multilevel.report.response_scale import ResponseScale
from multilevel.report.summary import Summary
from multilevel.report.tables import fixed_columns
from multilevel.results.average_effects import AverageEffects
from multilevel.results.base import Call
from multilevel.results.checks import checked_response
from multilevel.results.dropout_weights import DropoutWeights
from multilevel.results.gee_setup import (
    Equations,
    checked_scale,
    cluster_layout,
    clusters_of,
    dropout_model,
    own_columns,
    problem_of,
    quasi_family,
    refuse_bars,
    warn_of,
)
from multilevel.results.gee_testing import GEETesting

DfMethod = Literal["z", "residual", "satterthwaite", "fay-graubard", "pan-wall"]
AssociationVariance = Literal["sandwich", "linear", "one-step", "jackknife"]
RESIDUALS = ("response", "pearson", "scaled")


def gee(
    formula: str,
    data: Frame,
    *,
    groups: str | npt.ArrayLike,
    time: str | npt.ArrayLike | None = None,
    family: str | Family = "gaussian",
    link: str | Link | None = None,
    corr: str | Correlation = "independence",
    vcov: str | None = None,
    scale: float | None = None,
    moments: Moments = "geepack",
    weights: str | npt.ArrayLike | DropoutWeights | None = None,
    freq_weights: str | npt.ArrayLike | None = None,
    offset: str | npt.ArrayLike | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> GEEFit:
    """Generalized estimating equations: how the mean of a population depends on predictors, rows in clusters.

    Coefficients are population-averaged: they compare means of groups of people, not a person with herself.
    They are right whatever the correlation within clusters is, and so are their sandwich standard errors; a
    working correlation close to the true one makes them more precise. Below 40 clusters standard errors are
    corrected by Fay and Graubard's method unless `vcov` says otherwise.

    Args:
        formula: `"y ~ x1 + x2"`; there are no random effects. Of the binomial family the left side may be
            0/1, `successes / trials` or `cbind(successes, failures)`.
        data: any data frame, or a mapping of equally long columns (n rows), in any order.
        groups: column of cluster labels, "centre:id" where numbers begin anew in each centre, or an array
            (n,): the independent units.
        time: column of visits or times, or an array (n,). It puts the rows of a cluster in order and places
            visits that are missing; without it rows are one step apart in the order of the data.
        family: "gaussian", "binomial", "poisson", "gamma" ..., or an object from `ml.families`.
        link: of the family, if it is not the usual one.
        corr: working correlation: "independence", "exchangeable", "ar1", "unstructured", "stationary2" or
            "nonstationary2" (2-dependent), or `ml.AR1(...)`, `ml.NestedExchangeable(inner=...)`,
            `ml.FixedCorrelation(matrix)`, `ml.UserCorrelation(design)` and their like.
        vcov: variance of the coefficients: "sandwich", "model", corrected sandwiches for few clusters:
            "kauermann-carroll", "mancl-derouen", "fay-graubard", "morel-bokossa-neerchal", "gosho", or
            "one-step" and "jackknife".
        scale: a number to hold the scale at, such as 1 for counts without overdispersion; estimated
            otherwise.
        moments: how scale and correlation are estimated: as R's "geepack" (all pairs, divisor n) or its "gee"
            (divisor n - p).
        weights: precision weights or inverse probabilities, column or array (n,). Given the result of
            `ml.dropout_weights`, sandwich variances allow for the weights having been estimated.
        freq_weights: counts, column or array (n,), one number in each cluster: so many clusters are like it.
        offset: known part of the linear predictor, column or array (n,).
        contrasts: coding of factors, for example `{"g": "sum"}`.
        missing: "drop" rows with missing values and say how many, or "raise".

    Example:
        >>> import multilevel as ml
        >>> ohio = ml.datasets.ohio()
        >>> fit = ml.gee(
        ...     "resp ~ age + smoke", ohio, groups="id", time="age", family="binomial", corr="exchangeable"
        ... )
        >>> fit.fixef.round(3), fit.se.round(3), round(float(fit.alpha[0]), 3)
        (array([-1.88 , -0.113,  0.265]), array([0.114, 0.044, 0.178]), 0.354)

    References:
        Liang, K.-Y. & Zeger, S. L. (1986). Longitudinal data analysis using generalized linear models.
        Biometrika 73, 13-22.
        Zeger, S. L., Liang, K.-Y. & Albert, P. S. (1988). Models for longitudinal data: a generalized
        estimating equation approach. Biometrics 44, 1049-1060.
        Fay, M. P. & Graubard, B. I. (2001). Small-sample adjustments for Wald-type tests using sandwich
        estimators. Biometrics 57, 1198-1206.
        Robins, J. M., Rotnitzky, A. & Zhao, L. P. (1995). Analysis of semiparametric regression models for
        repeated outcomes in the presence of missing data. Journal of the American Statistical Association
        90, 106-121.
    """
    terms = parse_formula(formula)
    refuse_bars(terms)
    structure, distribution = as_correlation(corr), quasi_family(family, link)
    checked_choice("moments", moments, ("geepack", "gee"))
    time = structure.time_column or time
    data_options: dict[str, Any] = {
        "weights": weights,
        "freq_weights": freq_weights,
        "offset": offset,
        "contrasts": contrasts,
        "missing": missing,
    }
    extra = own_columns(groups, time, structure, data)
    design = build_design(terms, data, response=distribution.response, **data_options, extra_columns=extra)
    distribution.refuse_impossible(proportions(design), design.response_name)
    layout = cluster_layout(design, data, groups, time, structure)
    dropout = dropout_model(weights, structure, freq_weights is not None)
    wanted = Equations(layout, distribution, structure, vcov, checked_scale(scale), moments, dropout)
    kind = None if vcov is None else chosen_kind(vcov, layout.n_clusters)
    problem = problem_of(design, wanted)
    solution = solve(problem)
    options = {"groups": groups, "time": time, "family": family, "link": link, "corr": corr, "vcov": vcov}
    call = Call(gee, data, {**options, "scale": scale, "moments": moments, **data_options})
    fit = GEEFit(design, call, wanted, problem, solution)
    warn_of(wanted, problem, fit.record, kind)
    return fit


class GEEFit(AverageEffects[GEERecord], GEETesting):
    """Generalized estimating equations, solved, with the variance of the coefficients that was asked for."""

    def __init__(
        self,
        design: Design,
        call: Call,
        equations: Equations,
        problem: EstimatingProblem,
        solution: EstimatingSolution,
    ) -> None:
        record = assemble_gee(problem, solution, design.coef_names, design.n_rows)
        if equations.dropout is not None:
            of_dropout = dropout_scores_of(equations.dropout, equations.layout.labels)
            record = replace(record, scores=projected_scores(record.scores, of_dropout))
        super().__init__(design, record, call)
        self.equations = equations
        self.problem = problem
        self.solution = solution

    # Stored numbers ----------------------------------------------------------------------------------

    @property
    def family(self) -> str:
        """Distribution of the response."""
        return self.equations.family.name

    @property
    def link(self) -> str:
        """The link function's name."""
        return self.equations.family.link.name

    @property
    def scale(self) -> float:
        """Scale phi: the variance of a response is phi V(mu) / weight."""
        return self.record.phi

    @property
    def alpha(self) -> Array:
        """Parameters (q,) of the working correlation."""
        return self.record.alpha

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of clusters by the name of their column."""
        return {self.equations.layout.name: self.n_clusters}

    @property
    def converged(self) -> bool:
        """Whether the equations were solved."""
        return self.record.converged

    # Tables ------------------------------------------------------------------------------------------

    def summary(
        self, df: DfMethod | None = None, *, exponentiate: bool = False, vcov: str | None = None
    ) -> Summary:
        """Coefficients with their tests, scale and working correlation, and what is assumed.

        Args:
            df: degrees of freedom: "z" (the normal), "residual" (clusters less coefficients),
                "satterthwaite", "fay-graubard" or "pan-wall"; what goes with the variance if not given.
            exponentiate: show odds ratios, rate ratios or hazard ratios, as the link has them, with limits.
            vcov: another kind of variance for once.
        """
        word = self._ratio_word() if checked_switch("exponentiate", exponentiate) else None
        inference = self._inference(df, vcov)
        return gee_summary(
            self.design,
            self.problem,
            self.record,
            self.equations.corr,
            inferred_table(self.coef_names, inference),
            self._association_errors("sandwich", exact=False),
            self._kind(vcov),
            inference.method,
            word=word,
            by_itself=vcov is None and self.equations.vcov is None,
            alone=self._alone(),
            estimated_weights=self.equations.dropout is not None,
        )

    def tidy(
        self,
        *,
        conf_int: bool = False,
        conf_level: float = 0.95,
        exponentiate: bool = False,
        df: DfMethod | None = None,
        vcov: str | None = None,
    ) -> Frame:
        """One row a coefficient: term, estimate, std_error, statistic, df, p_value, and limits on request.

        With `exponentiate` estimates are ratios: population-averaged odds ratios for the logit.

        Example:
            >>> import multilevel as ml
            >>> sleep = ml.datasets.sleepstudy()
            >>> fit = ml.gee("Reaction ~ Days", sleep, groups="Subject", corr="exchangeable")
            >>> fit.tidy(vcov="sandwich")["std_error"].round(3).tolist()
            [6.632, 1.502]
        """
        if checked_switch("exponentiate", exponentiate):
            self._ratio_word()
        table = inferred_table(self.coef_names, self._inference(df, vcov))
        return self._frame(fixed_columns(table, conf_level if conf_int else None, exponentiate))

    def association(
        self, *, vcov: AssociationVariance = "sandwich", exact: bool = False, conf_level: float | None = None
    ) -> Frame:
        """Scale and working correlation: term, estimate, std_error, and normal limits on request.

        Args:
            vcov: "sandwich" of all three sets of estimating equations, or a jackknife: "linear", "one-step",
                or "jackknife" (complete refits).
            exact: standard errors as R's geepack gives them leave out a part of two derivatives; True takes
                the derivatives in full. The coefficients do not depend on it.
            conf_level: for normal limits.

        Example:
            >>> import multilevel as ml
            >>> sleep = ml.datasets.sleepstudy()
            >>> fit = ml.gee("Reaction ~ Days", sleep, groups="Subject", corr="exchangeable")
            >>> table = fit.association()
            >>> table["estimate"].round(3).tolist(), table["std_error"].round(4).tolist()
            ([2251.398, 0.576], [536.5691, 0.1114])

        References:
            Yan, J. & Fine, J. (2004). Estimating equations for association structures. Statistics in Medicine
            23, 859-874.
        """
        checked_choice("vcov", vcov, ("sandwich", "linear", "one-step", "jackknife"))
        errors = self._association_errors(vcov, exact=exact)
        estimate = np.concatenate([[self.scale], self.alpha])
        std_error = np.full(len(estimate), np.nan) if errors is None else errors
        columns: dict[str, Any] = {
            "term": ["scale", *self.record.alpha_names],
            "estimate": estimate,
            "std_error": std_error,
        }
        if conf_level is not None:
            half = critical_value(conf_level, None) * std_error
            columns |= {"conf_low": estimate - half, "conf_high": estimate + half}
        return self._frame(columns)

    def working_correlation(self, cluster: object = None) -> Array:
        """The estimated working correlation (m, m) of the rows of a cluster, in order of time.

        Of all visits in order where the structure depends on visits, else of the largest cluster, if none is
        named.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.gee("Reaction ~ Days", ml.datasets.sleepstudy(), groups="Subject", corr="ar1")
            >>> fit.working_correlation()[0, :3].round(3)
            array([1.   , 0.854, 0.729])
        """
        layout, corr = self.equations.layout, self.equations.corr
        if cluster is None and isinstance(corr, PatternedCorrelation) and not getattr(corr, "by_pair", False):
            return corr.matrix(self.alpha, np.arange(float(len(layout.visits))))
        k = int(layout.sizes.argmax()) if cluster is None else self._cluster_number(cluster)
        rows = slice(int(layout.start[k]), int(layout.start[k + 1]))
        if isinstance(corr, NestedExchangeable) and layout.inner is not None:
            inner = np.searchsorted(layout.inner, np.arange(rows.start, rows.stop), side="right")
            return corr.matrix(self.alpha, inner.astype(np.float64))
        if isinstance(corr, PatternedCorrelation):
            return corr.matrix(self.alpha, layout.visit[rows].astype(np.float64))
        return corr.matrix(self.alpha, layout.time[rows])

    def equation(self, style: Literal["text", "latex"] = "text") -> str:
        """The mean written out, with the estimates, as text or as LaTeX."""
        sections = gee_sections(self.design, self.record, self.equations.family, self.equations.corr.name)
        return write_page(sections, style)

    def _coefficients(self, df: str | None = None) -> CoefficientTable:
        return inferred_table(self.coef_names, self._inference(df))

    def _inference(
        self, df: str | None = None, vcov: str | None = None, cluster: Clustering | None = None
    ) -> CoefficientInference:
        if cluster is not None:
            raise ModelError(
                "the clusters of estimating equations are those of groups=; fit.update(groups=...) takes "
                "others."
            )
        return gee_inference(self.problem, self.solution, self.record, self._kind(vcov), df)

    def _clusters(self) -> tuple[Grouping, ...]:
        return (clusters_of(self.call.options["groups"], self.call.data, self.design),)  # type: ignore[arg-type]

    def _kind(self, vcov: str | None = None) -> str:
        asked = self.equations.vcov if vcov is None else vcov
        return chosen_kind(asked, self.n_clusters, self.record.definite)

    def _own_vcov(self) -> str:
        return self._kind()

    def _glance(self) -> dict[str, object]:
        return {
            "nobs": self.nobs,
            "n_clusters": self.n_clusters,
            "smallest_cluster": int(self.record.sizes.min()),
            "largest_cluster": int(self.record.sizes.max()),
            "family": self.family,
            "link": self.equations.family.link.name,
            "corr": self.equations.corr.name,
            "scale": self.scale,
            "vcov": self._kind(),
            "converged": self.converged,
        }

    def _augmented(self) -> dict[str, Array]:
        return {
            "fitted": self.fitted,
            "residual": self.residuals("response"),
            "residual_pearson": self.residuals("pearson"),
        }

    def _association_errors(self, vcov: AssociationVariance, *, exact: bool) -> Array | None:
        """Standard errors (1 + q,) of scale and correlations; None for moments that come without."""
        if self.equations.moments == "gee":
            return None
        p, given = len(self.fixef), [0.0] if self.problem.scale is not None else []
        kinds: dict[str, JackknifeKind] = {
            "linear": "linear",
            "one-step": "one-step",
            "jackknife": "jackknife",
        }
        if vcov == "sandwich":
            V = joint_equations(self.problem, self.solution, exact=exact).covariance()
        else:
            V = jackknife_covariance(self.problem, self.solution, kinds[vcov])
        return np.concatenate([given, np.sqrt(np.diag(V)[p:])])

    def _alone(self) -> Mask:
        """Coefficients (p,) that rest on one cluster; looked for where there are few."""
        if self.n_clusters >= FEW_CLUSTERS or not self.record.definite:
            return np.zeros(len(self.fixef), dtype=np.bool_)
        informations = cluster_informations(self.problem, self.record, self.solution.beta)
        return resting_on_one_cluster(self.record, informations)

    def _cluster_number(self, cluster: object) -> int:
        labels = self.equations.layout.labels
        if str(cluster) not in labels:
            raise DataError(f"'{cluster}' is no cluster of '{self.equations.layout.name}'.")
        return labels.index(str(cluster))

    # Inference ---------------------------------------------------------------------------------------

    def vcov(self, *, kind: str | None = None) -> Array:
        """Covariance (p, p) of the coefficients: the fit's own, or another kind, as for `ml.gee`."""
        return self._inference(vcov=kind).covariance(np.eye(len(self.fixef)))

    # Data --------------------------------------------------------------------------------------------

    def residuals(self, kind: Literal["response", "pearson", "scaled"] = "response") -> Array:
        """Residuals (n,): "response", "pearson" (over the root of V(mu) / weight), "scaled" (and of phi)."""
        checked_choice("kind", kind, RESIDUALS)
        if kind == "response":
            return np.asarray(proportions(self.design) - self.fitted)
        return self.record.pearson if kind == "pearson" else np.asarray(self.record.pearson / self.sigma)

    def predict(
        self,
        new: Frame | None = None,
        *,
        kind: Literal["response", "link"] = "response",
        interval: Literal["confidence"] | None = None,
        level: float = 0.95,
        vcov: str | None = None,
        df: DfMethod | None = None,
    ) -> Array | Frame:
        """Population means (k,) for new rows, or for the rows used; with `interval`, a frame with limits.

        The frame has the columns fitted, conf_low and conf_high; limits are found on the scale of the link.

        Args:
            new: data with the predictors; rows with missing values give NaN.
            kind: "response" for means, "link" for linear predictors.
            interval: "confidence" for the mean. Nothing is said of single responses, whose distribution
                estimating equations leave open.
            level: of the interval.
            vcov: kind of variance, the fit's own if not given.
            df: its degrees of freedom.

        Example:
            >>> import multilevel as ml
            >>> ohio = ml.datasets.ohio()
            >>> fit = ml.gee("resp ~ age + smoke", ohio, groups="id", family="binomial", corr="exchangeable")
            >>> fit.predict({"age": [0, 0], "smoke": [0, 1]}).round(3)
            array([0.132, 0.166])
        """
        checked_choice("kind", kind, ("response", "link"))
        checked_choice("interval", interval, (None, "confidence"))
        rows = used_rows(self.design) if new is None else new_rows(self.design, new, None)
        eta = rows.X @ self.fixef
        if rows.offset is not None:
            eta = eta + rows.offset
        inverse = self.equations.family.link.inverse if kind == "response" else np.asarray
        if interval is None:
            return inverse(eta)
        half = self._half_width(rows.X, level, df, vcov)
        limits = np.sort([inverse(eta - half), inverse(eta + half)], axis=0)
        columns = {"fitted": inverse(eta), "conf_low": limits[0], "conf_high": limits[1]}
        return self._predictions(new, columns)

    def _half_width(self, X: Array, level: float, df: str | None, vcov: str | None) -> Array:
        inference = self._inference(df, vcov)
        complete = np.isfinite(X).all(axis=1)
        distinct, place = np.unique(X[complete], axis=0, return_inverse=True)
        variance = np.array([inference.covariance(row[None, :])[0, 0] for row in distinct])
        half = critical_value(level, inference.df(distinct)) * np.sqrt(variance)
        out = np.full(len(X), np.nan)
        out[complete] = half[place.ravel()]
        return out

    def _response_scale(self) -> ResponseScale:
        family = self.equations.family
        words = "probabilities" if family.response == "trials" else "on the scale of the response"
        ratio = None if family.link.ratio is None else self._ratio_word()
        return ResponseScale(family.link, words, ratio)

    def _ratio_word(self) -> str:
        return ratio_of_family(self.equations.family, self.design.response_name)

    def _mean_function(self) -> MeanFunction:
        link = self.equations.family.link
        return lambda eta: MeanOfRows(link.inverse(eta), link.slope(eta)[:, None])

    # The same model again ----------------------------------------------------------------------------

    def refit(self, y: npt.ArrayLike) -> Self:
        """Solve the same equations for another response (n,), over the rows used or all rows of the data.

        Where there are trials the response counts successes.
        """
        design = replace(self.design, y=checked_response(y, self.design))
        self.equations.family.refuse_impossible(proportions(design), design.response_name)
        problem = problem_of(design, self.equations)
        return type(self)(design, self.call, self.equations, problem, solve(problem))

    def _estimate(self, design: Design) -> GEERecord:
        problem = problem_of(design, self.equations)
        return assemble_gee(problem, solve(problem), design.coef_names, design.n_rows)

    @property
    def __maketables_vcov_info__(self) -> dict[str, str | None]:
        return {"vcov_type": self._kind(), "clustervar": self.equations.layout.name}

    @property
    def __maketables_default_stat_keys__(self) -> list[str]:
        return ["N", "n_clusters"]
