"""Clusters in several ways: inclusion and exclusion is the sum over pairs of rows that share a cluster."""

import numpy as np
import pytest

from multilevel.design.design import Grouping
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.estimation.ols import least_squares
from multilevel.inference.sandwich import ScoredRows
from multilevel.inference.two_way import multiway_variance, positive_part


def problem(seed=1, n=80, levels=(6, 5, 4)):
    rng = np.random.default_rng(seed)
    ways = [
        Grouping(name, rng.permutation(np.arange(n) % J).astype(np.int32), tuple(map(str, range(J))))
        for name, J in zip("abc", levels, strict=True)
    ]
    X = np.column_stack([np.ones(n), rng.normal(size=(n, 2))])
    y = rng.normal(size=n) + sum(rng.normal(size=J)[way.codes] for J, way in zip(levels, ways, strict=True))
    solution = least_squares(X, y)
    return ScoredRows(
        solution.centring.columns(X) @ solution.root, solution.residuals, None, None, float(n)
    ), ways


@pytest.mark.filterwarnings("ignore:.*negative eigenvalues")
@pytest.mark.parametrize("n_ways", [2, 3])
def test_pairs_of_rows_that_share_a_cluster_of_any_way_count(n_ways):
    rows, ways = problem()
    related = np.any([way.codes[:, None] == way.codes for way in ways[:n_ways]], axis=0)
    scores = rows.basis * rows.residuals[:, None]
    expected = scores.T @ np.where(related, 1.0, 0.0) @ scores
    values = np.linalg.eigvalsh(expected)
    found = multiway_variance(rows, ways[:n_ways], "CR0")
    assert found.mended == (values[0] < 0.0)
    np.testing.assert_allclose(found.core, positive_part(expected)[0], rtol=1e-9, atol=1e-10)
    assert found.df == min(way.n_levels for way in ways[:n_ways]) - 1.0


def test_a_way_within_another_adds_nothing():
    rows, ways = problem(2)
    fine = Grouping(
        "fine", (ways[0].codes * 3 + np.arange(80) % 3).astype(np.int32), tuple(map(str, range(18)))
    )
    both, outer = multiway_variance(rows, [ways[0], fine], "CR0"), multiway_variance(rows, ways[:1], "CR0")
    np.testing.assert_allclose(both.core, outer.core, rtol=1e-10, atol=1e-10)


def test_negative_eigenvalues_are_put_to_zero_and_it_is_said():
    rows, ways = problem(0, n=30, levels=(3, 3, 2))
    with pytest.warns(MultilevelWarning, match="negative eigenvalues, which were put to zero"):
        found = multiway_variance(rows, ways[:2], "CR0")
    assert found.mended
    values = np.linalg.eigvalsh(found.core)
    assert values[0] == pytest.approx(0.0, abs=1e-10 * values[-1])


@pytest.mark.parametrize("kind", ["CR2", "CR3", "CR1p"])
def test_kinds_for_one_way_are_refused(kind):
    rows, ways = problem()
    with pytest.raises(ModelError, match=rf"{kind} is defined for clusters in one way only.*'a', 'b'"):
        multiway_variance(rows, ways[:2], kind)


def test_one_cluster_in_a_way_is_refused():
    rows, ways = problem()
    alone = Grouping("alone", np.zeros(80, dtype=np.int32), ("x",))
    with pytest.raises(ModelError, match="'alone' has one cluster"):
        multiway_variance(rows, [ways[0], alone], "CR1")
