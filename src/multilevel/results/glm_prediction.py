"""What a generalized linear model predicts, and between which limits."""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Array, Frame
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.fitted.glm import GLMRecord
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.glm_means import mean_response
from multilevel.inference.glm_prediction import category_probabilities, prediction_limits
from multilevel.inference.linear_prediction import LinearRows, new_rows, used_rows
from multilevel.inference.wald import checked_level, critical_value
from multilevel.results.base import Fit


class GLMPrediction(Fit[GLMRecord]):
    """Predictions for the rows used, and for new ones."""

    model: GLMMDesign

    def predict(
        self,
        new: Frame | None = None,
        *,
        kind: Literal["response", "link"] = "response",
        interval: Literal["confidence", "prediction"] | None = None,
        level: float = 0.95,
    ) -> Array | Frame:
        """Predicted means (k,) for new rows, or for the rows used; with `interval`, a frame with limits.

        Limits of means are found on the link's scale, and carried through it. Of ordered categories the
        response is a frame of probabilities, a column a category.

        Args:
            new: data with the predictors; rows with missing values give NaN.
            kind: "response" (probabilities where there are trials) or "link".
            interval: "confidence" for the mean; "prediction" for a new response: quantiles of its
                distribution, the error of the coefficients counted (of counts no less than the level lies
                between them). Shares are of the trials that the rows have; new rows without trials have one.
            level: of the interval.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glm("resp ~ age + smoke", ml.datasets.ohio(), family="binomial", cluster="id")
            >>> fit.predict({"age": [0, 1], "smoke": [1, 1]}).round(3)
            array([0.166, 0.151])
            >>> counts = ml.glm("y ~ age", ml.datasets.epil(), family="negative_binomial")
            >>> counts.predict({"age": [20, 40]}, interval="prediction").round(1)
               fitted  conf_low  conf_high
            0     9.1       0.0       37.0
            1     7.1       0.0       30.0
        """
        checked_choice("kind", kind, ("response", "link"))
        checked_choice("interval", interval, (None, "confidence", "prediction"))
        rows = used_rows(self.design) if new is None else new_rows(self.design, new, None)
        eta = rows.X @ self.fixef if rows.offset is None else rows.X @ self.fixef + rows.offset
        if kind == "response" and self.record.family.response == "ordered":
            if interval is not None:
                raise ModelError('limits of category probabilities are not made; use kind="link".')
            columns = category_probabilities(self.model, self.record, np.asarray(eta)).T
            return self._predictions(new, dict(zip(self.model.categories, columns, strict=True)))
        back = partial(mean_response, self.record) if kind == "response" else np.asarray
        if interval is None:
            return np.asarray(back(eta))
        inference = self._inference()
        sd, quantile = row_errors(rows.X, inference), critical_value(level, inference.df(rows.X))
        if interval == "prediction":
            limits = self._new_responses(new, rows, np.asarray(eta), sd, np.asarray(quantile), kind, level)
        else:
            limits = np.sort([back(eta - quantile * sd), back(eta + quantile * sd)], axis=0)
        return self._predictions(new, {"fitted": back(eta), "conf_low": limits[0], "conf_high": limits[1]})

    def _new_responses(
        self,
        new: Frame | None,
        rows: LinearRows,
        eta: Array,
        sd: Array,
        quantile: Array,
        kind: str,
        level: float,
    ) -> Array:
        """Limits (2, k) of new responses."""
        if kind == "link":
            raise ModelError('a new response is on the scale of the response; leave kind="link" out.')
        if self.family == "gaussian" and self.link == "identity":
            half = quantile * np.sqrt(sd**2 + self.record.scale / rows.precision())
            return np.array([eta - half, eta + half])
        trials = self.design.trials if new is None else self.design.encoder.encode_trials(new)
        known = np.isfinite(eta) if trials is None else np.isfinite(eta) & np.isfinite(trials)
        limits = np.full((2, len(eta)), np.nan)
        limits[:, known] = prediction_limits(
            self.model,
            self.record,
            eta[known],
            sd[known],
            None if trials is None else trials[known],
            None if rows.weights is None else rows.weights[known],
            checked_level(level),
        )
        return limits


def row_errors(X: Array, inference: CoefficientInference) -> Array:
    """Standard errors of X beta-hat, row by row (k,)."""
    V = inference.covariance(np.eye(X.shape[1]))
    return np.asarray(np.sqrt(np.einsum("ij,jk,ik->i", X, V, X)))
