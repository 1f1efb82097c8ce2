"""Is one generalized mixed model a special case of another, and how is the likelihood ratio distributed?

Where the larger model adds a variance the null value is on a boundary. With one further random column in
a term (its variance and its covariances), or one further term of one column, the ratio follows an equal
mixture of chi-squares (Stram & Lee 1994); so it does where a dispersion, or an excess of zeros with one
probability, is added to a family that has none (Self & Liang 1987). For larger steps no mixture is
given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from multilevel.design.design import Design, RandomTerm
from multilevel.design.glmm import GLMMDesign
from multilevel.fitted.glm import GLMRecord
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.boundary import Mixture
from multilevel.inference.compare import LikelihoodRatio, likelihood_ratio
from multilevel.inference.nesting import lies_within, spans

LIMITS = {  # a family that is another's limit, on the boundary of its dispersion
    ("poisson", "nbinom2"),
    ("poisson", "nbinom1"),
    ("binomial", "beta_binomial"),
    ("truncated_poisson", "truncated_nbinom2"),
    ("truncated_poisson", "truncated_nbinom1"),
    ("gaussian", "student"),
}


@dataclass(frozen=True, slots=True)
class GLMMCandidate:
    """A fitted model to be compared."""

    design: GLMMDesign
    record: GLMMRecord


@dataclass(frozen=True, slots=True)
class GLMCandidate:
    """A fitted model without random effects to be compared."""

    design: GLMMDesign
    record: GLMRecord


AnyCandidate: TypeAlias = GLMMCandidate | GLMCandidate


def is_special_case(small: AnyCandidate, large: AnyCandidate) -> bool:
    """Whether the larger model holds the smaller one; both integrate in the same way, without a prior."""
    one, other = small.record, large.record
    same_law = (
        one.family.density == other.family.density or (one.family.density, other.family.density) in LIMITS
    )
    if (
        not same_law
        or one.family.link != other.family.link
        or not integrate_alike(small, large)
        or one.prior
        or other.prior
    ):
        return False
    if type(one.family) is type(other.family) and one.family != other.family:  # their thresholds differ
        return False
    return (
        lies_within(small.design.main, large.design.main)
        and side_within(small.design.zi, large.design.zi)
        and dispersion_within(small.design, large.design)
    )


def integrate_alike(small: AnyCandidate, large: AnyCandidate) -> bool:
    """Whether likelihoods have one approximation; that of a model without random effects has none."""
    nodes = {each.record.nodes for each in (small, large) if isinstance(each, GLMMCandidate)}
    return len(nodes) < 2


def side_within(small: Design | None, large: Design | None) -> bool:
    """Whether one model of zeros holds another; none is a special case of any."""
    return small is None or (large is not None and lies_within(small, large))


def dispersion_within(small: GLMMDesign, large: GLMMDesign) -> bool:
    """Whether one model of the dispersion holds another."""
    if small.dispersion is None:
        ones = np.ones((small.main.n_rows, 1))
        return large.dispersion is None or spans(large.dispersion.X, ones)
    return large.dispersion is not None and spans(large.dispersion.X, small.dispersion.X)


def glmm_ratio(small: AnyCandidate, large: AnyCandidate) -> LikelihoodRatio:
    """The test of a nested pair."""
    df = large.record.n_parameters - small.record.n_parameters
    return likelihood_ratio(small.record.loglik, large.record.loglik, df, mixture(small, large, df))


def mixture(small: AnyCandidate, large: AnyCandidate, df: int) -> Mixture | None:
    """An equal mixture where one thing on a boundary is added; None where nothing is, or more."""
    steps = boundary_steps(small, large)
    return Mixture(df - 1, np.array([0.5, 0.5])) if steps == 1 else None


def boundary_steps(small: AnyCandidate, large: AnyCandidate) -> int:
    """How many variances, dispersions or probabilities are zero in the smaller model; 2 for "several"."""
    steps = int(small.record.family.density != large.record.family.density)
    steps += int(small.design.zi is None and large.design.zi is not None) * zero_steps(large)
    for one, other in zip_sides(small.design, large.design):
        steps += random_steps(one, other)
    return steps


def zero_steps(large: AnyCandidate) -> int:
    """One for one probability of zeros; several where it depends on something, and is not known if zero."""
    zi = large.design.zi
    return 1 if zi is not None and zi.X.shape[1] == 1 and not zi.terms else 2


def zip_sides(small: GLMMDesign, large: GLMMDesign) -> list[tuple[Design, Design]]:
    """Sides that both models have."""
    pairs = [(small.main, large.main)]
    return pairs if small.zi is None or large.zi is None else [*pairs, (small.zi, large.zi)]


def random_steps(small: Design, large: Design) -> int:
    """Random columns that the larger side has beside the smaller one's."""
    return columns_of(large.terms) - columns_of(small.terms)


def columns_of(terms: tuple[RandomTerm, ...]) -> int:
    """Random columns of all terms together."""
    return sum(term.n_columns for term in terms)
