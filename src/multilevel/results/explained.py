"""How much does a mixed model explain, and how alike are the members of a cluster?"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from multilevel._options import Seed, checked_choice, checked_count, checked_seed
from multilevel._typing import Array, Frame
from multilevel.clusters.icc import (
    columns_at,
    fixed_variance,
    group_variances,
    intraclass_correlations,
    values_at,
    variance_at,
)
from multilevel.clusters.icc_limits import (
    Limits,
    Ratios,
    bootstrap_limits,
    delta_limits,
    exact_limits,
    group_point_ratios,
    icc_ratios,
    percentile_limits,
    point_ratios,
)
from multilevel.clusters.r_squared import (
    ExplainedVariance,
    by_level,
    fixed_root,
    level_reductions,
    mean_random_variance,
    nakagawa,
)
from multilevel.clusters.shrinkage import row_weights
from multilevel.clusters.variance_forms import Covariances, covariances_at
from multilevel.clusters.variance_partition import moved_columns, variance_partition
from multilevel.design.null import null_design
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.estimation.lmm import WorkingModel
from multilevel.estimation.refits import LONG, ResponseFits, joined_fits, response_blocks, with_response
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.wald import checked_level
from multilevel.report.explained import (
    partition_columns,
    point_columns,
    r2_columns,
    r2_without_residual_columns,
    with_limits,
)
from multilevel.report.lmm_tables import icc_columns
from multilevel.report.tables import Columns
from multilevel.results.base import Fit

IntervalMethod = Literal["exact", "delta", "bootstrap"]


class MixedModel(Fit[LMMRecord]):
    """What the methods below need of a fit."""

    @property
    @abstractmethod
    def reml(self) -> bool: ...  # noqa: D102
    @abstractmethod
    def simulate(self, n: int = 1, seed: Seed = None, re: Literal["new", "keep"] = "new") -> Array: ...  # noqa: D102
    @abstractmethod
    def refit_many(self, Y: npt.ArrayLike, *, progress: bool | None = None) -> ResponseFits: ...  # noqa: D102
    @abstractmethod
    def _working_model(self) -> WorkingModel: ...


class Explained(MixedModel):
    """R2, intraclass correlations, and their intervals."""

    def r2(
        self,
        *,
        null: Self | None = None,
        conf_int: Literal["bootstrap"] | None = None,
        level: float = 0.95,
        n: int = 1000,
        seed: Seed = None,
        progress: bool | None = None,
    ) -> Frame:
        """Explained variance: marginal and conditional R2, and what each level's variance was reduced by.

        Each row is `estimate = 1 - unexplained / total`, a `measure` of the variance of an observation, of
        a grouping factor, or of the residual (column `group`):

        - "marginal", "conditional": what the fixed part, and fixed and random effects together, explain of
          the variance of an observation (Nakagawa and Schielzeth; with random slopes, Johnson).
        - "raudenbush_bryk": reduction of the variance of each grouping factor, and of the residual variance,
          against the null model. It may be negative: a predictor that varies within groups often raises the
          variance between them.
        - "snijders_bosker": reduction of the error of predicting an observation, or the mean of a group, from
          the fixed part.

        The null model has an intercept, and a random intercept for each grouping factor, on the same rows. It
        has no random slopes: where this model has, the mean of z' Sigma z over the rows stands for the
        variance of a grouping factor (`note` is "averaged"). To compare component by component (column
        `term`), give as `null` a fit with the same random effects and fewer predictors. In a singular fit a
        variance of zero counts as zero, and the conditional R2 may equal the marginal one (`note` is
        "singular"). What the null model has no variance of cannot be reduced ("undefined"). An offset is no
        part of what is explained, and sigma^2 is that of an observation with weight 1.

        Args:
            null: the fit to compare with; if None, the null model is fitted.
            conf_int: "bootstrap" adds limits by a parametric bootstrap (quantiles).
            level: of the limits.
            n: responses simulated for them.
            seed: of the simulation.
            progress: show a progress bar; on by default when it will be long.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy())
            >>> fit.r2()[["measure", "group", "estimate"]].round(3)
                       measure        group  estimate
            0         marginal  Observation     0.280
            1      conditional  Observation     0.704
            2  raudenbush_bryk      Subject    -0.078
            3  raudenbush_bryk     Residual     0.510
            4  snijders_bosker      Subject     0.000
            5  snijders_bosker  Observation     0.278

        References:
            Nakagawa, S., Johnson, P. C. D. & Schielzeth, H. (2017). The coefficient of determination R2 and
            intra-class correlation coefficient from generalized linear mixed-effects models revisited and
            expanded. Journal of the Royal Society Interface 14.
            Snijders, T. A. B. & Bosker, R. J. (2012). Multilevel Analysis, 2nd ed., ch. 7. Sage.
        """
        checked_choice("conf_int", conf_int, (None, "bootstrap"))
        level, n = checked_level(level), checked_count("n", n)
        if conf_int is not None:
            refuse_limits_without_residual(self.record)
        if self.record.sigma == 0.0:
            return self._frame(r2_without_residual_columns(nakagawa_of(self)))
        other = self._null() if null is None else checked_null(null, self)
        explained, limits = explained_by(self, other), None
        if conf_int is not None:
            refits = bootstrap_refits([self, other], n, seed, progress)
            limits = percentile_limits(replicated_r2(self, other, *refits), level)
        return self._frame(r2_columns(explained, limits, singular=self.record.singular))

    def icc(
        self,
        *,
        at: Mapping[str, npt.ArrayLike] | None = None,
        over: str | None = None,
        points: int = 50,
        conf_int: IntervalMethod | None = None,
        level: float = 0.95,
        n: int = 1000,
        seed: Seed = None,
        progress: bool | None = None,
    ) -> Frame:
        """Intraclass correlations: how alike two observations of one group are, by grouping factor.

        `icc` is the share of the variance that the fixed part leaves, `icc_cumulative` the correlation of two
        observations of one level (which share all that it lies in), `icc_unadjusted` the share of the whole
        variance. With random slopes, the variance between groups depends on their covariates, and the mean
        over the rows stands for it; `at` and `over` show it where it is.

        Args:
            at: values of the random slopes' columns, as `{"x": [0, 5]}`: the variance between and within all
                groups there, and the correlation.
            over: a variable of the random slopes: variances and the share of each grouping factor along it,
                in `points` steps over its range (or at each level of a factor), other variables at their
                means; ready for a plot.
            points: how many steps.
            conf_int: limits for `icc`: "exact" in models with one random column, "delta" (normal on the
                logit scale), or "bootstrap" (quantiles of a parametric bootstrap).
            level: of the limits.
            n: responses simulated for the bootstrap.
            seed: of the simulation.
            progress: show a progress bar; on by default when it will be long.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Yield ~ 1 + (1 | Batch)", ml.datasets.dyestuff())
            >>> fit.icc(conf_int="exact")[["group", "icc", "conf_low", "conf_high"]].round(3)
               group    icc  conf_low  conf_high
            0  Batch  0.418     0.084      0.848

        References:
            Goldstein, H., Browne, W. & Rasbash, J. (2002). Partitioning variation in multilevel models.
            Understanding Statistics 1, 223-231.
            Harville, D. A. & Fenech, A. P. (1985). Confidence intervals for a variance ratio, or for
            heritability, in an unbalanced mixed linear model. Biometrics 41, 137-152 ("exact").
        """
        checked_choice("conf_int", conf_int, (None, "exact", "delta", "bootstrap"))
        level, n = checked_level(level), checked_count("n", n)
        table, ratios = icc_table(self, at, over, checked_count("points", points))
        if conf_int is not None:
            refuse_limits_without_residual(self.record)
            if conf_int == "bootstrap":
                (refits,) = bootstrap_refits([self], n, seed, progress)
                limits = bootstrap_limits(self.design, refits, ratios(), level)
            else:
                limits = likelihood_limits(self, ratios(), conf_int, level)
            table = with_limits(table, limits)
        return self._frame(table)

    def _null(self) -> Self:
        """The model without predictors on the same rows, estimated in the same way."""
        design = null_design(self.design)
        return self if design is self.design else type(self)(design, self._estimate(design), self.call)


# ---- intraclass correlations ----


def icc_table(
    fit: MixedModel, at: Mapping[str, npt.ArrayLike] | None, over: str | None, points: int
) -> tuple[Columns, Callable[[], Ratios]]:
    """The table asked for, and how its shares follow from the covariances."""
    design, record = fit.design, fit.record
    if at is not None and over is not None:
        raise DataError("icc() takes at= or over=, not both.")
    if at is not None:
        values = values_at(record, at)
        columns = columns_at(record, values)
        table = point_columns(values, variance_at(record, columns), record.sigma**2)
        return table, lambda: point_ratios(design, columns)
    if over is not None:
        moved = moved_columns(design, fit.call.data, over, points)
        table = partition_columns(variance_partition(design, record, over, moved))
        return table, lambda: group_point_ratios(design, moved.columns)
    return icc_columns(intraclass_correlations(design, record)), lambda: icc_ratios(design)


def likelihood_limits(
    fit: MixedModel, ratios: Ratios, method: Literal["exact", "delta"], level: float
) -> Limits:
    """Limits that need no refit, from the model at the fit's own response."""
    model = with_response(fit.design, fit._working_model(), fit.design.y)
    if method == "exact":
        return exact_limits(fit.design, model, ratios, level)
    if fit.record.singular:
        raise ModelError(
            'conf_int="delta" needs variances above zero, and this fit is singular; use "bootstrap"'
            ' (or "exact" in a model with one random column).'
        )
    return delta_limits(fit.design, model, fit.record.optimum.theta, ratios, reml=fit.reml, level=level)


