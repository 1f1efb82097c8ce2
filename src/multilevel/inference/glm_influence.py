"""What happens to a generalized linear model without a row, or without a cluster?

Single rows by one step from the estimates, in the weighted regression that the fit is, with the measures as
R has them: hat values h; Cook's distance from Pearson residuals r, (r / (1 - h))^2 h / (p phi); and for
changes of coefficients the deviance residuals d, which R takes in the place of the working ones,

    dfbeta_i = (X'WX)^-1 x_i sqrt(w_i) d_i / (1 - h_i).

Clusters, and families that are no weighted regression, by fits without them.

References:
    Pregibon, D. (1981). Logistic regression diagnostics. The Annals of Statistics 9, 705-724.
    Williams, D. A. (1987). Generalized linear model diagnostics using the deviance and single case deletions.
    Applied Statistics 36, 181-191.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import MultilevelError
from multilevel.estimation.glm import solve_glm
from multilevel.fitted.glm import GLMRecord, assemble_glm
from multilevel.inference.influence import Influence
from multilevel.inference.leverage import residual_share
from multilevel.inference.linear_influence import standard_errors, without
from multilevel.inference.sandwich import leverage, scored_rows

UNDETERMINED = "the other rows do not identify all coefficients"
RANK = 1e-10  # of the largest singular value of columns of length one


def influence_of_rows(record: GLMRecord, deviance_residuals: Array) -> tuple[Influence, Array]:
    """Leave out one observation of each row, by one step: n deletions; and the leverages (n,)."""
    assert record.regression is not None
    design, linear = record.regression
    rows = scored_rows(design, linear)
    root = np.ones(len(rows.residuals)) if rows.precision is None else np.sqrt(rows.precision)
    h = leverage(rows)
    share, d, p = residual_share(h), deviance_residuals, rows.n_coefficients
    pearson = root * rows.residuals
    sigma = without(record.deviance - d * d / share, rows.n_obs - 1.0 - p)
    whole = float(np.sqrt(record.deviance / (rows.n_obs - p)))
    found = Influence(
        dfbeta=(root * d / share)[:, None] * (rows.basis @ linear.to_coefficients.T),
        std_error=standard_errors(linear, sigma),
        cooks_distance=(pearson / share) ** 2 * h / (p * record.scale),
        covratio=(sigma / whole) ** (2 * p) / share,
        sigma=sigma,
    )
    return found, h


def influence_of_refits(
    record: GLMRecord, deletions: Iterable[GLMMDesign]
) -> tuple[Influence, dict[int, str]]:
    """Measures of fits without some of the data; and those that could not be made, with the reason."""
    p = len(record.beta)
    inverse = np.linalg.inv(record.vcov)
    log_det = np.linalg.slogdet(record.vcov)[1]
    reasons: dict[int, str] = {}
    measures = []
    for number, smaller in enumerate(deletions):
        fit = fit_without(smaller, record)
        if isinstance(fit, str):
            reasons[number] = fit
            measures.append(np.full(2 * p + 3, np.nan))
            continue
        change = record.beta - fit.beta
        distance = float(change @ inverse @ change) / p
        ratio = float(np.exp(np.linalg.slogdet(fit.vcov)[1] - log_det))
        measures.append(np.concatenate([change, np.sqrt(np.diag(fit.vcov)), [distance, ratio, fit.sigma]]))
    table = np.array(measures).reshape(-1, 2 * p + 3)
    found = Influence(
        dfbeta=table[:, :p],
        std_error=table[:, p : 2 * p],
        cooks_distance=table[:, -3],
        covratio=table[:, -2],
        sigma=table[:, -1] if record.free_scale else np.empty(0),
    )
    return found, reasons


def fit_without(smaller: GLMMDesign, record: GLMRecord) -> GLMRecord | str:
    """The fit to what is left, or why there is none."""
    X = smaller.main.X
    length = np.linalg.norm(X, axis=0)
    if len(X) <= X.shape[1] or not (length > 0.0).all():
        return UNDETERMINED
    values = np.linalg.svd(X / length, compute_uv=False)
    if values[-1] < RANK * values[0]:
        return UNDETERMINED
    try:
        return assemble_glm(smaller, record.family, solve_glm(smaller, record.family))
    except (MultilevelError, np.linalg.LinAlgError) as error:
        return f"without it there is no fit: {error}"


def without_rows(model: GLMMDesign, kept: Mask) -> GLMMDesign:
    """The design of the rows (n,) that are kept."""
    main = model.main

    def part(values: Array | None) -> Array | None:
        return None if values is None else values[kept]

    smaller = replace(
        main,
        y=main.y[kept],
        X=np.asfortranarray(main.X[kept]),
        weights=part(main.weights),
        freq_weights=part(main.freq_weights),
        offset=part(main.offset),
        trials=part(main.trials),
    )
    return replace(model, main=smaller)


def without_one(model: GLMMDesign) -> Iterable[GLMMDesign]:
    """The design less one observation of each row in turn."""
    main: Design = model.main
    counts = np.ones(main.n_rows) if main.freq_weights is None else main.freq_weights
    for number in range(main.n_rows):
        left = counts.copy()
        left[number] -= 1.0
        fewer = replace(model, main=replace(main, freq_weights=left))
        yield without_rows(fewer if main.freq_weights is not None else model, left > 0.0)
