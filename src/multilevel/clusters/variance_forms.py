"""What variance does a model give an observation, the mean of a group, an effect?

Each is linear in the covariances of the random effects and in the residual variance,

    sum over terms t of <A_t, Sigma_t>, plus c sigma^2,

with weights A_t, c that depend on the design alone. So the variances at one estimate, or at thousands from a
bootstrap, are products of matrices. Covariances are those of the working columns (shifted and scaled, see
estimation/working.py), among which nothing cancels when a covariate is far from zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.covariance.by_name import structure_by_name
from multilevel.covariance.structure import Structure, covariance, covariance_slopes
from multilevel.design.design import Design, RandomTerm
from multilevel.design.pairs import distinct_pairs
from multilevel.estimation.working import WorkingTerm, effective_weights, working_term


@dataclass(frozen=True, slots=True)
class Covariances:
    """Covariances of the working columns at B estimates of one model."""

    terms: tuple[Array, ...]  # for each term (B, q, q)
    residual: Array  # (B,) sigma^2


@dataclass(frozen=True, slots=True)
class VarianceForms:
    """The weights of K variances."""

    terms: tuple[Array, ...]  # for each term (K, q, q)
    residual: Array  # (K,)

    def at(self, covariances: Covariances) -> Array:
        """The variances (B, K) at B estimates."""
        random = (
            np.einsum("kij,bij->bk", weights, Sigma)
            for weights, Sigma in zip(self.terms, covariances.terms, strict=True)
        )
        return np.asarray(sum(random, np.outer(covariances.residual, self.residual)))

    def __add__(self, other: VarianceForms) -> VarianceForms:
        """Sums of variances; one may stand for all K of the other."""
        terms = tuple(mine + theirs for mine, theirs in zip(self.terms, other.terms, strict=True))
        return VarianceForms(terms, self.residual + other.residual)

    def total(self) -> VarianceForms:
        """Their sum, as one variance."""
        terms = tuple(weights.sum(axis=0, keepdims=True) for weights in self.terms)
        return VarianceForms(terms, self.residual.sum(keepdims=True))

    def split(self, count: int) -> list[VarianceForms]:
        """Equal parts of the list."""
        terms = zip(*(np.split(weights, count) for weights in self.terms), strict=True)
        return [VarianceForms(t, r) for t, r in zip(terms, np.split(self.residual, count), strict=True)]


def joined_forms(parts: Sequence[VarianceForms]) -> VarianceForms:
    """The variances of several lists in one."""
    terms = zip(*(part.terms for part in parts), strict=True)
    return VarianceForms(tuple(map(np.concatenate, terms)), np.concatenate([part.residual for part in parts]))


# ---- covariances from the parameters that searches find ----


def term_structures(design: Design) -> list[Structure]:
    """The covariance structure of each term."""
    return [structure_by_name(term.structure, term.n_columns, term.hom) for term in design.terms]


def theta_slices(structures: Sequence[Structure]) -> list[slice]:
    """Where the parameters of each term stand in theta."""
    ends = np.cumsum([structure.n_parameters for structure in structures])
    return [slice(end - s.n_parameters, end) for end, s in zip(ends.tolist(), structures, strict=True)]


def covariances_at(design: Design, theta: Array, sigma: Array) -> Covariances:
    """Covariances at the internal parameters theta (B, k), which are relative to sigma (B,)."""
    structures = term_structures(design)
    relative = [
        np.array([covariance(structure, row) for row in theta[:, mine]])
        for structure, mine in zip(structures, theta_slices(structures), strict=True)
    ]
    residual = sigma**2
    return Covariances(tuple(residual[:, None, None] * Sigma for Sigma in relative), residual)


def slopes_in_theta(design: Design, forms: VarianceForms, theta: Array) -> Array:
    """Derivatives (K, k) of K variances relative to sigma^2, in the internal parameters theta (k,)."""
    structures = term_structures(design)
    slopes = [
        np.einsum("kij,pij->kp", weights, covariance_slopes(structure, theta[mine]))
        for weights, structure, mine in zip(forms.terms, structures, theta_slices(structures), strict=True)
    ]
    return np.hstack(slopes)


# ---- the variances ----


def working_terms(design: Design) -> list[WorkingTerm]:
    """Shift and scale of each term's columns, as estimation has them."""
    weights = effective_weights(design)
    return [working_term(term, weights) for term in design.terms]


