"""What all topics of a generalized mixed model's fit build on: its design, its record, its coefficients."""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.estimation.glmm import WorkingGLMM, working_glmm
from multilevel.estimation.glmm_prior import checked_prior
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.clustering import Clustering
from multilevel.inference.coefficients import CoefficientInference, KnownDf
from multilevel.inference.glmm_nesting import GLMMCandidate
from multilevel.inference.glmm_sandwich import (
    GLMMSandwich,
    few_clusters_note,
    glmm_sandwich,
    robust_record,
    sandwich_inference,
)
from multilevel.inference.wald import CoefficientTable, inferred_table
from multilevel.results.base import Call, Fit

DfMethod = Literal["residual", "z"]


class GLMMBase(Fit[GLMMRecord]):
    """A fitted generalized mixed model: what its methods share."""

    _working: WorkingGLMM | None = None  # the model in working coordinates, made when first asked for

    def __init__(self, model: GLMMDesign, record: GLMMRecord, call: Call) -> None:
        super().__init__(model.main, record, call)
        self.model = model

    def __getstate__(self) -> dict[str, Any]:
        """What pickles: all but what can be made again."""
        return {name: value for name, value in self.__dict__.items() if name != "_working"}

    @property
    def candidate(self) -> GLMMCandidate:
        """What a comparison of models needs of this one."""
        return GLMMCandidate(self.model, self.record)

    def _working_model(self) -> WorkingGLMM:
        """The model in working coordinates, with its kernel."""
        if self._working is None:
            prior = checked_prior(self.call.options.get("prior"))
            self._working = working_glmm(self.model, self.record.family, nodes=self.record.nodes, prior=prior)
        return self._working

    def _with_random_effects(self) -> GLMMRecord:
        """The record, refused where the mean has no random effects that could be asked about."""
        if not self.record.terms:
            raise ModelError(
                "the mean has no random effects; those of the zero-inflation model are in varcorr()."
            )
        return self.record

    def _coefficients(self, df: str | None = None) -> CoefficientTable:
        return inferred_table(self.coef_names, self._inference(df))

    def _inference(
        self, df: str | None = None, vcov: str | None = None, cluster: Clustering | None = None
    ) -> CoefficientInference:
        sandwich = self._sandwich(vcov, cluster, df)
        if sandwich is not None:
            return sandwich_inference(self.record, sandwich)
        return KnownDf("normal", self.record.beta, root_of(self.record.vcov), np.inf)

    def _sandwich(
        self, vcov: str | None, cluster: Clustering | None, df: str | None, *, warn: bool = True
    ) -> GLMMSandwich | None:
        """The cluster-robust variance that was asked for; None for the model's own."""
        if vcov in (None, "model") and cluster is None:
            checked_choice("df", df, (None, "z"))
            return None
        sandwich = glmm_sandwich(
            self.model, self.record, self._working_model(), self.call.data, vcov, cluster, df
        )
        for note in few_clusters_note(sandwich) if warn else ():
            warnings.warn(note, MultilevelWarning, stacklevel=3)
        return sandwich

    def _with_variance(self, sandwich: GLMMSandwich | None) -> GLMMRecord:
        """The record with the covariance that was asked for."""
        return self.record if sandwich is None else robust_record(self.record, sandwich)

    def _estimate(self, design: Design) -> GLMMRecord:
        raise NotImplementedError  # a fit's design has several sides; refit() and update() know them


def df_of(sandwich: GLMMSandwich | None) -> float:
    """Degrees of freedom that go with a variance; the model's has the normal distribution."""
    return np.inf if sandwich is None else sandwich.df


def root_of(covariance: Array) -> Array:
    """A matrix whose product with its transpose is the covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
