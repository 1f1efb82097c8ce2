"""`ml.glmm`: a generalized linear mixed model from formula and data, and the fit that the user holds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self

import numpy.typing as npt

from multilevel._options import checked_choice, checked_switch
from multilevel._typing import Array, Frame
from multilevel.clusters.plausible import plausible_ranges
from multilevel.design.glmm import GLMMDesign, build_glmm_design
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.estimation.glmm import WorkingGLMM, minimise_glmm, working_glmm
from multilevel.estimation.glmm_prior import checked_prior
from multilevel.estimation.glmm_refits import off_the_boundary
from multilevel.estimation.optimum import Optimum
from multilevel.families.by_name import as_family
from multilevel.families.family import Family
from multilevel.families.links import Link
from multilevel.fitted.assemble_glmm import assemble_glmm
from multilevel.fitted.glmm import GLMMRecord
from multilevel.formula.parse import parse_formula
from multilevel.inference.clustering import Clustering
from multilevel.inference.laplace_error import laplace_errors
from multilevel.inference.matrices import ModelMatrices, glmm_matrices
from multilevel.report.glmm_equation import glmm_sections
from multilevel.report.glmm_summary import criteria_block, glmm_summary
from multilevel.report.glmm_tables import (
    LevelEffects,
    coef_columns,
    coefficient_columns,
    level_effects,
    ran_pars_columns,
    ran_vals_columns,
    ranef_columns,
    ratio_word,
    varcorr_columns,
)
from multilevel.report.lmm_tables import plausible_columns
from multilevel.report.notation import write_page
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.base import Call
from multilevel.results.checks import checked_response, refuse_wald_limits
from multilevel.results.glmm_base import DfMethod, df_of
from multilevel.results.glmm_checks import (
    checked_nodes,
    refuse_impossible,
    refuse_row_effects,
    refuse_sides,
    require_random_effects,
)
from multilevel.results.glmm_diagnostics import GLMMDiagnostics
from multilevel.results.glmm_explained import GLMMExplained
from multilevel.results.glmm_intervals import GLMMIntervals
from multilevel.results.glmm_means import GLMMMeans
from multilevel.results.glmm_prediction import Predictions
from multilevel.results.glmm_simulation import Simulations
from multilevel.results.glmm_testing import GLMMTesting
from multilevel.results.labels import Levels, own_levels
from multilevel.results.marginal import Marginal


def glmm(
    formula: str,
    data: Frame,
    *,
    family: str | Family,
    link: str | Link | None = None,
    nagq: int = 1,
    zi: str | None = None,
    dispersion: str | None = None,
    prior: str | Mapping[str, float] | None = None,
    weights: str | npt.ArrayLike | None = None,
    freq_weights: str | npt.ArrayLike | None = None,
    offset: str | npt.ArrayLike | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> GLMMFit:
    """Generalized linear mixed model: counts, proportions, categories or skewed amounts in groups.

    By maximum likelihood, the random effects integrated out by Laplace's approximation (any random effects)
    or by adaptive Gauss-Hermite quadrature (one grouping factor); or, faster and less exactly, with the fixed
    effects found together with the random effects.

    Args:
        formula: lme4's dialect, `"y ~ x + (1 + x | g)"`. Of a binomial family the left side may be 0/1,
            `successes / trials` or `cbind(successes, failures)`.
        data: any data frame, or a mapping of equally long columns (n rows).
        family: "binomial", "poisson", "negative_binomial", "nbinom1", "gamma", "inverse_gaussian", "beta",
            "beta_binomial", "tweedie", "student", "ordinal", "gaussian", the truncated counts
            "truncated_poisson", "truncated_nbinom2", "truncated_nbinom1", or one of `ml.families`.
        link: "logit", "probit", "cloglog", "cauchit", "log", "identity", "inverse", "sqrt"; the family's
            usual one if not given.
        nagq: quadrature points in each dimension; 1 is Laplace's approximation. Take 7 to 25 for binary
            responses in small groups. 0 is for crossed factors and many fixed effects: the search is over the
            covariances alone, and at each step the coefficients of the mean are those that are most likely
            together with the random effects, which is biased where groups are small.
        zi: right-hand side for an excess of zeros (its logit), `"~ 1"` or `"~ x + (1 | g)"`; of a truncated
            family, for all zeros: the hurdle model.
        dispersion: right-hand side for the log of the dispersion, `"~ x"`; one number if not given.
        prior: None for maximum likelihood; "weak", or a mapping, for a prior that keeps the estimates finite
            where predictors separate the responses: `{"coef": 2.5, "intercept": 10, "zi": 5,
            "covariance": 1}`, standard deviations of coefficients of standardised columns, and the power of
            the standard deviations of random effects in their prior.
        weights: column or array (n,): the dispersion of a row is phi / weight where the family has one that
            is so divided (gaussian, student, gamma, inverse_gaussian); else they multiply its log-density.
        freq_weights: counts, column or array (n,): how many observations a row stands for.
        offset: known part of the linear predictor, column or array (n,): the log of an exposure.
        contrasts: coding of factors, for example `{"g": "sum"}`.
        missing: "drop" rows with missing values and say how many, or "raise".

    Example:
        >>> import multilevel as ml
        >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
        >>> fit.fixef.round(3), fit.theta.round(3), round(fit.loglik, 3)
        (array([-1.399, -0.992, -1.129, -1.58 ]), array([0.642]), -92.026)

    References:
        Breslow, N. E. & Clayton, D. G. (1993). Approximate inference in generalized linear mixed models.
        Journal of the American Statistical Association 88, 9-25.
        Brooks, M. E. et al. (2017). glmmTMB balances speed and flexibility among packages for zero-inflated
        generalized linear mixed modeling. The R Journal 9, 378-400.
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
    require_random_effects(terms, zi)
    nodes = checked_nodes(nagq)
    design = build_glmm_design(terms, data, chosen.response, zi=zi, dispersion=dispersion, **data_options)
    options = {
        "family": family,
        "link": link,
        "nagq": nagq,
        "zi": zi,
        "dispersion": dispersion,
        "prior": prior,
        **data_options,
    }
    record, model = estimate(design, chosen, nodes, prior)
    fit = GLMMFit(design, record, Call(glmm, data, options))
    fit._working = model
    return fit


