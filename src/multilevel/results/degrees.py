"""What a linear mixed model says of its coefficients: their covariance and degrees of freedom."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Array
from multilevel.estimation.lmm import WorkingModel, working_model
from multilevel.estimation.refits import with_response
from multilevel.estimation.residual_free import residual_free_model
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.clustering import Clustering
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.denominator import (
    CountedDf,
    between_within_df,
    containment_df,
    residual_df,
    same_df,
)
from multilevel.inference.robust_inference import lmm_inference
from multilevel.inference.small_samples import (
    FittedModel,
    default_method,
    fixed_basis,
    kenward_roger_inference,
    satterthwaite_inference,
)
from multilevel.inference.wald import CoefficientTable, inferred_table
from multilevel.results.base import Fit

DfMethod = Literal["satterthwaite", "kenward-roger", "z", "residual", "containment", "between-within"]
MOST_KEPT = 1 << 20  # numbers of a factorisation that a fit keeps beside its record: 8 MB
DF_METHODS = ("satterthwaite", "kenward-roger", "z", "residual", "containment", "between-within")


class Degrees(Fit[LMMRecord]):
    """The part of a fitted mixed model that answers for its coefficients."""

    _model: WorkingModel | None = None  # cross-products, made when first asked for
    _response: Array | None = None  # the fit's own, as the model had it before refits
    _inferences: dict[str | None, CoefficientInference] | None = None  # by method

    def __getstate__(self) -> dict[str, Any]:
        """What pickles: all but what can be made again."""
        made_again = ("_model", "_response", "_starts", "_inferences")
        return {name: value for name, value in self.__dict__.items() if name not in made_again}

    @property
    def se(self) -> Array:
        """Standard errors of the coefficients (p,), model-based."""
        return np.sqrt(np.diag(self.record.vcov))

    def vcov(self, *, kind: str | None = None, cluster: Clustering | None = None) -> Array:
        """Covariance (p, p) of the coefficients: by the model, adjusted, or robust to clustering.

        The model's is right if its covariance of the response is. "kenward-roger" adds what estimating the
        variances costs, which the model's leaves out (REML fits only). A cluster-robust one asks only that
        clusters be independent, and uses the model's covariance as a working model.

        Args:
            kind: "model", "kenward-roger", or "CR0", "CR1", "CR1p", "CR1S", "CR2" or "CR3" as for `ml.ols`;
                if not given, the model's, or "CR1" with `cluster`. With few clusters use "CR2".
            cluster: column of the data of the fit, or labels (n,) for its rows, that hold whole levels of all
                grouping factors; if not given, the grouping factor that holds all others.

        Example:
            >>> import multilevel as ml
            >>> few = ml.datasets.sleepstudy().iloc[:44]  # four persons, and some days of a fifth
            >>> fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", few)
            >>> (fit.vcov(kind="kenward-roger").diagonal() / fit.vcov().diagonal()).round(3)
            array([1.007, 1.082])
            >>> fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy())
            >>> fit.vcov().diagonal().round(2), fit.vcov(kind="CR2").diagonal().round(2)
            (array([95.  ,  0.65]), array([46.57,  2.39]))

        References:
            Kenward, M. G. & Roger, J. H. (1997). Biometrics 53, 983-997. Pustejovsky, J. E. & Tipton, E.
            (2018). Journal of Business & Economic Statistics 36, 672-683.
        """
        if kind in (None, "model") and cluster is None:
            return self.record.vcov
        if kind == "kenward-roger" and cluster is None:
            return self._inference(kind).covariance(np.eye(len(self.fixef)))
        return self._inference(vcov=kind, cluster=cluster).covariance(np.eye(len(self.fixef)))

    # How it is found out -----------------------------------------------------------------------------

    def _coefficients(self, df: str | None = None) -> CoefficientTable:
        return inferred_table(self.coef_names, self._inference(df))

    def _inference(
        self, df: str | None = None, vcov: str | None = None, cluster: Clustering | None = None
    ) -> CoefficientInference:
        if vcov not in (None, "model") or cluster is not None:
            return lmm_inference(self.design, self.record, self.call.data, df, vcov, cluster)
        checked_choice("df", df, (None, *DF_METHODS))
        if self._inferences is None:
            self._inferences = {}
        if df not in self._inferences:
            self._inferences[df] = self._infer(df)
        return self._inferences[df]

    def _infer(self, df: str | None) -> CoefficientInference:
        model = self._fitted_model()
        method = default_method(model) if df is None else df
        if method == "satterthwaite":
            return satterthwaite_inference(self.design, model, self.record)
        if method == "kenward-roger":
            return kenward_roger_inference(self.design, model, self.record)
        basis = fixed_basis(self.design, model, self.record)
        name, counted = self._counted(method)
        return CountedDf(name, self.fixef, basis, self.se, counted)

    def _counted(self, method: str) -> tuple[str, Array]:
        """Name and degrees of freedom (p,) of a method that counts."""
        match method:
            case "residual":
                return method, residual_df(self.design)
            case "containment":
                return method, containment_df(self.design)
            case "between-within":
                return method, between_within_df(self.design)
        return "normal", same_df(self.design, np.inf)

    # The model in working coordinates ----------------------------------------------------------------

    def _working_model(self) -> WorkingModel:
        """Cross-products for refits, made once."""
        if self._model is None:
            self._model = working_model(self.design)
            self._response = self._model.kernel.response
        return self._model

    def _keep(self, model: WorkingModel | None) -> None:
        """Keep the cross-products of the fit for what is asked next, unless they are large."""
        if model is not None and model.kernel.n_numbers <= MOST_KEPT:
            self._model, self._response = model, model.kernel.response

    def _fitted_model(self) -> FittedModel:
        """The model with the fit's own response; large ones are not kept."""
        if self.record.sigma == 0.0:
            return residual_free_model(self.design)
        if self._model is None:
            model = working_model(self.design)
            self._keep(model)
            if self._model is None:
                return model
        if self._model.kernel.response is not self._response:
            self._model = with_response(self.design, self._model, self.design.y)
            self._response = self._model.kernel.response
        return self._model
