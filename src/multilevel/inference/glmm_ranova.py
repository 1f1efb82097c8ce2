"""Is each random effect of a generalized mixed model there at all? Fits without it, and the likelihood ratio.

A slope is taken out of its term, with its covariances; a term of one column is dropped. Where one
variance is tested, with its covariances, the ratio follows an equal mixture of chi-squares with one
degree of freedom apart.

Stram, D. O. and Lee, J. W. (1994). Variance components testing in the longitudinal mixed effects model.
Biometrics 50, 1171-1177.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel._options import Seed, checked_seed
from multilevel.design.design import Design, RandomTerm
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.estimation.glmm import log_likelihood, minimise_glmm, working_glmm
from multilevel.fitted.assemble_glmm import assemble_glmm
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.boundary import Mixture
from multilevel.inference.compare import LikelihoodRatio, likelihood_ratio
from multilevel.inference.glmm_bootstrap_lrt import Refitted, gains_on_draws, refitted
from multilevel.inference.glmm_fixed_model import FixedModel, fixed_model
from multilevel.inference.glmm_nesting import GLMMCandidate
from multilevel.inference.simulated_p import SimulatedP, simulated_p

INTERCEPT = "Intercept"


@dataclass(frozen=True, slots=True)
class WithoutEffect:
    """The model without one random effect."""

    label: str  # "x in (1 + x | g)", "(1 | g)", behind "zi: " of the zero-inflation model
    design: GLMMDesign
    loglik: float
    n_parameters: int
    ratio: LikelihoodRatio


def without_each_effect(design: GLMMDesign, record: GLMMRecord) -> list[WithoutEffect]:
    """Take out each random effect in turn and fit again."""
    if record.prior:
        raise ModelError(
            "a likelihood ratio is of the likelihood, and this fit has a prior; fit without prior=."
        )
    return [
        without(design, record, smaller, label, dropped)
        for label, smaller, dropped in smaller_designs(design)
    ]


def smaller_designs(design: GLMMDesign) -> list[tuple[str, GLMMDesign, int]]:
    """Each smaller design with what it leaves out, and how many parameters that had."""
    found = []
    for side in design.sides:
        is_main = side is design.main
        for index, term in enumerate(side.terms):
            for label, terms, dropped in reductions(side, index, term):
                smaller = replace(side, terms=terms)
                whole = replace(design, main=smaller) if is_main else replace(design, zi=smaller)
                found.append((label if is_main else f"zi: {label}", whole, dropped))
    return found


def reductions(side: Design, index: int, term: RandomTerm) -> list[tuple[str, tuple[RandomTerm, ...], int]]:
    """What a term may lose: each slope, or all of it where it has one column (or a structure)."""
    before, after = side.terms[:index], side.terms[index + 1 :]
    slopes = [name for name in term.names if name != INTERCEPT]
    if term.n_columns == 1 or term.structure not in ("us", "diag") or len(slopes) == term.n_columns:
        return [(f"({term.label})", (*before, *after), n_parameters(term))]
    found = []
    for name in slopes:
        keep = [k for k, other in enumerate(term.names) if other != name]
        smaller = replace(
            term, names=tuple(term.names[k] for k in keep), Z=np.asfortranarray(term.Z[:, keep])
        )
        dropped = n_parameters(term) - n_parameters(smaller)
        found.append((f"{name} in ({term.label})", (*before, smaller, *after), dropped))
    return found


def n_parameters(term: RandomTerm) -> int:
    """Variances and covariances of a term."""
    q = term.n_columns
    if term.structure == "us":
        return q * (q + 1) // 2
    deviations = 1 if term.hom else q
    return deviations if term.structure == "diag" or q == 1 else deviations + 1


def without(
    design: GLMMDesign, record: GLMMRecord, smaller: GLMMDesign, label: str, dropped: int
) -> WithoutEffect:
    """Fit the smaller model and test the difference."""
    loglik = maximum(smaller, record)
    one_column = n_columns(design) - n_columns(smaller) == 1
    mixture = Mixture(dropped - 1, np.array([0.5, 0.5])) if one_column else None
    ratio = likelihood_ratio(loglik, record.loglik, dropped, mixture)
    return WithoutEffect(label, smaller, loglik, record.n_parameters - dropped, ratio)


def maximum(design: GLMMDesign, record: GLMMRecord) -> float:
    """The log-likelihood of a model, with random effects or without any."""
    if not has_random_effects(design):
        return fixed_model(design, record.family).loglik
    model = working_glmm(design, record.family, nodes=record.nodes)
    return log_likelihood(model, minimise_glmm(model))


def has_random_effects(design: GLMMDesign) -> bool:
    """Whether any side of the model has some."""
    return any(side.terms for side in design.sides)


# ---- p-values by simulation ----


def bootstrap_effects(
    design: GLMMDesign,
    record: GLMMRecord,
    tests: Sequence[WithoutEffect],
    n: int,
    seed: Seed,
    progress: bool | None,
) -> list[SimulatedP]:
    """For each test the p-value on data simulated without the effect."""
    large = refitted(GLMMCandidate(design, record))
    found = []
    for test, own in zip(tests, checked_seed(seed).spawn(len(tests)), strict=True):
        draws = gains_on_draws(smaller_model(test.design, record), large, n, own, progress)
        found.append(simulated_p(test.ratio.chisq, draws.statistics, draws.failed, abs(record.loglik)))
    return found


def smaller_model(design: GLMMDesign, record: GLMMRecord) -> Refitted | FixedModel:
    """A model that responses are drawn from and that is fitted to them."""
    if not has_random_effects(design):
        return fixed_model(design, record.family)
    model = working_glmm(design, record.family, nodes=record.nodes)
    own = assemble_glmm(design, record.family, model, minimise_glmm(model), nodes=record.nodes)
    return Refitted(GLMMCandidate(design, own), model)


def n_columns(design: GLMMDesign) -> int:
    """Random columns of all sides."""
    return sum(term.n_columns for side in design.sides for term in side.terms)
