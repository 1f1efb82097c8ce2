"""Simulated data sets of random shape for mixed models: how many factors, how related, how many columns.

    design = random_design(seed)

One seed, one data set. Shapes range from a random intercept in a few groups to three factors, nested or
crossed, with up to four random columns each; variances from none to large, covariances from full rank to
singular; groups of uneven size; predictors far from zero or tiny; sometimes weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.design.design import Design, Dropped, Grouping, RandomTerm
from multilevel.formula.parse import parse_formula
from multilevel.formula.terms import StructureName

FORMULA = parse_formula("y ~ x + (1 | g)")  # only its text is ever shown


@dataclass(frozen=True, slots=True)
class TermShape:
    """What a term will look like."""

    width: int
    structure: StructureName
    hom: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """What a data set will look like."""

    n: int
    levels: tuple[int, ...]  # per factor
    nested: tuple[bool, ...]  # per factor: does the one before lie within it?
    terms: tuple[tuple[TermShape, ...], ...]  # per factor


def random_shape(structured: bool, rng: np.random.Generator) -> Shape:
    """One to three factors with one or two terms and up to four columns each."""
    n_factors = int(rng.integers(1, 4))
    levels = np.sort(rng.choice([3, 4, 5, 6, 8, 10, 15, 20, 30, 40], n_factors, replace=False))[::-1]
    terms = tuple(random_terms(structured, rng) for _ in range(n_factors))
    most_effects = max(J * sum(term.width for term in t) for J, t in zip(levels, terms, strict=True))
    n = int(most_effects * rng.uniform(1.3, 4.0)) + 20
    nested = tuple(bool(k > 0 and rng.random() < 0.5) for k in range(n_factors))
    return Shape(n, tuple(int(J) for J in levels), nested, terms)


def random_terms(structured: bool, rng: np.random.Generator) -> tuple[TermShape, ...]:
    """The terms on one factor."""
    width = int(rng.choice([1, 1, 2, 2, 3, 4]))
    if width > 1 and rng.random() < 0.3:  # the columns split over two terms
        first = int(rng.integers(1, width))
        widths = (first, width - first)
    else:
        widths = (width,)
    return tuple(random_structure(q, structured, rng) for q in widths)


def random_structure(width: int, structured: bool, rng: np.random.Generator) -> TermShape:
    """Mostly unstructured, often diagonal; with `structured`, as often of one correlation."""
    choices = ["us", "us", "us", "diag", *(["cs", "ar1"] if structured and width > 1 else [])]
    structure = rng.choice(choices)
    return TermShape(width, structure, bool(structure != "us" and rng.random() < 0.3))


def uneven_codes(n: int, J: int, rng: np.random.Generator) -> Codes:
    """Every level at least once, some far more often than others."""
    code = np.concatenate([np.arange(J), (J * rng.random(n - J) ** 2).astype(int)])
    rng.shuffle(code)
    return np.ascontiguousarray(code, dtype=np.int32)


def covariance_root(q: int, structure: StructureName, rng: np.random.Generator) -> Array:
    """A root (q, r) of a true covariance: none, small, ordinary or large, and sometimes singular."""
    deviation = rng.choice([0.0, 0.1, 0.5, 1.0, 5.0])
    if structure != "us":
        return np.asarray(np.diag(deviation * rng.choice([0.0, 1.0, 1.0], q)))
    rank = int(rng.integers(1, q + 1))
    return np.asarray(deviation * rng.normal(size=(q, rank)) / np.sqrt(rank))


def random_columns(n: int, term: TermShape, intercept: bool, rng: np.random.Generator) -> Array:
    """Random-effect columns, the first a constant if asked for; predictors of any origin and unit.

    A common variance makes sense only for columns of one unit.
    """
    columns = rng.normal(size=(n, term.width))
    if not term.hom:
        columns += rng.choice([0.0, 0.0, 20.0], term.width)
        columns *= rng.choice([1e-6, 1.0, 50.0], term.width)
    if intercept:
        columns[:, 0] = 1.0
    return np.asfortranarray(columns)


def random_design(seed: int, *, structured: bool = False) -> Design:
    """The data set of a seed; with `structured`, some terms have compound symmetry or autoregression."""
    rng = np.random.default_rng(seed)
    shape = random_shape(structured, rng)
    n = shape.n
    X = np.asfortranarray(np.column_stack([np.ones(n), rng.normal(size=(n, int(rng.integers(0, 3))))]))
    y = X @ rng.normal(size=X.shape[1]) + rng.normal(size=n)
    groupings: list[Grouping] = []
    terms: list[RandomTerm] = []
    for k, J in enumerate(shape.levels):
        codes = groupings[k - 1].codes % np.int32(J) if shape.nested[k] else uneven_codes(n, J, rng)
        groupings.append(Grouping("abc"[k], codes, tuple(map(str, range(J)))))
        for i, term in enumerate(shape.terms[k]):
            Z = random_columns(n, term, i == 0 and rng.random() < 0.9, rng)
            root = covariance_root(term.width, term.structure, rng)
            b = rng.normal(size=(J, root.shape[1])) @ root.T
            y += (Z / np.sqrt((Z * Z).mean(axis=0)) * b[codes]).sum(axis=1)
            names = tuple(f"z{j}" for j in range(term.width))
            label = f"{' + '.join(names)} | {'abc'[k]}"
            terms.append(RandomTerm(label, k, names, Z, term.structure, term.hom))
    weights = rng.uniform(0.3, 3.0, n) if rng.random() < 0.2 else None
    return Design(
        formula=FORMULA,
        y=y,
        X=X,
        coef_names=tuple(f"x{j}" for j in range(X.shape[1])),
        groupings=tuple(groupings),
        terms=tuple(terms),
        weights=weights,
        freq_weights=None,
        offset=None,
        rows=np.ones(n, dtype=bool),
        dropped=Dropped(n, 0, {}, ()),
        encoder=None,
        frame_kind="pandas",
    )
