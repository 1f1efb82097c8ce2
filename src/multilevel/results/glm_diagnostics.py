"""What a generalized linear model rests on: influence of rows and clusters, and `check()`."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import numpy as np

from multilevel._options import Seed, checked_count, checked_seed, checked_switch
from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.inference.clustering import Clustering
from multilevel.inference.glm_checks import SimulatedRows, glm_findings
from multilevel.inference.glm_influence import (
    influence_of_refits,
    influence_of_rows,
    without_one,
    without_rows,
)
from multilevel.inference.scaled_residuals import scaled_residuals
from multilevel.inference.variance_choice import VarianceChoice
from multilevel.results.diagnostics import REFITTED, chosen_groups, group_subject, row_subject
from multilevel.results.glm_intervals import GLMIntervals
from multilevel.results.influence import InfluenceTable
from multilevel.results.reading import Checks

ResidualKind = Literal["deviance", "pearson", "response", "working", "scaled", "quantile"]
ONE_STEP = "one step from the estimates, as R has it"
COUNTED = "how responses stand among simulated ones, since rows with freq_weights stand for several"
UNKNOWN_GROUPS = 'clustering (name the groups: fit.check("school"))'


class GLMDiagnostics(GLMIntervals):
    """Influence and looks."""

    choice: VarianceChoice

    def influence(self, groups: Clustering | None = None, *, refit: bool | None = None) -> InfluenceTable:
        """What happens to the estimates without each row, or without each cluster.

        For each deletion: Cook's distance, covratio, dfbeta (estimate less the one without the data), dfbetas
        (in standard errors without them) and sigma; single rows also get their leverage (hat value). `.frame`
        is the table. Single rows are left out by one step in the weighted regression that the fit is, with
        the figures of R's `influence.measures`; clusters by fits without them.

        Args:
            groups: leave out one level at a time of this column of the data, or of labels (n,); single rows
                if not given.
            refit: fit anew without the data (True) or take one step (False, single rows only); by default
                clusters are refitted, and so are rows where the family is no weighted regression.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glm("incidence / size ~ period", ml.datasets.cbpp(), family="binomial")
            >>> fit.influence()["cooks_distance"][:3].round(3)
            array([0.007, 0.075, 0.238])

        References:
            Pregibon, D. (1981). Logistic regression diagnostics. The Annals of Statistics 9, 705-724.
            Williams, D. A. (1987). Generalized linear model diagnostics using the deviance and single case
            deletions. Applied Statistics 36, 181-191.
        """
        if self.record.prior:
            raise ModelError("influence() is for fits by maximum likelihood; fit without prior=.")
        if not self.coef_names:
            raise ModelError("the mean has no coefficients that a row could move.")
        one_step = groups is None and self.record.regression is not None
        anew = not one_step if refit is None else checked_switch("refit", refit)
        if not anew and not one_step:
            what = "clusters are" if groups is not None else f"rows of the {self.family} family are"
            raise ModelError(f"{what} left out by fits without them; leave refit=False out.")
        rows: dict[str, Array] = {}
        notes: dict[int, str] = {}
        if groups is None:
            subject = row_subject(self.design)
            if anew:
                found, notes = influence_of_refits(self.record, without_one(self.model))
            else:
                found, rows["leverage"] = influence_of_rows(self.record, self.residuals("deviance"))
        else:
            clusters = chosen_groups(self, groups)
            subject = group_subject(self, clusters)
            kept = (clusters.codes != level for level in range(clusters.n_levels))
            smaller = (without_rows(self.model, np.asarray(rows_kept)) for rows_kept in kept)
            found, notes = influence_of_refits(self.record, smaller)
        how = REFITTED if anew else ONE_STEP
        return InfluenceTable(subject, self.coef_names, found, rows, {}, notes, how, self.design.frame_kind)

    def check(self, groups: Clustering | None = None, *, n: int = 250, seed: Seed = 0) -> Checks:
        """Look at the fit as an expert would, and say what deserves notice and what to do.

        Looked at are dropped rows and columns, scales, collinearity, events per coefficient (binomial);
        where the responses stand among `n` that are simulated from the fit: whether scaled residuals are
        uniform, whether responses vary as the family says, how many are zero, and how many lie beyond all
        simulated ones; influential rows; and, where groups are known, whether their rows are alike. A look
        that is a test raises a note below p = 0.01 and a warning below 0.001, and only where the departure is
        also large enough to matter. Rows with freq_weights are not simulated.

        Args:
            groups: column of the data, or labels (n,), whose rows may be alike; the clusters of the fit if
                not given.
            n: simulated data sets.
            seed: of the simulation.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glm("incidence / size ~ period", ml.datasets.cbpp(), family="binomial")
            >>> checks = fit.check("herd", seed=1)
            >>> [c for c, s in zip(checks["check"], checks["status"]) if s == "warn"]
            ['excess variation']

        References:
            Gelman, A. & Hill, J. (2007). Data Analysis Using Regression and Multilevel/Hierarchical Models,
            chapter 8. Cambridge University Press.
        """
        own = next(iter(self.choice.clusters), None)
        clusters = own if groups is None else chosen_groups(self, groups)
        moved = None
        if self.record.regression is not None and not self.record.prior and self.coef_names:
            moved = influence_of_rows(self.record, self.residuals("deviance"))[0]
        counts = self.design.freq_weights
        counted = counts is not None and bool((counts != 1.0).any())
        simulated = None if counted else self._simulated(n, seed)
        findings = glm_findings(self.design, self.record, self.choice, clusters, moved, simulated)
        left_out = (
            *((COUNTED,) if counted else ()),
            *(() if clusters is not None else (UNKNOWN_GROUPS,)),
        )
        return Checks(self.formula, tuple(findings), left_out, self.design.frame_kind)

    def _simulated(self, n: int, seed: Seed) -> SimulatedRows:
        root = checked_seed(seed)
        draws = self.simulate(checked_count("n", n), root)
        ties = np.random.default_rng(root.spawn(1)[0])
        return SimulatedRows(draws, scaled_residuals(self.design.y, draws, ties))

    @abstractmethod
    def residuals(self, kind: ResidualKind = "deviance", *, n: int = 250, seed: Seed = 0) -> Array:
        """Residuals (n,)."""

    @abstractmethod
    def simulate(self, n: int = 1, seed: Seed = None) -> Array:
        """New responses (rows used, n)."""
