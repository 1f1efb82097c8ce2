"""How much a generalized linear model explains."""

from __future__ import annotations

import numpy as np

from multilevel._typing import Frame
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.fitted.glm import GLMRecord
from multilevel.inference.glm_r_squared import explained
from multilevel.results.base import Fit


class GLMExplained(Fit[GLMRecord]):
    """Measures of explained variation."""

    model: GLMMDesign

    def r2(self) -> Frame:
        """Explained variation, against the model with an intercept alone: measure, estimate.

        There is no one R2 of such models; a row is there where the family has the measure:

        - "mcfadden": the share of the log-likelihood; 0.2 to 0.4 is a very good fit;
        - "cox_snell": from the likelihood ratio, the R2 of least squares where responses are normal;
        - "nagelkerke": the same, divided by its largest value so that it can reach 1;
        - "tjur": mean fitted probability of successes less that of failures, of binomial responses: the
          easiest to explain;
        - "deviance": the share of the deviance, of the rows as they are.

        Of successes in trials each trial counts as an observation, so that the other figures are those of
        single trials. Other parameters (a size) are estimated again in the model with an intercept alone.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glm("resp ~ age + smoke", ml.datasets.ohio(), family="binomial")
            >>> fit.r2().round(4)
                  measure  estimate
            0    mcfadden    0.0050
            1   cox_snell    0.0043
            2  nagelkerke    0.0075
            3        tjur    0.0042
            4    deviance    0.0050

        References:
            Nagelkerke, N. J. D. (1991). A note on a general definition of the coefficient of determination.
            Biometrika 78, 691-692.
            Tjur, T. (2009). Coefficients of determination in logistic regression models. The American
            Statistician 63, 366-372.
        """
        if self.record.prior:
            raise ModelError(
                "r2() compares maxima of likelihoods, and this fit has a prior; fit without prior=."
            )
        found = explained(self.model, self.record)
        return self._frame({"measure": list(found), "estimate": np.array(list(found.values()))})
