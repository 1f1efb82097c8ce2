"""What does estimating the weights do to a sandwich?

Weighted estimating equations sum_i U_i(beta, gamma) = 0 hold at weights whose parameters gamma were estimated
from scores S_i (mean zero) with information I. To first order

    beta-hat - beta = A^-1 sum_i E_i,     E_i = U_i + G I^-1 S_i,     G = sum_i dU_i / dgamma',

so the meat is sum E_i E_i'. If the dropout model holds, G I^-1 is minus the coefficient of the
regression of U on S, and E_i are its residuals: estimating the weights makes variances smaller, not
larger. The regression needs no derivative; the derivative holds also where a weight has been truncated.

Robins, J. M., Rotnitzky, A. & Zhao, L. P. (1995). Analysis of semiparametric regression models for repeated
outcomes in the presence of missing data. Journal of the American Statistical Association 90, 106-121.
Preisser, J. S., Lohman, K. K. & Rathouz, P. J. (2002). Performance of weighted estimating equations for
longitudinal binary data with drop-outs missing at random. Statistics in Medicine 21, 3035-3054.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.errors import DataError
from multilevel.fitted.dropout import DropoutModel


def projected_scores(scores: Array, dropout_scores: Array) -> Array:
    """Residuals (K, p) of the regression, through the origin, of scores (K, p) on those of dropout (K, r).

    >>> projected_scores(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]])).ravel()
    array([-1.,  1.])
    """
    coefficient = np.linalg.lstsq(dropout_scores, scores, rcond=None)[0]
    return np.asarray(scores - dropout_scores @ coefficient)


def corrected_scores(scores: Array, dropout_scores: Array, information: Array, slopes: Array) -> Array:
    """Scores U_i + G I^-1 S_i (K, p), from slopes G = sum_i dU_i / dgamma' (p, r)."""
    return np.asarray(scores + dropout_scores @ np.linalg.solve(information, slopes.T))


def score_slopes(row_scores: Array, weights: Array, weight_slopes: Array) -> Array:
    """G (p, r) where scores are linear in the weights: U_i = sum_j row_scores_ij, each with its factor w_ij.

    `row_scores` (n, p) are those of the rows used, at the weights (n,) with slopes (n, r). It holds for
    independence as working correlation, and for weights that are the same in all rows of a cluster.
    """
    return np.asarray(row_scores.T @ (weight_slopes / weights[:, None]))


def dropout_scores_of(model: DropoutModel, groups: Sequence[str]) -> Array:
    """Scores (K', n_stay) of the model of staying, in the order of these groups (labels as text)."""
    place = {label: k for k, label in enumerate(model.groups)}
    unknown = [label for label in groups if label not in place]
    if unknown:
        raise DataError(
            f"the weights know nothing of {len(unknown)} of the groups ({unknown[0]}, ...): make them by "
            "ml.dropout_weights with the data and the groups= of this fit."
        )
    return model.scores[[place[label] for label in groups], : model.n_stay]
