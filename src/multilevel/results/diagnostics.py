"""The methods of a fit that look at what it rests on: influence of rows and clusters, and `check()`."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from multilevel._options import checked_switch
from multilevel._typing import Array
from multilevel.design.design import Design, Grouping
from multilevel.errors import DataError, ModelError
from multilevel.estimation.lmm import WorkingModel
from multilevel.estimation.refits import with_response
from multilevel.fitted.lmm import LMMRecord
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.clustering import Clustering, ordering, read_clusters
from multilevel.inference.leverage import fitted_distance, leverages
from multilevel.inference.linear_checks import linear_findings
from multilevel.inference.linear_influence import linear_influence_of_groups, linear_influence_of_rows
from multilevel.inference.lmm_checks import LMMReading, lmm_findings, not_looked_at, row_numbers
from multilevel.inference.lmm_influence import influence_by_group, influence_by_row
from multilevel.inference.lmm_residuals import weighted_residuals
from multilevel.inference.sandwich import leverage, scored_rows
from multilevel.inference.variance_choice import VarianceChoice
from multilevel.report.influence import LeftOut, deviation_names
from multilevel.results.base import Fit
from multilevel.results.influence import InfluenceTable
from multilevel.results.labels import own_levels
from multilevel.results.reading import Checks

EXACT = "exact, by algebra"
REFITTED = "refitted without it"
HELD = "covariance parameters held relative to sigma"


class Diagnostics(Fit[LMMRecord]):
    """Influence and checks of a linear mixed model."""

    @abstractmethod
    def _working_model(self) -> WorkingModel:
        """Cross-products of the design."""

    def _row_measures(self) -> dict[str, Array]:
        """Leverage and Cook's distance of each row; nothing without a residual, where leverage is 1."""
        if self.record.sigma == 0.0:
            return {}
        return row_measures(self.design, self.record, self._working_model())

    def influence(
        self, groups: Clustering | None = None, *, refit: bool | None = None, progress: bool | None = None
    ) -> InfluenceTable:
        """What happens to the estimates without each row, or without each cluster.

        For each deletion: Cook's distance, covratio (the change of the coefficients' generalised variance),
        dfbeta (estimate less the one without the data) and dfbetas (the same in standard errors without
        them), and sigma and the standard deviations of the random effects without them. `.frame` is the
        table. Single rows also get their leverage; their `cooks_distance` is over the fitted values, random
        effects included, as in lme4, and `cooks_distance_fixed` over the coefficients.

        Args:
            groups: leave out one level at a time of this grouping factor, any other column of the data, or
                labels (n,); single rows if not given.
            refit: fit anew without the data (True), or hold the covariance parameters relative to sigma and
                use algebra (False); by default clusters are refitted and single rows are not.
            progress: show a progress bar; on by default when it will be long.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy())
            >>> influence = fit.influence("Subject")
            >>> influence["cooks_distance"][:3].round(3)
            array([0.092, 0.149, 0.111])
            >>> influence.dfbetas[0].round(2)  # without subject 308 the slope falls by 0.45 standard errors
            array([-0.06,  0.45])

        References:
            Belsley, D. A., Kuh, E. & Welsch, R. E. (1980). Regression Diagnostics. Wiley.
            Demidenko, E. & Stukel, T. A. (2005). Influence analysis for linear mixed-effects models.
            Statistics in Medicine 24, 893-909.
        """
        if self.record.sigma == 0.0:
            raise ModelError('influence() needs a residual term, which residual="none" leaves out.')
        anew = groups is not None if refit is None else checked_switch("refit", refit)
        model = with_response(self.design, self._working_model(), self.design.y)
        if groups is None:
            subject, own = row_subject(self.design), row_measures(self.design, self.record, model)
            effect = influence_by_row(self.design, self.record, model, refit=anew, progress=progress)
        else:
            clusters = chosen_groups(self, groups)
            subject, own = group_subject(self, clusters), {}
            effect = influence_by_group(
                self.design, self.record, model, clusters, refit=anew, progress=progress
            )
        return InfluenceTable(
            subject=subject,
            coef_names=self.coef_names,
            found=effect.found,
            rows=own,
            deviations=dict(zip(deviation_names(self.record), effect.deviations.T, strict=True)),
            notes=effect.notes,
            how=REFITTED if anew else HELD,
            kind=self.design.frame_kind,
        )

    def check(self, *, time: Clustering | None = None) -> Checks:
        """Look at the fit as an expert would, and say what deserves notice and what to do.

        Looked at are: convergence and singular terms; few groups, groups of one, dropped rows and columns,
        scales, collinearity; spread, order, shape and outliers of the residuals; unusual and influential rows
        and groups; random slopes that the data ask for (each is tried); effects that differ within and
        between groups. A look that is a test raises a note below p = 0.01 and a warning below 0.001, and only
        where the departure is also large enough to matter; candidates within one look are adjusted for.

        Args:
            time: column of the data, or values (n,), that orders the rows within groups; their own order if
                not given.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy())
            >>> checks = fit.check()
            >>> [c for c, s in zip(checks["check"], checks["status"]) if s == "warn"]
            ['even spread between groups', 'order within groups', 'omitted random slopes']

        References:
            Snijders, T. A. B. & Berkhof, J. (2008). Diagnostic checks for multilevel models. In Handbook of
            Multilevel Analysis, Springer, 141-175.
        """
        if self.record.sigma == 0.0:
            raise ModelError('check() needs a residual term, which residual="none" leaves out.')
        order = None if time is None else ordering(time, self.call.data, self.design)
        model = with_response(self.design, self._working_model(), self.design.y)
        findings = lmm_findings(LMMReading(self.design, self.record, model, order))
        left_out = tuple(not_looked_at(self.design))
        return Checks(self.formula, tuple(findings), left_out, self.design.frame_kind)


