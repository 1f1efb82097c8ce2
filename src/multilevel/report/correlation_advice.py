"""What to do about a working correlation that is none?"""

from __future__ import annotations

from multilevel.covariance.working.specification import Correlation
from multilevel.estimation.gee.problem import EstimatingProblem
from multilevel.fitted.gee import GEERecord

FAR = 1.2  # times the scale held: from here on correlations over it mislead


def correlation_advice(problem: EstimatingProblem, record: GEERecord, corr: Correlation) -> str:
    """The way out: another scale, or fewer parameters than these."""
    free = residual_scale(problem, record)
    if problem.scale is not None and problem.moments == "geepack" and free > FAR * problem.scale:
        return (
            f"correlations are taken over the scale, which is held at {problem.scale:g} where the residuals "
            f"say {free:.3g}: leave scale= out"
        )
    if len(record.alpha) <= 1:
        return "use corr='independence', whose sandwich standard errors allow for any correlation"
    simpler = [name for name in ("exchangeable", "ar1") if name != corr.name]
    return f"use a structure with fewer parameters, such as {' or '.join(map(repr, simpler))}"


def residual_scale(problem: EstimatingProblem, record: GEERecord) -> float:
    """What the scale would be estimated to be."""
    return float((record.pearson**2).sum() / (problem.row_weights.sum() - problem.shortfall))