def refuse_limits_without_residual(record: LMMRecord) -> None:
    """Without a residual nothing is shared out within groups, and there are no refits in bulk."""
    if record.sigma == 0.0:
        raise ModelError('conf_int= needs a residual variance, which residual="none" leaves out.')


# ---- explained variance ----


def nakagawa_of(fit: MixedModel) -> ExplainedVariance:
    """Marginal and conditional R2 at the estimates."""
    random = group_variances(fit.design, fit.record).sum()
    parts = fixed_variance(fit.design, fit.record), random, fit.record.sigma**2
    return nakagawa(*(np.array([part]) for part in parts))


def explained_by(fit: MixedModel, null: MixedModel) -> ExplainedVariance:
    """All measures at the estimates."""
    reductions = level_reductions(fit.design, null.design)
    return nakagawa_of(fit) + by_level(reductions, covariances_of(fit), covariances_of(null))


def covariances_of(fit: MixedModel) -> Covariances:
    """Covariances of the working columns at the estimates."""
    return covariances_at(fit.design, fit.record.optimum.theta[None], np.array([fit.sigma]))


def replicated_r2(fit: MixedModel, null: MixedModel, own: ResponseFits, others: ResponseFits) -> Array:
    """All measures in refits of a model and its null model to the same responses, of those that converged."""
    kept = own.converged & others.converged
    covariances = covariances_at(fit.design, own.theta[kept], own.sigma[kept])
    there = covariances_at(null.design, others.theta[kept], others.sigma[kept])
    root = fixed_root(fit.design.X, fit.design.freq_weights)
    fixed = ((own.beta[kept] @ root.T) ** 2).sum(axis=1)
    whole = nakagawa(fixed, mean_random_variance(fit.design, covariances), covariances.residual)
    return (whole + by_level(level_reductions(fit.design, null.design), covariances, there)).estimate


