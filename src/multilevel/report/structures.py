"""How is a covariance of few parameters described? In words and those parameters, not as a matrix."""

from __future__ import annotations

import numpy as np

from multilevel.fitted.lmm import TermCovariance
from multilevel.report.numbers import format_number

STRUCTURE_NAMES = {"ar1": "AR(1)", "cs": "compound symmetry", "diag": "uncorrelated"}


def is_structured(term: TermCovariance) -> bool:
    """Whether words and a few parameters say more than a matrix would."""
    return len(term.names) > 1 and (term.structure in ("ar1", "cs") or term.hom)


def correlation_parameter(term: TermCovariance) -> float:
    """The one correlation of a term: of neighbours in AR(1), of any two columns in compound symmetry."""
    neighbours = np.diagonal(term.correlation, -1)
    known = neighbours[np.isfinite(neighbours)]  # a column of zero variance has none
    return float(known[0]) if len(known) else np.nan


def correlation_words(term: TermCovariance, spec: str) -> str:
    """ "rho 0.80", or nothing where the structure has no correlation."""
    return "" if term.structure == "diag" else f"rho {format_number(correlation_parameter(term), spec)}"


def structure_words(term: TermCovariance, spec: str) -> str:
    """ "AR(1): SD 49.515, rho 0.79995", with a standard deviation a column where they differ."""
    deviations = ", ".join(format_number(sd, spec) for sd in (term.sd[:1] if term.hom else term.sd))
    parts = [f"{'SD' if term.hom else 'SDs'} {deviations}", correlation_words(term, spec)]
    return f"{STRUCTURE_NAMES[term.structure]}: {', '.join(filter(None, parts))}"
