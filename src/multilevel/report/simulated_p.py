"""Columns and notes of p-values from simulation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.inference.simulated_p import SimulatedP
from multilevel.report.tables import Columns


def simulated_columns(name: str, found: Sequence[SimulatedP | None] | None) -> Columns:
    """The p-values and their Monte-Carlo errors; no columns where nothing was simulated."""
    if found is None:
        return {}
    return {
        name: np.array([np.nan if each is None else each.p_value for each in found]),
        "p_error": np.array([np.nan if each is None else each.error for each in found]),
    }


def simulation_notes(method: str, found: Sequence[SimulatedP | None] | None) -> tuple[str, ...]:
    """How many simulations stand behind the p-values, and what they cannot resolve."""
    made = [each for each in found or () if each is not None]
    if not made:
        return ()
    total = max(each.n + each.failed for each in made)
    what = (
        "data sets drawn from the smaller model, both models fitted to each"
        if method == "bootstrap"
        else ("draws from the distribution that the statistic has in a sample of this design")
    )
    error = max(each.error for each in made)
    notes = [f"p ({method}): by {total:,} {what}; Monte-Carlo error at most {error:.2g}."]
    if not all(each.resolved for each in made):
        least = min(each.p_value for each in made)
        notes.append(f"A p ({method}) of {least:.2g} means that no simulated statistic was as large.")
    if failed := sum(each.failed for each in made):
        notes.append(f"{failed} of the simulated data sets are left out: a fit to them did not converge.")
    return tuple(notes)
