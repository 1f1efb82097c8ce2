"""Does each term of a model matter, judged on the reference grid?

A main effect is tested by all differences between its levels, averaged over everything else, an interaction
by all differences of differences; a covariate by its slope at the value it is held at.

Reference: Searle, Speed & Milliken (1980), The American Statistician 34, 216-221.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from multilevel._typing import Array
from multilevel.inference.coefficients import FTest
from multilevel.inference.contrast_sets import products
from multilevel.inference.grid_averages import averaged, cell_counts
from multilevel.inference.linear_functions import Basis, Functions, joint_test, transformed
from multilevel.inference.reference_grid import (
    Axis,
    Population,
    grid_axes,
    reference_grid,
)

NEARBY = 1e-3  # of a covariate's range: two values this far on either side give its slope


@dataclass(frozen=True, slots=True)
class TermTest:
    """A term with its test; None where the data say nothing of it."""

    term: str
    test: FTest | None


def joint_terms(
    source: Population, basis: Basis, at: Mapping[str, Any] | None, weights: str, apart: Sequence[str] = ()
) -> list[TermTest]:
    """Test every term that has variables on the grid and none of those `apart`."""
    axes = grid_axes(source, at)
    terms = [term for term in distinct_terms(source) if not set(term) & set(apart)]
    return [
        TermTest(":".join(term), joint_test(differences(source, axes, term, weights), basis))
        for term in terms
    ]


def distinct_terms(source: Population) -> Iterator[tuple[str, ...]]:
    """The terms by their variables, each once: x and I(x**2) are one."""
    seen: set[frozenset[str]] = set()
    for term in source.terms:
        if term and frozenset(term) not in seen:
            seen.add(frozenset(term))
            yield term


def differences(source: Population, axes: Sequence[Axis], term: tuple[str, ...], weights: str) -> Functions:
    """All differences (of differences) along the variables of a term."""
    spread = [with_slope(axis) if axis.name in term else axis for axis in axes]
    grid = reference_grid(source, spread)
    counts = None if weights == "equal" else cell_counts(source, spread)
    L, constant = averaged(grid, term, weights, counts)
    sizes = [next(axis.size for axis in spread if axis.name == name) for name in term]
    return transformed(products([from_first(size) for size in sizes]), Functions(L, constant))


def with_slope(axis: Axis) -> Axis:
    """A covariate held at one value at two values about it; other axes as they are."""
    if axis.values is None or axis.size > 1 or axis.variable.values is None:
        return axis
    step = NEARBY * (float(np.ptp(axis.variable.values)) or 1.0)
    return replace(axis, values=axis.values[0] + np.array([-step, step]), observed=None)


def from_first(size: int) -> Array:
    """Differences to the first (size - 1, size)."""
    return np.column_stack([-np.ones(size - 1), np.eye(size - 1)])