def estimate(
    design: GLMMDesign, family: Family, nodes: int, prior: object, begin: Array | None = None
) -> tuple[GLMMRecord, WorkingGLMM]:
    """From design to record: working coordinates, search, and the record; with the model."""
    refuse_sides(family, design)
    refuse_impossible(family, design)
    refuse_row_effects(family, design)
    model = working_glmm(design, family, nodes=nodes, prior=checked_prior(prior))
    optimum = minimise_glmm(model, begin=None if begin is None else [off_the_boundary(model, begin)])
    try:
        record = assemble_glmm(design, family, model, optimum, nodes=nodes)
    except ModelError:
        raise
    except ValueError as error:  # the core's: the criterion is not defined there
        raise ModelError(
            "the approximation breaks down where the search ended: given the data, the density of the random "
            "effects has no proper peak there, as happens with few rows a group in families whose "
            "log-density is not concave. Use fewer random effects, another family or link, or nagq= with one "
            "grouping factor."
        ) from error
    if not optimum.converged:
        warnings.warn(f"The search {optimum.message}.", MultilevelWarning, stacklevel=3)
    return record, model


class GLMMFit(
    GLMMIntervals,
    Simulations,
    GLMMDiagnostics,
    Predictions,
    Marginal,
    GLMMExplained,
    GLMMMeans,
    GLMMTesting,
):
    """A fitted generalized linear mixed model."""

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
    def theta(self) -> Array:
        """Covariance parameters of all random effects, in lme4's order."""
        return self.record.theta

    @property
    def criterion(self) -> float:
        """Minus twice the log-likelihood."""
        return self.record.criterion

    @property
    def thresholds(self) -> Array:
        """Thresholds between ordered categories; empty in other families."""
        return self.record.thresholds

    @property
    def dispersion(self) -> float | Array | None:
        """The dispersion phi: one number, or one a row (n,) with dispersion=; None where there is none."""
        phi = self.record.dispersion
        return phi if phi is None or self.model.dispersion is not None else float(phi[0])

    @property
    def shape(self) -> float | None:
        """Power of a Tweedie family, degrees of freedom of Student's t; None in other families."""
        return self.record.shape

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return {g.name: g.n_levels for side in self.model.sides for g in side.groupings}

    @property
    def optimum(self) -> Optimum:
        """The record of the search, with the certificate that it ended at an optimum."""
        return self.record.optimum

    @property
    def converged(self) -> bool:
        """Whether the search converged and its certificate holds."""
        return self.optimum.converged and self.optimum.certificate.holds

    @property
    def singular(self) -> bool:
        """Whether a covariance of random effects is on the boundary (a variance 0, a correlation +-1)."""
        return self.record.singular

    # Tables ------------------------------------------------------------------------------------------

    def summary(
        self,
        df: DfMethod | None = None,
        *,
        exponentiate: bool = False,
        vcov: str | None = None,
        cluster: Clustering | None = None,
    ) -> Summary:
        """The fit on one page: criterion, random effects, coefficients, and what deserves notice.

        Args:
            df: "z" for tests by the normal distribution, which the model-based variance has always; a robust
                one has t on one df fewer than there are clusters ("residual") unless told.
            exponentiate: show odds ratios, rate ratios or hazard ratios, as the link has them, with limits.
            vcov: kind of variance, as for `vcov(kind=)`.
            cluster: clusters of that variance, a column or labels (n,).

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> print(fit.summary(exponentiate=True).blocks[3])
            Fixed effects, as odds ratios
                           Odds ratio  Std. Error    2.5 %  97.5 %
              Intercept        0.2470     0.05741  0.15658  0.3895
              period[T.2]      0.3707     0.11368  0.20325  0.6762
              period[T.3]      0.3235     0.10566  0.17053  0.6136
              period[T.4]      0.2059     0.08801  0.08909  0.4759
        """
        checked_switch("exponentiate", exponentiate)
        sandwich = self._sandwich(vcov, cluster, df, warn=False)  # the page says so itself
        residuals = None if self.record.family.response == "ordered" else self.residuals("pearson")
        criteria = criteria_block(self.aic, self.bic, self.loglik, self.df_residual)
        laplace = laplace_errors(self.model, self.record, self._working_model())
        return glmm_summary(
            self.model,
            self._with_variance(sandwich),
            residuals,
            criteria,
            laplace,
            exponentiate=exponentiate,
            sandwich=sandwich,
        )

    def tidy(
        self,
        effects: Literal["fixed", "ran_pars", "ran_vals"] = "fixed",
        *,
        conf_int: bool = False,
        conf_level: float = 0.95,
        exponentiate: bool = False,
        df: DfMethod | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
    ) -> Frame:
        """Estimates under broom's names: coefficients of all parts, SDs and correlations, or random effects.

        The column component says of which part a row is: "cond" (the mean), "zi" (the excess of zeros),
        "disp" (the log dispersion), "threshold". With `exponentiate` estimates and limits are odds ratios,
        rate ratios or hazard ratios, as the link has them. `df`, `vcov` and `cluster` are those of `summary`.
        """
        checked_choice("effects", effects, ("fixed", "ran_pars", "ran_vals"))
        if effects == "ran_pars":
            refuse_wald_limits(conf_int)
            return self._frame(ran_pars_columns(self.record))
        if effects == "ran_vals":
            return self._frame(ran_vals_columns(self._level_effects(), conf_level if conf_int else None))
        if checked_switch("exponentiate", exponentiate):
            ratio_word(self.record)
        level, sandwich = conf_level if conf_int else None, self._sandwich(vcov, cluster, df)
        record, known_df = self._with_variance(sandwich), df_of(sandwich)
        return self._frame(coefficient_columns(record, level, exponentiate=exponentiate, df=known_df))

    def _ran_pars(self) -> Columns:
        return ran_pars_columns(self.record)

    def ranef(self) -> Frame:
        """Random effects by level: conditional mode, its SD given the parameters, and its reliability.

        They are on the scale of the linear predictor. Reliability, 1 - conditional variance / variance, is
        the weight that the level's own rows have in the mode.
        """
        return self._frame(ranef_columns(self._level_effects()))

    def coef(self) -> Frame:
        """Coefficients of the mean in each level: the fixed ones plus the level's own random effects."""
        levels = own_levels(self.design.groupings, self.call.data)
        return self._frame(coef_columns(self.model, self._with_random_effects(), levels))

    def varcorr(self) -> Frame:
        """Variances, standard deviations, covariances and correlations of the random effects.

        Rows of one column have a variance and an sd, and `term2`, covariance and correlation missing; rows of
        two columns the reverse.
        """
        return self._frame(varcorr_columns(self.record))

    def plausible_ranges(self, *, level: float = 0.95) -> Frame:
        """Where the intercept and slopes of a new group would fall with probability `level`."""
        return self._frame(plausible_columns(plausible_ranges(self._with_random_effects(), level)))

    def equation(self, style: Literal["text", "latex"] = "text") -> str:
        """The model written out, with its estimates, as text or as LaTeX.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ 1 + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> print(fit.equation())
            Response
              incidence / size, given the random effects: binomial with share with mean μ of the trials
              logit(μ) = η
            Linear predictor
              η_ij = γ0 + u0_j
            Random effects
              u0_j ~ N(0, 0.65934)
            Estimates
              γ0 = -2.0462  (Intercept)
        """
        return write_page(glmm_sections(self.model, self.record), style)

    # Inference ---------------------------------------------------------------------------------------

    def matrices(self) -> ModelMatrices:
        """X, and sparse Z, Lambda and Sigma of the mean: eta = X beta + Z b with Var(b) = Sigma.

        `residual_variance` is the variance of each response (of a share, where there are trials) given the
        random effects.
        """
        return glmm_matrices(self.model, self._with_random_effects())

    @property
    def se(self) -> Array:
        """Standard errors of the mean's coefficients (p,)."""
        return self.record.parts[0].std_error

    def vcov(
        self, *, kind: str | None = None, cluster: Clustering | None = None, full: bool = False
    ) -> Array:
        """Covariance of the mean's coefficients (p, p), or with `full` of all parameters.

        The model's is the inverse of the exact Hessian of the criterion in all parameters, covariances
        included. A cluster-robust one puts the scores of independent clusters between two of these inverses
        (a sandwich), and asks only that clusters be independent: right standard errors of the parameters
        that come nearest to the truth, also where random effects, dispersion or family are not quite right.
        With nagq=0 the coefficients' is the one that they have together with the random effects, covariances
        held at their estimates. The full matrix has the coefficients of every part, then `theta`;
        `vcov_names` names its rows.

        Args:
            kind: "model", or "CR0", "CR1" (times G / (G - 1), with G clusters), "CR1S" (that, times
                (n - 1) / (n - p), as Stata has it), "CR1p" (G / (G - p)) or "CR3" (the jackknife: the changes
                without each cluster, by one Newton step; for few clusters); if not given, the model's, or
                "CR1" with `cluster`.
            cluster: column of the data of the fit, or labels (n,) for its rows, that hold whole levels of
                all grouping factors; if not given, the grouping factor that holds all others.
            full: all parameters.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("y ~ lbase + V4 + (1 | subject)", ml.datasets.epil(), family="poisson")
            >>> fit.se.round(3), (fit.vcov(kind="CR1").diagonal() ** 0.5).round(3)
            (array([0.079, 0.104, 0.055]), array([0.085, 0.108, 0.066]))

        References:
            White, H. (1982). Maximum likelihood estimation of misspecified models. Econometrica 50, 1-25.
        """
        checked_switch("full", full)
        record = self._with_variance(self._sandwich(kind, cluster, None))
        return record.joint_vcov if full else record.vcov

    @property
    def vcov_names(self) -> tuple[str, ...]:
        """Names of the rows of `vcov(full=True)`."""
        return self.record.joint_names

    # The same model again ----------------------------------------------------------------------------

    def refit(self, y: npt.ArrayLike) -> Self:
        """Fit the same model to another response (n,), over the rows used or all rows of the data.

        Where there are trials the response counts successes, or is a table of successes and failures;
        categories and labels may be given as such, or numbered from 0.
        """
        values = checked_response(y, self.design)
        return self._of_design(with_response(self.model, values), self.optimum.theta)

    def _of_design(self, model: GLMMDesign, begin: Array | None = None) -> Self:
        """The same model and settings on another design."""
        prior = self.call.options.get("prior")
        record, _ = estimate(model, self.record.family, self.record.nodes, prior, begin)
        return type(self)(model, record, self.call)

    # What the shared face asks for -------------------------------------------------------------------

    def _glance(self) -> dict[str, object]:
        return {
            "nobs": self.nobs,
            "sigma": self.sigma,
            "loglik": self.loglik,
            "aic": self.aic,
            "bic": self.bic,
            "deviance": self.criterion,
            "df_residual": self.df_residual,
        }

    def _augmented(self) -> dict[str, Array]:
        columns = {"fitted": self.fitted, "eta": self.record.eta, "eta_fixed": self.record.eta_fixed}
        if self.record.family.response != "ordered":
            columns |= {"residual": self.residuals(), "residual_pearson": self.residuals("pearson")}
        return columns

    def _level_effects(self) -> list[LevelEffects]:
        levels: list[list[Levels]] = [own_levels(side.groupings, self.call.data) for side in self.model.sides]
        used = [levels[k] for k, side in enumerate(self.model.sides) if side.terms]
        return level_effects(self.model, self.record, used)


def with_response(model: GLMMDesign, y: Array) -> GLMMDesign:
    """The same design with another response."""
    return replace(model, main=replace(model.main, y=y))
