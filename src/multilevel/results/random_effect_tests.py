"""A random effect tested in many responses: the likelihood ratio and its boundary p-value, as `ranova`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Frame
from multilevel.design.design import Design
from multilevel.design.reduction import Reduction, reductions
from multilevel.errors import DataError, MultilevelError, MultilevelWarning
from multilevel.inference.monte_carlo import Outcomes, joined_outcomes
from multilevel.results.glmm import GLMMFit
from multilevel.results.lmm import LMMFit
from multilevel.results.mixed_tests import no_outcome
from multilevel.simulation.truth import Truth

Test = object  # what test= may be


@dataclass(frozen=True, slots=True)
class RandomEffectTests:
    """Tests that one random effect does not vary."""

    fit: LMMFit | GLMMFit
    label: str  # as `ranova` names it

    def outcomes(self, Y: Array) -> Outcomes:
        """Tests in the columns of Y (n, B), one after another."""
        found = [no_outcome(0)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MultilevelWarning)  # what they say is counted
            for y in Y.T:
                try:
                    found.append(self._outcome(self.fit.refit(y)))
                except MultilevelError:
                    found.append(no_outcome(1))
        return joined_outcomes(found)

    def own(self) -> Outcomes:
        """The test in the response that the fit has."""
        return self._outcome(self.fit)

    def _outcome(self, fit: LMMFit | GLMMFit) -> Outcomes:
        table = fit.ranova()
        at = list(table["term"]).index(self.label)
        nothing = np.full(1, np.nan)
        return Outcomes(
            nothing,
            nothing,
            nothing,
            np.array([float(list(table["p_boundary"])[at])]),
            np.array([fit.converged]),
            np.array([fit.singular]),
        )


def is_random_effect(test: object) -> bool:
    """Whether test= names a random effect: "(1 | school)", "day | person"."""
    return isinstance(test, str) and "|" in test


def random_effect(test: object, design: Design, data: Frame) -> Reduction:
    """The effect that is taken out, by its label in `ranova` or by its name and group."""
    found = reductions(design, data, reduce=True)
    wanted = plain(str(test))
    for reduction in found:
        term = design.terms[reduction.term]
        group = design.groupings[term.grouping].name
        lost = "+".join("1" if term.names[k] == "Intercept" else term.names[k] for k in reduction.lost)
        if wanted in (plain(reduction.label), plain(f"{lost} | {group}"), plain(f"0 + {lost} | {group}")):
            return reduction
    raise DataError(
        f"test={test!r} is no random effect that can be taken out; there are "
        f"{', '.join(repr(reduction.label) for reduction in found)}."
    )


def plain(text: str) -> str:
    """A label without spaces and outer parentheses."""
    squeezed = "".join(text.split())
    return squeezed[1:-1] if squeezed.startswith("(") and squeezed.endswith(")") else squeezed


def effect_is_zero(reduction: Reduction, truth: Truth) -> bool:
    """Whether the effect does not vary in truth."""
    return not truth.terms[reduction.term].sd[list(reduction.lost)].any()
