"""Structures that were built are recognised, whatever the labels and the order of rows."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multilevel.clusters.bar_terms import bar_terms
from multilevel.clusters.structure import DataStructure, Relation, data_structure
from multilevel.design.design import Grouping


def grouping(name: str, codes: np.ndarray, labels: tuple[str, ...] | None = None) -> Grouping:
    """A factor of codes that may have gaps."""
    distinct, dense = np.unique(codes, return_inverse=True)
    return Grouping(name, dense.astype(np.int32), labels or tuple(f"level {code}" for code in distinct))


def by_definition(a: Grouping, b: Grouping) -> Relation:
    """The relation from sets of rows, as a textbook says it."""
    a_in_b = all(len(set(b.codes[a.codes == level])) == 1 for level in range(a.n_levels))
    b_in_a = all(len(set(a.codes[b.codes == level])) == 1 for level in range(b.n_levels))
    if a_in_b and b_in_a:
        return Relation.SAME
    if a_in_b or b_in_a:
        return Relation.INSIDE
    occurring = len(set(zip(a.codes.tolist(), b.codes.tolist(), strict=True)))
    return Relation.CROSSED if occurring == a.n_levels * b.n_levels else Relation.PARTIAL


@st.composite
def nestings(draw: st.DrawFn) -> tuple[list[Grouping], set[tuple[str, str]]]:
    """Two to five factors: each nested in one made before it, or beside them all; and which lie in which."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(40, 120))
    codes: dict[str, np.ndarray] = {}
    inside: set[tuple[str, str]] = set()
    for i in range(draw(st.integers(2, 5))):
        name, parent = f"f{i}", draw(st.sampled_from([None, *codes]))
        own = rng.integers(0, draw(st.integers(2, 4)), n)
        codes[name] = own if parent is None else codes[parent] * 4 + own
        if parent is not None:
            inside |= {(name, parent), *((name, outer) for inner, outer in inside if inner == parent)}
    order = rng.permutation(n)
    return [grouping(name, rng.permutation(4**6)[each[order]]) for name, each in codes.items()], inside


@settings(deadline=None, max_examples=60)
@given(nestings())
def test_random_nestings_are_recognised(made: tuple[list[Grouping], set[tuple[str, str]]]) -> None:
    groupings, inside = made
    found = data_structure(groupings, {})
    by_name = {each.name: each for each in groupings}
    for one, other in inside:
        pair = found.pair(one, other)
        assert (pair.first == one and pair.relation is Relation.INSIDE) or pair.relation is Relation.SAME
    for pair in found.pairs:
        assert pair.relation is by_definition(by_name[pair.first], by_name[pair.second])


@settings(deadline=None, max_examples=30)
@given(nestings(), st.integers(0, 2**32))
def test_neither_labels_nor_order_matter(
    made: tuple[list[Grouping], set[tuple[str, str]]], seed: int
) -> None:
    groupings, _ = made
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(groupings[0].codes))
    moved = [
        grouping(each.name, rng.permutation(each.n_levels)[each.codes[rows]]) for each in groupings[::-1]
    ]
    one, other = data_structure(groupings, {}), data_structure(moved, {})
    assert {facts(one, *pair) for pair in combinations(sorted(names(one)), 2)} == {
        facts(other, *pair) for pair in combinations(sorted(names(other)), 2)
    }


def names(structure: DataStructure) -> list[str]:
    return [factor.name for factor in structure.factors]


def facts(structure: DataStructure, one: str, other: str) -> tuple[object, ...]:
    """What must not depend on labels; of two factors with as many levels, either may come first."""
    pair = structure.pair(one, other)
    return one, other, pair.relation, pair.n_pairs, pair.possible, pair.smallest, pair.largest


def test_crossed_within_counts_the_pairs_that_the_holder_allows() -> None:
    clinic = np.repeat([0, 1], 8)
    patient = clinic * 2 + np.tile(np.repeat([0, 1], 4), 2)
    physician = clinic * 4 + np.tile([0, 1, 2, 3], 4)
    found = data_structure(
        [grouping("patient", patient), grouping("physician", physician), grouping("clinic", clinic)], {}
    )
    pair = found.pair("patient", "physician")
    assert pair.within == "clinic"
    assert (pair.n_pairs, pair.possible, pair.complete) == (16, 2 * 2 * 4, True)


def test_the_smallest_holder_is_named() -> None:
    region = np.repeat([0, 1], 16)
    clinic = np.repeat([0, 1, 2, 3], 8)
    patient = clinic * 2 + np.tile(np.repeat([0, 1], 4), 4)
    physician = clinic * 4 + np.tile([0, 1, 2, 3], 8)
    factors = {"region": region, "clinic": clinic, "patient": patient, "physician": physician}
    found = data_structure([grouping(name, codes) for name, codes in factors.items()], {})
    assert found.pair("patient", "physician").within == "clinic"
    assert found.holders("patient") == ["clinic", "region"]


def test_columns_stand_at_the_outermost_level_in_which_they_are_constant() -> None:
    school, pupil = np.repeat([0, 1, 2], 4), np.repeat(np.arange(6), 2)
    columns = {
        "sector": np.array([0.0, 1.0, 0.0])[school],
        "sex": np.array([0.0, 1.0, 1.0, 0.0, 0.0, 1.0])[pupil],
        "score": np.arange(12.0),
        "country": np.ones(12),
    }
    found = data_structure([grouping("school", school), grouping("pupil", pupil)], columns)
    assert {column.name: column.varies for column in found.columns} == {
        "sector": "school",
        "sex": "pupil",
        "score": None,
        "country": "",
    }
    assert found.columns[0].constant_within == ("school", "pupil")


