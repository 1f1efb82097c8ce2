"""Clusters are read by label, over the rows used, whatever kind of column holds them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from multilevel.errors import DataError
from multilevel.inference.clustering import read_clusters


def design(rows):
    rows = np.asarray(rows, dtype=bool)
    return SimpleNamespace(rows=rows, dropped=SimpleNamespace(n_total=len(rows)))


@pytest.mark.parametrize(
    ("labels", "levels"),
    [
        pytest.param([3, 1, 3, 2], ("1", "3"), id="integers"),
        pytest.param([3.0, 1.0, 3.0, 2.0], ("1", "3"), id="whole floats"),
        pytest.param(["c", "a", "c", "b"], ("a", "c"), id="strings"),
        pytest.param(pd.Categorical(["c", "a", "c", "b"], ["c", "b", "a"]), ("c", "a"), id="categorical"),
        pytest.param([True, False, True, False], ("False", "True"), id="booleans"),
    ],
)
def test_only_the_clusters_of_the_rows_used_count(labels, levels):
    clusters = read_clusters("g", {"g": labels}, design([True, True, True, False]))
    assert clusters.levels == levels
    assert clusters.codes[0] == clusters.codes[2] != clusters.codes[1]


def test_labels_apart_from_the_data():
    clusters = read_clusters(np.array(["b", "a", "b"]), {}, design([True, True, True]))
    assert (clusters.name, clusters.levels) == ("cluster", ("a", "b"))
    np.testing.assert_array_equal(clusters.codes, [1, 0, 1])


def test_missing_labels_in_rows_used_are_refused():
    with pytest.raises(DataError, match="'g' is missing in 1 of the rows used"):
        read_clusters("g", {"g": ["a", None, "b"]}, design([True, True, True]))


def test_missing_labels_in_other_rows_do_not_matter():
    clusters = read_clusters("g", {"g": ["a", None, "b"]}, design([True, False, True]))
    np.testing.assert_array_equal(clusters.codes, [0, 1])


def test_too_few_labels_are_refused():
    with pytest.raises(DataError, match="3 rows of the data"):
        read_clusters(["a", "b"], {}, design([True, True, True]))
