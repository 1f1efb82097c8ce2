"""Codes and labels of grouping factors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from design_data import design, mixed_data
from multilevel.design.grouping import code_groups, find_groups
from multilevel.errors import ModelError
from multilevel.frames.table import Categorical


def categorical(labels: list[str]) -> Categorical:
    levels, codes = np.unique(labels, return_inverse=True)
    return Categorical(codes.astype(np.int32), tuple(levels.tolist()), ordered=False)


def test_nesting_gives_both_factors() -> None:
    made = design("y ~ x + (1 | g/flag)", mixed_data())
    assert [grouping.name for grouping in made.groupings] == ["g", "g:flag"]
    assert made.groupings[1].levels[:3] == ("a:False", "a:True", "b:False")
    assert [term.label for term in made.terms] == ["1 | g", "1 | g:flag"]


def test_terms_on_one_factor_share_it() -> None:
    made = design("y ~ x + (1 | g) + (0 + x | g) + (1 | h) + (1 | g:flag) + (0 + z | flag:g)", mixed_data())
    assert [grouping.name for grouping in made.groupings] == ["g", "h", "g:flag"]
    assert [term.grouping for term in made.terms] == [0, 0, 1, 2, 2]


def test_integers_keep_numeric_order_and_plain_labels() -> None:
    data = pd.DataFrame({"y": np.arange(8.0), "g": [10, 9, 2, 2, 10, 9, 1, 1]})
    grouping = design("y ~ 1 + (1 | g)", data).groupings[0]
    assert grouping.levels == ("1", "2", "9", "10")
    np.testing.assert_array_equal(grouping.codes, [3, 2, 1, 1, 3, 2, 0, 0])
    assert grouping.codes.dtype == np.int32


def test_categoricals_keep_their_order() -> None:
    assert design("y ~ x + (1 | own)", mixed_data()).groupings[0].levels == ("v", "w", "u")


def test_computed_factors() -> None:
    made = design("y ~ x + (1 | factor(h)) + (1 | I(x > 0))", mixed_data())
    assert made.groupings[0].levels == ("1", "2", "3", "4")
    assert made.groupings[1].levels == ("False", "True")


def test_structures_are_labelled_in_full() -> None:
    made = design("y ~ x + (x || g) + cs(0 + text | h, hom = TRUE) + ar1(0 + text | g)", mixed_data())
    labels = ["1 + x || g", "cs(0 + text | h, hom = TRUE)", "ar1(0 + text | g)"]
    assert [term.label for term in made.terms] == labels
    assert [(term.structure, term.hom) for term in made.terms] == [
        ("diag", False),
        ("cs", True),
        ("ar1", True),
    ]


def test_one_level_is_refused() -> None:
    with pytest.raises(ModelError, match=r"'site' has one level, .* drop \(1 \| site\) or check the data"):
        design("y ~ x + (1 | site)", mixed_data().assign(site="only"))


@given(st.lists(st.tuples(*[st.sampled_from("abc")] * 3), min_size=1, max_size=40))
def test_interactions_are_the_combinations_that_occur(rows: list[tuple[str, str, str]]) -> None:
    parts = [categorical(list(labels)) for labels in zip(*rows, strict=True)]
    grouping, coder = code_groups(["p", "q", "r"], parts)
    joined = [":".join(row) for row in rows]
    assert [grouping.levels[code] for code in grouping.codes] == joined
    assert list(grouping.levels) == sorted(set(joined))
    np.testing.assert_array_equal(find_groups(coder, parts).codes, grouping.codes)


def test_sparse_combinations_of_many_levels() -> None:
    n = 3000
    parts = [Categorical(np.arange(n, dtype=np.int32), tuple(map(str, range(n))), False) for _ in range(4)]
    grouping, _ = code_groups(list("abcd"), parts)
    assert grouping.n_levels == n
    assert grouping.levels[7] == "7:7:7:7"


def test_more_combinations_than_an_integer_counts() -> None:
    n = 70_000
    parts = [Categorical(np.arange(n, dtype=np.int32), tuple(map(str, range(n))), False) for _ in range(5)]
    grouping, coder = code_groups(list("abcde"), parts)
    np.testing.assert_array_equal(grouping.codes, np.arange(n))
    np.testing.assert_array_equal(find_groups(coder, parts).codes, np.arange(n))


def test_new_levels_are_listed_and_numbered() -> None:
    _, coder = code_groups(["p", "q"], [categorical(["a", "a", "b"]), categorical(["x", "y", "x"])])
    found = find_groups(
        coder, [categorical(["b", "b", "c", "a", "b"]), categorical(["x", "y", "x", "y", "y"])]
    )
    np.testing.assert_array_equal(found.codes, [2, -1, -1, 1, -1])
    np.testing.assert_array_equal(found.new_codes, [-1, 0, 1, -1, 0])
    assert found.new_labels == ("b:y", "c:x")
