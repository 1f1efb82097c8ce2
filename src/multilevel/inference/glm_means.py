"""What is the mean response of a generalized linear model at a linear predictor, and how does it move?"""

from __future__ import annotations

from functools import partial

import numpy as np

from multilevel._typing import Array
from multilevel.families.moments import RowParameters, is_truncated, response_mean
from multilevel.fitted.glm import GLMRecord
from multilevel.inference.coefficients import CoefficientInference, KnownDf
from multilevel.inference.response_effects import MeanFunction, MeanOfRows

STEP = 1e-5  # of linear predictor and log dispersion, for derivatives of the mean of a truncated count


def mean_response(record: GLMRecord, eta: Array) -> Array:
    """Expected response (k,) at linear predictors: counts above zero where the family has no zeros."""
    return mean_at(record, log_dispersion(record), eta)


def mean_at(record: GLMRecord, log_phi: float | None, eta: Array) -> Array:
    """The same at a given dispersion."""
    mu = record.family.link.inverse(eta)
    phi = None if log_phi is None else np.full_like(mu, np.exp(log_phi))
    return response_mean(record.family.density, RowParameters(mu, phi))


def log_dispersion(record: GLMRecord) -> float | None:
    """One number for all rows, None in families without."""
    return None if record.dispersion is None else float(np.log(record.dispersion[0]))


def moves_with_dispersion(record: GLMRecord) -> bool:
    """Whether the mean depends on a dispersion that was estimated, as where zeros are cut off."""
    estimated = any(part.component == "disp" for part in record.parts)
    return is_truncated(record.family.density) and estimated


def mean_function(record: GLMRecord) -> MeanFunction:
    """Means and their derivatives, in the linear predictor and, where it counts, in the log dispersion."""
    if is_truncated(record.family.density):
        return partial(truncated_means, record)
    link = record.family.link
    return lambda eta: MeanOfRows(link.inverse(eta), link.slope(eta)[:, None])


def truncated_means(record: GLMRecord, eta: Array) -> MeanOfRows:
    """Of counts above zero."""
    phi = log_dispersion(record)
    slopes = [(mean_at(record, phi, eta + STEP) - mean_at(record, phi, eta - STEP)) / (2.0 * STEP)]
    if phi is not None and moves_with_dispersion(record):
        slopes.append((mean_at(record, phi + STEP, eta) - mean_at(record, phi - STEP, eta)) / (2.0 * STEP))
    return MeanOfRows(mean_at(record, phi, eta), np.column_stack(slopes))


def joint_inference(record: GLMRecord) -> CoefficientInference:
    """What the likelihood says of the coefficients of the mean and the log dispersion together."""
    values, vectors = np.linalg.eigh(record.joint_vcov)
    root = np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
    return KnownDf("model", np.concatenate([part.estimate for part in record.parts]), root, np.inf)
