"""Does a mixed model need each of its random effects? Each is taken out, and the rest fitted again.

Fits by REML stay fits by REML: the fixed parts agree, so restricted likelihoods compare. Beside the naive
chi-square p-value, which takes no notice of the boundary, stands that of the mixture that holds there, and
on request one from the exact distribution of the statistic, or from simulated data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._options import Seed, checked_seed
from multilevel.design.design import Design
from multilevel.design.pairs import distinct_pairs
from multilevel.design.reduction import Reduction
from multilevel.errors import ModelError
from multilevel.inference.bootstrap_lrt import bootstrap_p
from multilevel.inference.compare import LikelihoodRatio, tested
from multilevel.inference.exact_lrt import Spectrum, null_draws, spectrum
from multilevel.inference.nesting import lies_within
from multilevel.inference.simulated_p import SimulatedP, simulated_p
from multilevel.inference.smaller_models import Candidate, fit_smaller, linear_record

EXPLAINED = "concerns effects that the fixed part explains"


@dataclass(frozen=True, slots=True)
class EffectTest:
    """One random effect taken out, and what that costs."""

    reduction: Reduction
    smaller: Candidate
    ratio: LikelihoodRatio
    nested: bool

    @property
    def label(self) -> str:
        """Which effect was taken out of which term."""
        return self.reduction.label


def tests_of(full: Candidate, reductions: Sequence[Reduction], *, reml: bool) -> list[EffectTest]:
    """Fit without each effect, and compare."""
    return [test_of(full, reduction, reml=reml) for reduction in reductions]


def test_of(full: Candidate, reduction: Reduction, *, reml: bool) -> EffectTest:
    """Fit without one effect, and compare; models that are not nested are shown but not tested."""
    smaller = fit_smaller(reduction.design, reml=reml)
    df = full.n_parameters - smaller.n_parameters
    nested = df > 0 and (not reduction.replaced or lies_within(reduction.design, full.design))
    gain = 2.0 * (full.loglik - smaller.loglik)
    ratio = tested(smaller, full) if nested else LikelihoodRatio(chisq=gain, df=float(df))
    return EffectTest(reduction, smaller, ratio, nested)


# ---- p-values by simulation ----


def bootstrap_tests(
    full: Candidate,
    tests: Sequence[EffectTest],
    n: int,
    seed: Seed,
    progress: bool | None,
    *,
    reml: bool,
) -> list[SimulatedP | None]:
    """For each test the p-value on data simulated without the effect; None where models are not nested."""
    seeds = checked_seed(seed).spawn(len(tests))
    return [
        bootstrap_p(test.smaller, full, n, own, progress, reml=reml) if test.nested else None
        for test, own in zip(tests, seeds, strict=True)
    ]


def exact_tests(
    full: Candidate, tests: Sequence[EffectTest], n: int, seed: Seed, *, reml: bool
) -> list[SimulatedP | None]:
    """For each test the p-value of the exact distribution; None where it does not serve."""
    seeds = checked_seed(seed).spawn(len(tests))
    found = [exact_p(full, test, n, own, reml=reml) for test, own in zip(tests, seeds, strict=True)]
    if not any(found):
        raise ModelError(
            f"no exact test: {tests[0].label} {obstacle(full.design, tests[0]) or EXPLAINED}; use"
            " method='bootstrap'. In a term written with ||, each variance can be tested by itself."
        )
    return found


def exact_p(
    full: Candidate, test: EffectTest, n: int, seed: np.random.SeedSequence, *, reml: bool
) -> SimulatedP | None:
    """The p-value of one test among draws from the exact distribution; None where it does not serve."""
    of = None if obstacle(full.design, test) else spectrum_of(full.design, test)
    if of is None:
        return None
    draws = null_draws(of, n, np.random.default_rng(seed), reml=reml)
    return simulated_p(test.ratio.chisq, draws, scale=abs(full.loglik))


def spectrum_of(design: Design, test: EffectTest) -> Spectrum | None:
    """Eigenvalues for the effect that a test takes out; None where the fixed part explains it."""
    term = design.terms[test.reduction.term]
    grouping = design.groupings[term.grouping]
    Z = term.Z[:, list(test.reduction.lost)]
    return spectrum(design, linear_record(design), Z, grouping.codes, grouping.n_levels)


def obstacle(design: Design, test: EffectTest) -> str | None:
    """Why a test is none of one variance that can be judged by the residual; None where it is."""
    if not test.nested:
        return "compares models that are not nested"
    if test.ratio.df != 1.0 or test.reduction.replaced:
        return f"tests {test.ratio.df:.0f} parameters at once, and the exact test is for one variance"
    if finer := factor_within(design, design.terms[test.reduction.term].grouping):
        return f"is judged by how {finer} varies within its groups, which the exact test would take for known"
    return None


def factor_within(design: Design, grouping: int) -> str | None:
    """Another random factor of the model whose levels lie within those of this one."""
    outer = design.groupings[grouping]
    for other in {term.grouping for term in design.terms} - {grouping}:
        inner = design.groupings[other]
        pairs = distinct_pairs(inner.codes, outer.codes, inner.n_levels, outer.n_levels)[0]
        if len(pairs) == inner.n_levels > outer.n_levels:
            return inner.name
    return None