def no_random_part(design: Design, n_forms: int) -> list[Array]:
    """Weights of zero for every term."""
    return [np.zeros((n_forms, term.n_columns, term.n_columns)) for term in design.terms]


def residual_form(design: Design) -> VarianceForms:
    """The residual variance alone."""
    return VarianceForms(tuple(no_random_part(design, 1)), np.ones(1))


def group_forms(design: Design) -> VarianceForms:
    """For each grouping factor, the mean over observations of its effects' variance z' Sigma z: (G,)."""
    weights = no_random_part(design, len(design.groupings))
    for position, (term, working) in enumerate(zip(design.terms, working_terms(design), strict=True)):
        weights[position][term.grouping] = mean_square(working_columns(term, working), design.freq_weights)
    return VarianceForms(tuple(weights), np.zeros(len(design.groupings)))


def working_columns(term: RandomTerm, working: WorkingTerm) -> Array:
    """The columns (n, q) that estimation sees."""
    return (term.Z - working.shift) * working.scale


def mean_square(columns: Array, counts: Array | None) -> Array:
    """Mean of z z' over observations, z a row of `columns` (n, q): (q, q)."""
    if counts is None:
        return np.asarray(columns.T @ columns / len(columns))
    return np.asarray((columns * counts[:, None]).T @ columns / counts.sum())


def effect_forms(design: Design, position: int) -> VarianceForms:
    """The variance of each random effect of one term on the user's columns, the diagonal of Sigma: (q,)."""
    back = working_terms(design)[position].back
    weights = no_random_part(design, len(back))
    weights[position] = back[:, :, None] * back[:, None, :]
    return VarianceForms(tuple(weights), np.zeros(len(back)))


def point_forms(design: Design, columns: Sequence[Array]) -> VarianceForms:
    """For each grouping factor and point, the variance z' Sigma z of its effects at given columns.

    `columns` holds for each term the values (m, q) at m points; variances are listed point by point within a
    grouping factor, (G m,) in all.
    """
    m = len(columns[0])
    weights = no_random_part(design, len(design.groupings) * m)
    for position, (term, working) in enumerate(zip(design.terms, working_terms(design), strict=True)):
        z = columns[position] @ working.back
        weights[position][term.grouping * m : (term.grouping + 1) * m] = z[:, :, None] * z[:, None, :]
    return VarianceForms(tuple(weights), np.zeros(len(design.groupings) * m))


def group_mean_form(design: Design, codes: Codes) -> VarianceForms:
    """Variance of the mean response in a level of the factor `codes` (n,), averaged over its levels.

    With a random intercept in J levels of n_j observations: tau^2 + sigma^2 mean(1 / n_j), so the harmonic
    mean of the n_j stands for the size of a level.
    """
    counts = np.ones(design.n_rows) if design.freq_weights is None else design.freq_weights
    size = np.bincount(codes, weights=counts)
    weights = [
        mean_form_of_term(design, term, working, codes, counts)
        for term, working in zip(design.terms, working_terms(design), strict=True)
    ]
    variance = counts if design.weights is None else counts / design.weights
    residual = np.mean(np.bincount(codes, weights=variance) / size**2)
    return VarianceForms(tuple(weights), np.array([residual]))


def mean_form_of_term(
    design: Design, term: RandomTerm, working: WorkingTerm, codes: Codes, counts: Array
) -> Array:
    """Weights (1, q, q) of a term in the variance of the mean of a level of `codes`, averaged over levels."""
    grouping, n_levels = design.groupings[term.grouping], int(codes.max()) + 1
    keys, cell = distinct_pairs(codes, grouping.codes, n_levels, grouping.n_levels)
    size = np.bincount(codes, weights=counts)[keys // grouping.n_levels]
    columns = working_columns(term, working)
    sums = np.column_stack([np.bincount(cell, weights=counts * column) for column in columns.T])
    means = sums / size[:, None]
    return np.asarray(means.T @ means / n_levels)[None]