@pytest.mark.parametrize(
    ("labels", "renumbered"),
    [
        (("1", "2", "3"), "cask"),
        (("a", "b", "c"), "cask"),
        (("0", "1", "2"), "cask"),
        (("x", "y", "q"), None),
    ],
)
def test_labels_that_may_begin_anew_are_noticed(labels: tuple[str, ...], renumbered: str | None) -> None:
    batch, cask = np.repeat(np.arange(10), 6), np.tile(np.repeat([0, 1, 2], 2), 10)
    factors, sample = [grouping("batch", batch), grouping("cask", cask, labels)], 3 * batch + cask
    assert renumbered_in(data_structure(factors, {"sample": sample})) == renumbered
    assert renumbered_in(data_structure(factors, {})) is None  # as even as an experiment


def test_what_holds_something_of_its_own_did_not_begin_anew() -> None:
    rng = np.random.default_rng(2)
    region, wave = rng.integers(0, 4, 600), rng.integers(0, 8, 600)
    factors = [
        grouping("wave", wave),
        grouping("region", region, ("1", "2", "3", "4")),
        grouping("clinic", region * 3 + rng.integers(0, 3, 600)),
    ]
    assert renumbered_in(data_structure(factors[:2], {})) == "region"
    assert data_structure(factors, {}).pair("wave", "region").renumbered is None


def renumbered_in(found: DataStructure) -> str | None:
    """The factor that may begin anew, of two."""
    (pair,) = found.pairs
    return None if pair.renumbered is None else pair.renumbered.name


def numbered_anew(counts: list[int], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Outer groups, and the numbers 1 .. k of the inner ones in each; so many rows in each of these."""
    outer = np.repeat(np.arange(1, len(counts) + 1), np.multiply(counts, rows))
    inner = np.concatenate([np.repeat(np.arange(1, count + 1), rows) for count in counts])
    return outer, inner


def numbers(codes: np.ndarray) -> tuple[str, ...]:
    return tuple(str(code) for code in np.unique(codes))


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("counts", "rows"),
    [
        ([56, 55], 4),  # the patients of two centres
        ([3, 2, 4, 4, 2, 3, 5, 2, 4, 3], 7),  # the classes of schools
        ([12, 9, 15, 11, 14, 8], 3),
    ],
)
def test_the_inner_numbers_begin_anew(counts: list[int], rows: int, swapped: bool) -> None:
    outer, own = numbered_anew(counts, rows)
    factors = [grouping("outer", outer, numbers(outer)), grouping("inner", own, numbers(own))]
    assert renumbered_in(data_structure(factors[::-1] if swapped else factors, {})) == "inner"


def test_visits_tell_patients_from_centres() -> None:
    """As many patients in each centre, so that numbers alone could begin anew in either."""
    centre, patient = numbered_anew([20, 20], 3)
    visit, sex = np.tile([1, 2, 3], 40), np.repeat(np.random.default_rng(1).integers(0, 2, 40), 3)
    factors = [grouping("centre", centre, numbers(centre)), grouping("patient", patient, numbers(patient))]
    (pair,) = data_structure(factors, {"visit": visit, "sex": sex}).pairs
    assert pair.renumbered is not None
    assert (pair.renumbered.name, pair.renumbered.either) == ("patient", True)
    assert renumbered_in(data_structure(factors, {"visit": visit})) is None  # nothing is one patient's own


def test_classes_as_many_in_each_school() -> None:
    rng = np.random.default_rng(3)
    school, own = numbered_anew([4] * 40, 1)
    pupils = np.repeat(np.arange(160), rng.integers(15, 30, 160))
    school, own = school[pupils], own[pupils]
    factors = [grouping("school", school, numbers(school)), grouping("class", own, numbers(own))]
    assert renumbered_in(data_structure(factors, {})) == "class"
    sector = rng.integers(0, 2, 41)[school]
    (pair,) = data_structure(factors, {"sector": sector}).pairs
    assert pair.renumbered is not None
    assert not pair.renumbered.either  # a school has a sector, so that its number says which it is


def test_experiments_with_lost_rows_are_not_numbered_anew() -> None:
    worker, machine = np.repeat(np.arange(1, 7), 9), np.tile(np.repeat([1, 2, 3], 3), 6)
    kept = np.setdiff1d(np.arange(54), [3, 17, 30])
    factors = [
        grouping("worker", worker[kept], numbers(worker)),
        grouping("machine", machine[kept], numbers(machine)),
    ]
    assert renumbered_in(data_structure(factors, {})) is None


def test_persons_who_lack_conditions_are_not_numbered_anew() -> None:
    rng = np.random.default_rng(8)
    person, condition = np.repeat(np.arange(1, 41), 10), np.tile(np.repeat([1, 2], 5), 40)
    kept = rng.random(400) < 0.9
    kept[(person % 9 == 0) & (condition == 1 + person % 2)] = False
    factors = [
        grouping("person", person[kept], numbers(person)),
        grouping("condition", condition[kept], ("1", "2")),
    ]
    assert renumbered_in(data_structure(factors, {})) is None


def test_rows_times_and_few_levels_make_no_bars() -> None:
    person, wave = np.repeat(np.arange(8), 6), np.tile(np.arange(6), 8)
    factors = [
        grouping("person", person),
        grouping("wave", wave, tuple("012345")),
        grouping("row", np.arange(48)),
        grouping("arm", person % 2),
        grouping("id", person, tuple("abcdefgh")),
    ]
    bars = bar_terms(data_structure(factors, {}))
    assert bars.text in {"(1 | person)", "(1 | id)"}
    assert bars.rows == ("row",)
    assert bars.times == ("wave",)
    assert bars.few == ("arm",)
    assert len(bars.doubles) == 1
