"""Predictions of a generalized mixed model that a user asks for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Array, Frame
from multilevel.inference.glmm_limits import predict_with_limits
from multilevel.inference.glmm_prediction import GLMMRequest, Kind, NewLevels, predict_glmm
from multilevel.inference.prediction import IncludedEffects
from multilevel.inference.wald import checked_level
from multilevel.results.glmm_base import GLMMBase


class Predictions(GLMMBase):
    """What a generalized mixed model expects of rows, old and new."""

    def predict(
        self,
        new: Frame | None = None,
        *,
        kind: Kind = "response",
        re: IncludedEffects | Literal["integrate"] = "all",
        new_levels: NewLevels = "error",
        interval: Literal["confidence", "prediction"] | None = None,
        level: float = 0.95,
        seed: int | None = None,
    ) -> Array | Frame:
        """Predicted values (n,) for new rows, or for the rows used; with `interval`, a frame with limits.

        The frame has the columns fitted, conf_low and conf_high. Of ordered categories the response is a
        frame of probabilities, a column a category.

        Args:
            new: data with the predictors (and the groups that `re` includes); rows with missing values give
                NaN.
            kind: "response" (its expectation; a share where there are trials), "link" (the linear predictor
                of the mean), "conditional" (the mean without excess zeros), "zprob" (the probability of an
                excess zero; in a hurdle of any zero) or "dispersion".
            re: include the random effects of "all" grouping factors (or True), of "none" (or False: a
                typical group, whose random effects are zero), or of those named. "integrate" averages over
                the distribution of all random effects: the population average, which a typical group's
                prediction is not, because links are curved.
            new_levels: for groups that the fit has not seen: "error", the "population" (random effect zero),
                "integrate" (averaged over a new group's random effects), or a "sample" from their
                distribution.
            interval: "confidence" for the expectation, formed on the scale of the link, random effects of
                known groups and their uncertainty included; "prediction" for a new observation, by
                simulation (of the trials that new rows hold, else of single ones).
            level: of the interval.
            seed: of the draws for new_levels="sample" and for prediction intervals.

        Example:
            >>> import multilevel as ml
            >>> cbpp = ml.datasets.cbpp()
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", cbpp, family="binomial")
            >>> fit.predict(cbpp.head(2), re="none").round(4)  # in a herd like the middle one
            array([0.198 , 0.0839])
            >>> fit.predict(cbpp.head(2), re="integrate").round(4)  # on average over herds
            array([0.2161, 0.097 ])

        References:
            Hedeker, D., du Toit, S. H. C., Demirtas, H. & Gibbons, R. D. (2018). A note on marginalization
            of regression parameters from mixed models of binary outcomes. Biometrics 74, 354-361.
        """
        checked_choice("interval", interval, (None, "confidence", "prediction"))
        request = GLMMRequest(kind, re, new_levels, seed)
        if interval is not None:
            limited = predict_with_limits(
                self.model,
                self.record,
                self._working_model(),
                new,
                request,
                interval,
                checked_level(level),
            )
            return self._predictions(new, asdict(limited))
        predicted = predict_glmm(self.model, self.record, new, request)
        if predicted.ndim == 1:
            return predicted
        names = self.model.categories
        columns = {name: np.ascontiguousarray(predicted[:, k]) for k, name in enumerate(names)}
        return self._predictions(new, columns)
