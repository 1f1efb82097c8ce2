"""How much closer to zero are population-averaged coefficients than subject-specific ones?

With random effects of variance v in the linear predictor, averaging over them flattens the curve of the mean:

    probit   beta / sqrt(1 + v)                                 exactly,
    logit    beta / sqrt(1 + c^2 v),  c = 16 sqrt(3) / (15 pi)  nearly,
    log      slopes stay as they are; the intercept rises by v / 2,
    identity all stay.

Zeger, S. L., Liang, K.-Y. & Albert, P. S. (1988). Models for longitudinal data: a generalized estimating
equation approach. Biometrics 44, 1049-1060.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np

from multilevel._typing import Array

LOGIT_C = (
    16.0 * sqrt(3.0) / (15.0 * pi)
)  # the logistic curve is nearly the normal one of c times its argument
UNFLATTENED = ("identity", "log")


def attenuation(link: str, variance: float) -> float | None:
    """Population-averaged over subject-specific slope, for random effects of this variance; None if unknown.

    >>> round(attenuation("logit", 4.0), 3)
    0.648
    """
    if link in UNFLATTENED:
        return 1.0
    square = {"logit": LOGIT_C**2, "probit": 1.0}.get(link)
    return None if square is None else 1.0 / sqrt(1.0 + square * variance)


def mean_variance(columns: Array, root: Array) -> float:
    """Mean over rows of z' Sigma z, from columns z (n, q) and a root of Sigma (q, q)."""
    return float(np.mean(((columns @ root) ** 2).sum(axis=1)))
