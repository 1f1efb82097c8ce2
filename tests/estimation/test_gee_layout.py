"""Rows find their place by cluster and time, whatever order they come in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multilevel.design.times import Times
from multilevel.errors import DataError, ModelError
from multilevel.estimation.gee.layout import MOST_ROWS, lay_out

LABELS = ("a", "b", "c")


def codes(*values):
    return np.array(values, dtype=np.int32)


def test_rows_that_stand_in_order_are_not_moved():
    layout = lay_out("id", codes(0, 0, 1, 2, 2), LABELS)
    assert layout.order is None
    assert layout.start.tolist() == [0, 2, 3, 5]
    assert layout.visits == ("1", "2")
    assert layout.time.tolist() == [0.0, 1.0, 0.0, 0.0, 1.0]


def test_pieces_of_clusters_come_together_and_times_in_order():
    times = Times("week", np.array([4.0, 2.0, 1.0, 2.0, 1.0]), None)
    layout = lay_out("id", codes(0, 1, 0, 0, 2), LABELS, times)
    assert layout.order.tolist() == [2, 3, 0, 1, 4]
    assert layout.time.tolist() == [1.0, 2.0, 4.0, 2.0, 1.0]
    assert layout.visits == ("1", "2", "4")
    assert layout.visit.tolist() == [0, 1, 2, 1, 0]
    assert layout.place.tolist() == [0, 1, 3, 1, 0]  # lags count the week that nobody came


def test_times_that_are_no_whole_numbers_are_counted_by_visit():
    times = Times("hour", np.array([0.5, 1.25, 0.5]), None)
    layout = lay_out("id", codes(0, 0, 1), ("a", "b"), times)
    assert layout.place.tolist() == [0, 1, 0]


def test_labels_as_times_keep_their_order():
    times = Times("visit", np.array([1.0, 0.0]), ("early", "late"))
    layout = lay_out("id", codes(0, 0), ("a",), times)
    assert layout.order.tolist() == [1, 0]
    assert layout.visits == ("early", "late")


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (Times("week", np.array([1.0, 1.0, 2.0]), None), "'week' is 1 in more than one row of id 'a'"),
        (Times("visit", np.array([0.0, 0.0, 1.0]), ("x", "y")), "'visit' is 'x' in more than one row"),
    ],
)
def test_a_visit_is_one_row(times, said):
    with pytest.raises(DataError, match=said):
        lay_out("id", codes(0, 0, 1), ("a", "b"), times)


def test_several_clusters_with_duplicates_are_counted():
    times = Times("week", np.array([1.0, 1.0, 3.0, 3.0]), None)
    with pytest.raises(DataError, match=r"and 1 more clusters have such rows"):
        lay_out("id", codes(0, 0, 1, 1), ("a", "b"), times)


def test_inner_groups_are_runs_within_clusters():
    layout = lay_out("clinic", codes(1, 0, 1, 0, 1), ("a", "b"), inner=codes(0, 1, 1, 1, 0))
    assert layout.order.tolist() == [1, 3, 0, 4, 2]
    assert layout.inner.tolist() == [0, 2, 4, 5]


def test_counts_repeat_clusters():
    layout = lay_out("id", codes(0, 1, 1), ("a", "b"), counts=np.array([3.0, 1.0, 1.0]))
    assert layout.order.tolist() == [0, 0, 0, 1, 2]
    assert layout.labels == ("a", "a", "a", "b")
    assert lay_out("id", codes(0, 1, 1), ("a", "b"), counts=np.ones(3)).repeats is None


def test_counts_are_of_clusters():
    with pytest.raises(DataError, match="in id 'b' it varies"):
        lay_out("id", codes(0, 1, 1), ("a", "b"), counts=np.array([1.0, 1.0, 2.0]))
    with pytest.raises(ModelError, match="more than is kept in memory"):
        lay_out("id", codes(0), ("a",), counts=np.array([MOST_ROWS + 1.0]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_any_order_of_rows_is_the_same_layout(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, 6)
    code = np.repeat(np.arange(6), sizes).astype(np.int32)
    time = np.concatenate([np.sort(rng.choice(9, m, replace=False)) for m in sizes]).astype(float)
    shuffled = rng.permutation(len(code))
    one = lay_out("id", code, tuple("abcdef"), Times("t", time, None))
    other = lay_out("id", code[shuffled], tuple("abcdef"), Times("t", time[shuffled], None))
    np.testing.assert_array_equal(other.in_order(time[shuffled]), one.in_order(time))
    np.testing.assert_array_equal(other.visit, one.visit)
    np.testing.assert_array_equal(other.start, one.start)
