"""Information of covariances against the formula written out with n by n matrices."""

import numpy as np
import pytest

from multilevel.design.build import build_design
from multilevel.estimation.working import effective_weights
from multilevel.formula.parse import parse_formula
from multilevel.inference.covariance_information import Direction, covariance_information, level_blocks
from multilevel.inference.matrices import spread

RNG = np.random.default_rng(3)


def design_of(random_part, n=60, **options):
    data = {
        "y": RNG.standard_normal(n),
        "x": RNG.standard_normal(n),
        "g": RNG.integers(0, 7, n).astype(str),
        "h": RNG.integers(0, 5, n).astype(str),
    }
    data["inner"] = np.array([g + str(k % 2) for k, g in enumerate(data["g"])])
    return build_design(parse_formula(f"y ~ x + {random_part}"), data, **options)


def covariance(q):
    half = RNG.standard_normal((q, q))
    return half @ half.T


def dense(design, sigmas, directions):
    def of(term, Sigma):
        grouping = design.groupings[term.grouping]
        Z = spread(term, grouping.codes, grouping.n_levels).toarray()
        return Z @ np.kron(np.eye(grouping.n_levels), Sigma) @ Z.T

    weights = effective_weights(design)
    V = np.diag(np.ones(design.n_rows) if weights is None else 1.0 / weights)
    V = V + sum(of(term, Sigma) for term, Sigma in zip(design.terms, sigmas, strict=True))
    parts = [np.linalg.solve(V, U) for U in [V, *(of(design.terms[d.term], d.D) for d in directions)]]
    return np.array([[0.5 * np.trace(A @ B) for B in parts] for A in parts])


@pytest.mark.parametrize(
    "random_part",
    [
        "(1 | g)",
        "(1 + x | g)",
        "(1 + x | g) + (1 | inner)",
        "(1 | g) + (1 + x || h)",
        "(1 | g) + (0 + x | g)",
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_information_is_the_trace_formula(random_part, weighted):
    design = design_of(random_part, weights=RNG.uniform(0.5, 2.0, 60) if weighted else None)
    sigmas = [covariance(term.n_columns) for term in design.terms]
    directions = [Direction(t, covariance(term.n_columns)) for t, term in enumerate(design.terms)]
    ours = covariance_information(design, sigmas, directions)
    np.testing.assert_allclose(ours, dense(design, sigmas, directions), rtol=1e-9)


def test_nested_factors_fall_into_blocks():
    nested, crossed = design_of("(1 | g) + (1 | inner)"), design_of("(1 | g) + (1 | h)")
    assert sum(len(block.columns) for block in level_blocks(nested)) == 7
    assert sum(len(block.columns) for block in level_blocks(crossed)) == 1


def test_counted_rows_are_repeated_rows():
    counts = RNG.integers(1, 4, 60)
    design = design_of("(1 + x | g)", freq_weights=counts)
    rows = np.repeat(np.arange(60), counts)
    data = {"y": design.y[rows], "x": design.X[rows, 1], "g": design.groupings[0].codes[rows].astype(str)}
    repeated = build_design(parse_formula("y ~ x + (1 + x | g)"), data)
    sigmas, directions = [covariance(2)], [Direction(0, covariance(2))]
    np.testing.assert_allclose(
        covariance_information(design, sigmas, directions),
        covariance_information(repeated, sigmas, directions),
        rtol=1e-10,
    )
