"""Does a mixed model need each of its random effects? Each is taken out, and the rest fitted again.

Fits by REML stay fits by REML: the fixed parts agree, so restricted likelihoods compare. Beside the naive
chi-square p-value, which takes no notice of the boundary, stands that of the mixture that holds there, and
on request one from the exact distribution of the statistic, or from simulated data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._options import Seed, checked_count, checked_seed
from multilevel.design.design import Design
from multilevel.design.reduction import Reduction
from multilevel.errors import ModelError
from multilevel.inference.bootstrap_lrt import bootstrap_p
from multilevel.inference.compare import LikelihoodRatio, tested
from multilevel.inference.exact_lrt import Spectrum, null_draws, spectrum
from multilevel.inference.nesting import lies_within
from multilevel.inference.simulated_p import SimulatedP, simulated_p
from multilevel.inference.smaller_models import Candidate, fit_smaller, linear_record


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
    """For each test the p-value of the exact distribution; None where more than a variance is tested."""
    spectra = [spectrum_of(full.design, test) for test in tests]
    if not any(spectra):
        raise ModelError(why_not_exact(tests))
    seeds = checked_seed(seed).spawn(len(tests))
    return [
        None if of is None else exact_p(test, of, checked_count("n", n), own, reml=reml, scale=full.loglik)
        for test, of, own in zip(tests, spectra, seeds, strict=True)
    ]


def exact_p(
    test: EffectTest, of: Spectrum, n: int, seed: np.random.SeedSequence, *, reml: bool, scale: float
) -> SimulatedP:
    """The p-value of one test among draws from the exact distribution."""
    draws = null_draws(of, n, np.random.default_rng(seed), reml=reml)
    return simulated_p(test.ratio.chisq, draws, scale=abs(scale))


def spectrum_of(design: Design, test: EffectTest) -> Spectrum | None:
    """Eigenvalues for the effect that a test takes out; None unless all it tests is one variance."""
    if not test.nested or test.ratio.df != 1.0 or test.reduction.replaced:
        return None
    term = design.terms[test.reduction.term]
    grouping = design.groupings[term.grouping]
    Z = term.Z[:, list(test.reduction.lost)]
    return spectrum(design, linear_record(design), Z, grouping.codes, grouping.n_levels)


def why_not_exact(tests: Sequence[EffectTest]) -> str:
    """Which effect the exact test cannot serve, and what can."""
    label, df = tests[0].label, tests[0].ratio.df
    what = (
        "compares models that are not nested" if not tests[0].nested else f"tests {df:.0f} parameters at once"
    )
    if tests[0].nested and df == 1.0:
        what = "concerns effects that the fixed part explains"
    return (
        f"the exact test is for one variance, and {label} {what}; use method='bootstrap', or p_boundary of "
        "method='chi-square'. In a term written with ||, each variance can be tested by itself."
    )
