"""How well does a mixed model do with a smaller random part? The same criterion, on a reduced design.

Where no random effect is left, the smaller model is least squares. Its restricted log-likelihood,

    -1/2 [ (n - p) (1 + log(2 pi rss / (n - p))) + log|X'WX| - sum log w ],

has all constants that the mixed model's has, so the two compare.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from multilevel.design.design import Design
from multilevel.estimation.centring import Centring
from multilevel.estimation.lmm import WorkingModel, minimise, working_model
from multilevel.estimation.ols import LeastSquares, fit_ols, sum_of_squares, total_weights
from multilevel.fitted.assemble import assemble_lmm
from multilevel.fitted.lmm import LMMRecord
from multilevel.fitted.ols import OLSRecord, assemble_ols, log_precision


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model with its design and what was found, for tests between models."""

    design: Design
    record: LMMRecord | OLSRecord
    loglik: float  # by the criterion asked for, restricted or not
    model: WorkingModel | None = None  # cross-products, where they are at hand

    @property
    def n_parameters(self) -> int:
        """Coefficients, covariance parameters and the residual variance."""
        return self.record.n_parameters

    @property
    def converged(self) -> bool:
        """Whether the search ended at an optimum; least squares always does."""
        return isinstance(self.record, OLSRecord) or self.record.optimum.converged


def fit_smaller(design: Design, *, reml: bool) -> Candidate:
    """Fit a reduced design, by least squares where no random effect is left."""
    if not design.terms:
        record = linear_record(design)
        return Candidate(design, record, linear_loglik(design, record, reml=reml))
    model = working_model(design)
    found = assemble_lmm(design, model, minimise(model, reml=reml), reml=reml)
    return Candidate(design, found, found.loglik, model)


def linear_record(design: Design) -> OLSRecord:
    """Least squares of the fixed part; of none at all where there is none."""
    return assemble_ols(design, fit_ols(design) if design.X.shape[1] else nothing_explained(design))


def nothing_explained(design: Design) -> LeastSquares:
    """The solution without coefficients: all of y is residual."""
    y = design.y if design.offset is None else design.y - design.offset
    squares = sum_of_squares(y, total_weights(design))
    return LeastSquares(np.zeros(0), y, squares, squares, Centring(np.zeros(0), None), np.zeros((0, 0)))


def linear_loglik(design: Design, record: OLSRecord, *, reml: bool) -> float:
    """Log-likelihood of a linear model, restricted or not, with the constants of a mixed model's."""
    return restricted_loglik(record.rss, record, log_precision(design)) if reml else record.loglik


def restricted_loglik(rss: float, record: OLSRecord, sum_log_weights: float) -> float:
    """The restricted log-likelihood of the record's model where it leaves `rss` of a response."""
    df = record.df_residual
    residual = df * (1.0 + math.log(2.0 * math.pi * rss / df))
    return -0.5 * (residual + log_det_crossproduct(record) - sum_log_weights)


def log_det_crossproduct(record: OLSRecord) -> float:
    """log|X'WX|; moving columns by the constant does not change it."""
    return float(-2.0 * np.linalg.slogdet(record.root)[1])
