"""Do tests of variances keep their size?

Where a variance is zero, its estimate is zero in about half of the data sets. The naive chi-square p-value
does not know, and is too large; the mixture of chi-squares does, in large samples; the exact distribution
(for one variance) in samples of any size.

    python -m benchmarks.studies.boundary
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

import multilevel as ml
from benchmarks.studies.rates import Rate, printed, rate_of
from multilevel.design.design import Design
from multilevel.inference.bootstrap_lrt import null_gains
from multilevel.inference.boundary import mixture_between
from multilevel.inference.chi_bar import mixture_tail
from multilevel.inference.exact_lrt import null_draws, spectrum
from multilevel.inference.smaller_models import Candidate, fit_smaller, linear_record

Array = npt.NDArray[np.float64]
EXACT_DRAWS = 50_000


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models of data that the smaller one made."""

    title: str
    small: str
    large: str
    groups: int
    rows: int  # in each group
    exact: bool = False  # whether one variance is all that is tested


PAIRS = (
    Pair("One variance, 6 groups of 5", "y ~ 1", "y ~ 1 + (1 | g)", 6, 5, exact=True),
    Pair("One variance, 50 groups of 4", "y ~ x", "y ~ x + (1 | g)", 50, 4, exact=True),
    Pair("A slope with its covariance, 18 groups of 10", "y ~ x + (1 | g)", "y ~ x + (1 + x | g)", 18, 10),
    Pair("Two variances, 18 groups of 10", "y ~ x", "y ~ x + (1 + x || g)", 18, 10),
    Pair("A covariance of two effects, 18 groups of 10", "y ~ x", "y ~ x + (1 + x | g)", 18, 10),
    Pair("Two crossed variances, 12 by 10", "y ~ 1", "y ~ 1 + (1 | g) + (1 | h)", 12, 10),
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("-n", type=int, default=20_000, help="data sets for each pair of models")
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    print(
        "\n\n".join(printed(pair.title, sizes(pair, asked.n, asked.seed), intervals=False) for pair in PAIRS)
    )


def sizes(pair: Pair, n: int, seed: int) -> dict[str, Rate]:
    """Size of each test of one pair, on REML likelihood ratios of data drawn from the smaller model."""
    small, large = fitted(pair, seed)
    gains = null_gains(small, large, n, seed, progress=False, reml=True).statistics
    df = large.n_parameters - small.n_parameters
    mixture = mixture_between(small, large)
    assert mixture is not None
    p_boundary = np.array([mixture_tail(gain, mixture.weights, mixture.free) for gain in gains])
    rates = {"naive chi-square": rate_of(stats.chi2.sf(gains, df)), "mixture": rate_of(p_boundary)}
    if pair.exact:
        rates["exact"] = rate_of(exact_p(large.design, gains, seed))
    return rates


def fitted(pair: Pair, seed: int) -> tuple[Candidate, Candidate]:
    """Both models of one data set from the design, in which an intercept varies."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(pair.groups), pair.rows)
    h, x = (np.tile(np.arange(pair.rows), pair.groups) for _ in range(2))
    y = rng.standard_normal(pair.groups)[g] + rng.standard_normal(len(g))
    data = {"y": y, "x": x.astype(float), "g": g, "h": h}
    models = [(ml.lmm if "|" in formula else ml.ols)(formula, data) for formula in (pair.small, pair.large)]
    small, large = (fit_smaller(model.design, reml=True) for model in models)
    return small, large


def exact_p(design: Design, gains: Array, seed: int) -> Array:
    """The p-value of each likelihood ratio among draws from its exact distribution."""
    term = design.terms[0]
    grouping = design.groupings[term.grouping]
    of = spectrum(design, linear_record(design), term.Z, grouping.codes, grouping.n_levels)
    assert of is not None
    draws = np.sort(null_draws(of, EXACT_DRAWS, np.random.default_rng(seed), reml=True))
    above = EXACT_DRAWS - np.searchsorted(draws, gains - 1e-6)
    return np.asarray((1.0 + above) / (1.0 + EXACT_DRAWS))


if __name__ == "__main__":
    main()
