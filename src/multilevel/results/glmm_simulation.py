"""Responses simulated from a generalized mixed model, and what they say about its fit."""

from __future__ import annotations

from typing import Literal

import numpy as np

from multilevel._options import Seed, checked_choice, checked_count, checked_seed
from multilevel._typing import Array
from multilevel.inference.glmm_checks import Simulated, glmm_findings, simulated_rows
from multilevel.inference.glmm_residuals import glmm_residuals
from multilevel.inference.scaled_residuals import normal_scores
from multilevel.results.glmm_base import GLMMBase
from multilevel.results.reading import Checks
from multilevel.simulation.glmm import simulate_glmm
from multilevel.simulation.lmm import has_counted_rows

COUNTED = (
    "how responses stand among simulated ones, since rows with freq_weights stand for several (repeat each"
    " row as often as its weight says, and fit again)"
)
KINDS = ("response", "pearson", "deviance", "working", "scaled", "quantile")


class Simulations(GLMMBase):
    """Simulated responses, residuals by simulation, and looks at the fit."""

    def simulate(self, n: int = 1, seed: Seed = None, re: Literal["new", "keep"] = "new") -> Array:
        """Draw `n` new responses (rows used, n), with new random effects or those of the fit kept.

        Successes where there are trials; categories counted from 0.
        """
        return simulate_glmm(self.model, self.record, n, seed, re)

    def residuals(
        self,
        kind: Literal["response", "pearson", "deviance", "working", "scaled", "quantile"] = "response",
        *,
        n: int = 250,
        seed: Seed = 0,
    ) -> Array:
        """Residuals (n,) from the fitted values, random effects included, or among simulated responses.

        - "response": the response (a share, where there are trials) less its expectation;
        - "pearson": over its standard deviation, excess zeros and dispersion counted;
        - "deviance": signed root of the row's part of the deviance;
        - "working": on the scale of the linear predictor;
        - "scaled": the share of `n` simulated responses below the one observed, ties broken at random;
          uniform between 0 and 1 where the model holds, whatever the family. Random effects are simulated
          anew;
        - "quantile": the same as standard normal numbers.

        Args:
            kind: which of these.
            n: simulations for the last two.
            seed: of the simulations.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> bool(abs(fit.residuals("scaled", seed=1).mean() - 0.5) < 0.1)
            True

        References:
            Dunn, P. K. & Smyth, G. K. (1996). Randomized quantile residuals. Journal of Computational and
            Graphical Statistics 5, 236-244.
        """
        checked_choice("kind", kind, KINDS)
        if kind in ("scaled", "quantile"):
            scaled = self._simulated(n, seed).residuals
            return scaled if kind == "scaled" else normal_scores(scaled)
        return glmm_residuals(self.model, self.record, kind)

    def check(self, *, n: int = 250, seed: Seed = 0) -> Checks:
        """Look at the fit as an expert would, and say what deserves notice and what to do.

        Looked at are: convergence and singular terms; how far quadrature would move the estimates of
        Laplace's approximation; few groups, dropped rows and columns, scales, collinearity; and where the
        responses stand among `n` that are simulated from the fit with new random effects: whether they vary
        about their groups' means as the family says (Pearson's squares about the fitted values, against those
        of simulated responses that are fitted again), whether the scaled residuals are uniform, whether
        responses spread as they should, how many are zero, and how many lie beyond all simulated ones; and
        groups that move a coefficient by much more than its standard error. A look that is a test raises a
        note below p = 0.01 and a warning below 0.001. Rows with freq_weights are not simulated, and these
        looks are left out.

        Args:
            n: simulated data sets.
            seed: of the simulation.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> checks = fit.check(seed=1)
            >>> [c for c, s in zip(checks["check"], checks["status"]) if s != "ok"]
            []

        References:
            Gelman, A. & Hill, J. (2007). Data Analysis Using Regression and Multilevel/Hierarchical Models,
            chapter 8. Cambridge University Press.
        """
        counted = has_counted_rows(self.design)
        simulated = None if counted else self._simulated(n, seed)
        findings = glmm_findings(self.model, self.record, self._working_model(), simulated)
        left_out = (COUNTED,) if counted else ()
        return Checks(self.formula, tuple(findings), left_out, self.design.frame_kind)

    def _simulated(self, n: int, seed: Seed) -> Simulated:
        root = checked_seed(seed)
        draws = simulate_glmm(self.model, self.record, checked_count("n", n), root, "new")
        ties = np.random.default_rng(root.spawn(1)[0])
        return simulated_rows(self.design.y, draws, ties)