def checked_null(null: object, fit: MixedModel) -> MixedModel:
    """A fit of another mixed model to the same response in the same rows."""
    if not isinstance(null, MixedModel):
        raise DataTypeError(f"r2(null=) takes a fit of ml.lmm, got {null!r:.60}.")
    if not np.array_equal(null.design.y, fit.design.y):
        raise ModelError("the null model was fitted to another response or other rows; fit both to the same.")
    if not np.array_equal(row_weights(null.design), row_weights(fit.design)):
        raise ModelError("the null model has other weights, so its variances do not compare; use the same.")
    if null.record.sigma == 0.0:
        raise ModelError('the null model has residual="none", so there is no residual variance to compare.')
    return null


# ---- parametric bootstrap ----


def bootstrap_refits(
    fits: Sequence[MixedModel], n: int, seed: Seed, progress: bool | None
) -> list[ResponseFits]:
    """Refit each of the models to the same `n` responses drawn from the first, block by block."""
    n_rows, root = fits[0].design.n_rows, checked_seed(seed)
    blocks = []
    with tqdm(total=n, disable=not (n_rows * n > LONG if progress is None else progress)) as bar:
        for block in response_blocks(n_rows, n):
            Y = fits[0].simulate(block.stop - block.start, seed=root)
            blocks.append([fit.refit_many(Y, progress=False) for fit in fits])
            bar.update(block.stop - block.start)
    return [joined_fits(parts) for parts in zip(*blocks, strict=True)]
