"""What a generalized mixed model's estimates rest on: influence of rows and groups."""

from __future__ import annotations

from multilevel._options import checked_switch
from multilevel.inference.clustering import Clustering
from multilevel.inference.glmm_influence import glmm_influence
from multilevel.results.diagnostics import REFITTED, chosen_groups, group_subject, row_subject
from multilevel.results.glmm_base import GLMMBase
from multilevel.results.influence import InfluenceTable

ONE_STEP = "one step of Newton's method in all parameters"


class GLMMDiagnostics(GLMMBase):
    """Influence on a generalized mixed model."""

    def influence(
        self, groups: Clustering | None = None, *, refit: bool | None = None, progress: bool | None = None
    ) -> InfluenceTable:
        """What happens to the estimates without each row, or without each group.

        For each deletion: Cook's distance and covratio (the change of the coefficients' generalised
        variance), both over the coefficients of the mean; dfbeta (estimate less the one without the data) and
        dfbetas (the same in standard errors without them), of an excess of zeros as well (`zi~x`); and the
        standard deviations of the random effects, sigma or dispersion without them. `.frame` is the table.

        Args:
            groups: leave out one level at a time of this grouping factor, any other column of the data, or
                labels (n,); single rows if not given.
            refit: fit anew without the data (True), or take one step of Newton's method in all parameters,
                from the exact score and Hessian of what stays (False; mixed derivatives by coefficients and
                variances stay those of the whole); by default groups are refitted and single rows are not.
            progress: show a progress bar; on by default when it turns out long.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> influence = fit.influence("herd")
            >>> influence["cooks_distance"][:3].round(3)
            array([0.342, 0.007, 0.138])
            >>> one_step = fit.influence("herd", refit=False)
            >>> bool(abs(one_step.dfbeta - influence.dfbeta).max() < 0.1)
            True

        References:
            Pregibon, D. (1981). Logistic regression diagnostics. Annals of Statistics 9, 705-724.
            Xiang, L., Tse, S.-K. & Lee, A. H. (2002). Influence diagnostics for generalized linear mixed
            models: applications to clustered data. Computational Statistics & Data Analysis 40, 759-774.
        """
        anew = groups is not None if refit is None else checked_switch("refit", refit)
        clusters = None if groups is None else chosen_groups(self, groups)
        subject = row_subject(self.design) if clusters is None else group_subject(self, clusters)
        effect = glmm_influence(
            self.model, self.record, self._working_model(), clusters, refit=anew, progress=progress
        )
        return InfluenceTable(
            subject=subject,
            coef_names=effect.names,
            found=effect.found,
            rows={},
            deviations=effect.others,
            notes=effect.notes,
            how=REFITTED if anew else ONE_STEP,
            kind=self.design.frame_kind,
        )
