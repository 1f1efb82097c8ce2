"""Clusters share no level; samples of them give every copy levels of its own."""

import numpy as np
import pytest

import multilevel as ml
from multilevel.errors import ModelError
from multilevel.simulation.clusters import (
    design_of_sample,
    draw_clusters,
    independent_clusters,
    without_each,
)
from multilevel.simulation.streams import random_streams


def design_for(formula, data, **options):
    return ml.lmm(formula, data, **options).design


def test_the_levels_of_one_factor_are_clusters(sleepstudy):
    clusters = independent_clusters(design_for("Reaction ~ 1 + (1 | Subject)", sleepstudy))
    assert (clusters.name, clusters.count) == ("Subject", 18)
    np.testing.assert_array_equal(clusters.n_obs, np.full(18, 10.0))


def test_nested_factors_have_the_clusters_of_the_outer_one(pastes):
    design = design_for("strength ~ 1 + (1 | batch / cask)", pastes)
    clusters = independent_clusters(design)
    batch = next(g for g in design.groupings if g.name == "batch")
    assert (clusters.name, clusters.count) == ("batch", 10)
    pairs = set(zip(batch.codes.tolist(), clusters.codes.tolist(), strict=True))
    assert len(pairs) == 10


def test_partly_crossed_factors_have_the_parts_that_rows_connect():
    data = {
        "y": np.random.default_rng(1).standard_normal(48),
        "a": np.repeat(np.arange(8), 6),
        "b": np.repeat(np.arange(4), 12) * 3 + np.tile([0, 1, 2], 16),
    }
    clusters = independent_clusters(design_for("y ~ 1 + (1 | a) + (1 | b)", data))
    assert (clusters.name, clusters.count) == ("linked levels", 4)


def test_crossed_factors_have_none(penicillin):
    with pytest.raises(ModelError, match="'plate' and 'sample' cross"):
        independent_clusters(design_for("diameter ~ 1 + (1 | plate) + (1 | sample)", penicillin))


def test_counts_are_observations(sleepstudy):
    design = design_for("Reaction ~ 1 + (1 | Subject)", sleepstudy, freq_weights=np.full(180, 3))
    assert independent_clusters(design).n_obs.sum() == 540.0


def test_each_sample_draws_as_many_clusters_as_there_are():
    times = draw_clusters(18, random_streams(200, 1))
    assert times.shape == (18, 200)
    np.testing.assert_array_equal(times.sum(axis=0), 18)
    assert abs(times.mean(axis=1) - 1.0).max() < 5 / np.sqrt(200)


def test_leaving_out_covers_every_cluster_once():
    np.testing.assert_array_equal(without_each(4, 10), 1 - np.eye(4))
    sets = without_each(10, 3)
    np.testing.assert_array_equal((1 - sets).sum(axis=1), 1)
    assert sets.shape == (10, 3)


def test_copies_of_a_cluster_have_levels_of_their_own(pastes):
    design = design_for("strength ~ 1 + (1 | batch / cask)", pastes)
    clusters = independent_clusters(design)
    times = np.array([3, 0, 1, 1, 0, 2, 0, 1, 1, 1], dtype=np.int32)
    sample = design_of_sample(design, clusters, times)
    assert {g.name: g.n_levels for g in sample.groupings} == {"batch": 10, "batch:cask": 30}
    assert sample.n_rows == 60
    for grouping in sample.groupings:
        assert sorted(set(grouping.codes.tolist())) == list(range(grouping.n_levels))
    np.testing.assert_array_equal(np.sort(sample.y[:18]), np.sort(np.tile(design.y[clusters.codes == 0], 3)))