class LinearDiagnostics(Fit[OLSRecord]):
    """Influence and checks of a least-squares fit."""

    choice: VarianceChoice

    def influence(self, groups: Clustering | None = None) -> InfluenceTable:
        """What happens to the estimates without each row, or without each cluster.

        For each deletion: Cook's distance, covratio, dfbeta (estimate less the one without the data),
        dfbetas (in standard errors, sigma without the data), and sigma without them; single rows also get
        their leverage. `.frame` is the table. Standard errors are the model's, whatever `vcov` the fit has.

        Args:
            groups: leave out one level at a time of this column of the data, or of labels (n,); single rows
                if not given.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.ols("Reaction ~ Days", ml.datasets.sleepstudy())
            >>> fit.influence()["cooks_distance"][:3].round(4)
            array([0.   , 0.   , 0.001])

        References:
            Cook, R. D. (1977). Detection of influential observations in linear regression.
            Technometrics 19, 15-18.
            Belsley, D. A., Kuh, E. & Welsch, R. E. (1980). Regression Diagnostics. Wiley.
        """
        rows = scored_rows(self.design, self.record)
        notes: dict[int, str] = {}
        if groups is None:
            subject, own = row_subject(self.design), {"leverage": leverage(rows)}
            found = linear_influence_of_rows(self.record, rows)
        else:
            clusters = chosen_groups(self, groups)
            subject, own = group_subject(self, clusters), {}
            found, notes = linear_influence_of_groups(self.design, self.record, rows, clusters)
        return InfluenceTable(subject, self.coef_names, found, own, {}, notes, EXACT, self.design.frame_kind)

    def check(self, groups: Clustering | None = None) -> Checks:
        """Look at the fit as an expert would, and say what deserves notice and what to do.

        Looked at are dropped rows and columns, scales, collinearity, the spread, shape and outliers of the
        residuals, influential rows, and, where groups are known, whether their rows are alike.

        Args:
            groups: column of the data, or labels (n,), whose rows may be alike; the clusters of the fit if
                not given.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.ols("Reaction ~ Days", ml.datasets.sleepstudy())
            >>> checks = fit.check("Subject")
            >>> [c for c, s in zip(checks["check"], checks["status"]) if s == "warn"]
            ['even spread', 'alike within clusters']
        """
        own = next(iter(self.choice.clusters), None)
        clusters = own if groups is None else chosen_groups(self, groups)
        findings = linear_findings(self.design, self.record, self.choice.kind, clusters)
        left_out = () if clusters is not None else ('clustering (name the groups: fit.check("school"))',)
        return Checks(self.formula, tuple(findings), left_out, self.design.frame_kind)


def row_subject(design: Design) -> LeftOut:
    """Single rows, by their numbers in the data."""
    return LeftOut(None, row_numbers(design), np.ones(design.n_rows))


def row_measures(design: Design, record: LMMRecord, model: WorkingModel) -> dict[str, Array]:
    """Leverage and Cook's distance over the fitted values: (n,) each."""
    h = leverages(design, record, model)
    scaled = weighted_residuals(design, record) / record.sigma
    return {"leverage": h, "cooks_distance": fitted_distance(scaled, h, design.X.shape[1])}


def group_subject(fit: Fit[Any], clusters: Grouping) -> LeftOut:
    """Levels of a grouping, as the data have them."""
    n_obs = np.bincount(clusters.codes, fit.design.freq_weights, clusters.n_levels)
    return LeftOut(clusters.name, own_levels([clusters], fit.call.data)[0], n_obs.astype(np.float64))


def chosen_groups(fit: Fit[Any], groups: Clustering) -> Grouping:
    """A grouping factor of the fit, or other groups of its rows; two at least."""
    known = {grouping.name: grouping for grouping in fit.design.groupings}
    if isinstance(groups, str) and groups in known:
        return known[groups]
    found = read_clusters(groups, fit.call.data, fit.design)
    if found.n_levels < 2:
        raise DataError(f"'{found.name}' has one level; without it no data are left.")
    return found
