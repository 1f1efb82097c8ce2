"""Plans: rows, who meets whom, what is assigned, and what is lost."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import multilevel as ml
from multilevel.errors import DataError, DataTypeError


def test_levels_are_nested_and_numbered_over_the_whole_study() -> None:
    data = ml.Plan(school=3, room=2, pupil=4).data(seed=1)
    assert len(data) == 24
    assert data.groupby("room")["school"].nunique().eq(1).all()
    assert data["pupil"].is_unique
    assert data["room"].nunique() == 6


def test_sizes_may_be_listed_or_drawn() -> None:
    listed = ml.Plan(school=3, pupil=[2, 5, 1]).data(seed=1)
    assert listed.groupby("school").size().tolist() == [2, 5, 1]
    drawn = ml.Plan(school=4000, pupil=stats.poisson(6)).data(seed=1).groupby("school").size()
    # mean of 4,000 Poisson draws: standard error 0.04; a zero counts as one, which adds 0.002
    assert drawn.mean() == pytest.approx(6.0, abs=0.16)
    assert drawn.min() >= 1


def test_treatments_are_dealt_evenly_where_units_lie_and_within_what_was_dealt_before() -> None:
    plan = ml.Plan(school=8, pupil=6).assign("A", at="school").assign("B", ("x", "y"), at="school")
    schools = plan.assign("C", ("a", "b", "c"), at="pupil").data(seed=3)
    assert schools.groupby(["A", "B"], observed=True)["school"].nunique().tolist() == [2, 2, 2, 2]
    assert schools.groupby(["school", "C"], observed=True).size().eq(2).all()
    assert schools.groupby("school")["A"].nunique().eq(1).all()


def test_a_rest_that_cannot_be_dealt_evenly_is_spread_over_the_units() -> None:
    data = ml.Plan(clinic=9, patient=3).assign("drug", at="patient").data(seed=1)
    assert abs(data["drug"].sum() - 13.5) == 0.5


def test_a_part_of_all_pairs_meets_each_unit_as_often() -> None:
    data = ml.Plan(reader=12).cross("word", 40, per=10).data(seed=1)
    assert data.groupby("word").size().eq(3).all()
    assert not data.duplicated().any()
    assert len(ml.Plan(reader=3).cross("word", 4).data(seed=1)) == 12


def test_a_stepped_wedge_begins_at_zero_ends_at_one_and_never_goes_back() -> None:
    plan = ml.Plan(hospital=12).visits("period", 5).step("on", at="hospital", time="period")
    table = plan.data(seed=1).pivot(index="hospital", columns="period", values="on").to_numpy()
    assert (table[:, 0] == 0).all()
    assert (table[:, -1] == 1).all()
    assert (np.diff(table, axis=1) >= 0).all()
    assert sorted(table.sum(axis=1).tolist()) == sorted([1, 2, 3, 4] * 3)


def test_covariates_are_drawn_for_the_units_of_their_level() -> None:
    plan = ml.Plan(school=2000, pupil=4)
    plan = plan.draw("ses", (2.0, 3.0), at="pupil", icc=0.3).draw("town", 0.25, at="school")
    data = plan.draw("kind", {"a": 0.2, "b": 0.8}, at="pupil").draw("age", stats.uniform(7, 1), at="pupil")
    table = data.data(seed=5)
    assert table["ses"].mean() == pytest.approx(2.0, abs=0.25)  # se 0.047
    assert float(ml.icc(table, "ses", groups="school")["icc"][0]) == pytest.approx(0.3, abs=0.06)  # se 0.013
    assert table.groupby("school")["town"].nunique().eq(1).all()
    assert table["town"].mean() == pytest.approx(0.25, abs=0.05)  # se 0.0097
    assert (table["kind"] == "a").mean() == pytest.approx(0.2, abs=0.025)  # se 0.0045
    assert table["age"].between(7.0, 8.0).all()


def test_the_same_seed_makes_the_same_data_in_any_kind_of_frame() -> None:
    plan = ml.Plan(school=5, pupil=3).draw("x", (0, 1), at="pupil").assign("t", at="school")
    pandas, polars = plan.data(seed=4), plan.data(seed=4, frame="polars")
    assert polars.to_pandas().equals(pandas)
    assert not plan.data(seed=5).equals(pandas)


def test_sizes_can_be_changed_afterwards_and_the_first_plan_stays() -> None:
    plan = ml.Plan(school=5, pupil=3).visits("week", [0, 2, 4]).cross("item", 2)
    assert len(plan.resized(school=7, week=4, item=1).data(seed=1)) == 7 * 3 * 4
    assert plan.resized(week=4).data(seed=1)["week"].unique().tolist() == [0.0, 2.0, 4.0, 6.0]
    assert len(plan.data(seed=1)) == 5 * 3 * 3 * 2


def test_only_plans_whose_data_sets_differ_are_random() -> None:
    plan = ml.Plan(school=6, pupil=4).assign("t", at="school")
    assert not plan.random
    assert plan.draw("x", (0, 1), at="pupil").random
    assert plan.miss(0.1).random
    assert ml.Plan(school=2, pupil=[3, 9]).assign("t", at="school").random


def test_units_leave_as_often_as_asked_and_stay_away() -> None:
    plan = ml.Plan(person=4000).visits("week", 4).leave("person", "week", share=0.4, previous=-1.5)
    data = ml.simulate("y ~ week + (1 | person)", plan, fixef={"week": 1.0}, icc=0.5, seed=2)
    table = data.pivot(index="person", columns="week", values="y")
    gone = table.isna().to_numpy()
    assert not gone[:, 0].any()
    assert (np.diff(gone.astype(int), axis=1) >= 0).all()
    assert gone[:, -1].mean() == pytest.approx(0.4, abs=0.04)  # se 0.008
    left_next = table[0][gone[:, 1]].mean()
    assert left_next < table[0][~gone[:, 1]].mean() - 0.5  # those below the mean are those who leave


def test_responses_are_missing_as_often_as_asked() -> None:
    data = ml.simulate("y ~ 1 + (1 | g)", ml.Plan(g=400, row=10).miss(0.2), icc=0.1, seed=1)
    assert data["y"].isna().mean() == pytest.approx(0.2, abs=0.032)  # se 0.0063


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: p.assign("t", at="class"), "names the level 'class'.*school, pupil"),
        (lambda p: p.assign("t", (1, 1), at="school"), "two different values"),
        (lambda p: p.assign("t", "ab", at="school"), "list of values"),
        (lambda p: p.draw("x", 1.5, at="pupil"), "share of ones lies between 0 and 1"),
        (lambda p: p.draw("x", (0, -1), at="pupil"), "above 0"),
        (lambda p: p.draw("x", {"a": 0.5, "b": 0.6}, at="pupil"), "add up to 1.1"),
        (lambda p: p.draw("x", (0, 1), at="school", icc=0.2), "level above 'school'"),
        (lambda p: p.draw("x", "normal", at="pupil"), "none of"),
        (lambda p: p.draw("x", (np.nan, 1), at="pupil"), "above 0"),
        (lambda p: p.draw("x", (0, 1), at="pupil", icc="a"), "is a number"),
        (lambda p: p.visits("week", [0, 0, 1]), "increasing order"),
        (lambda p: p.visits("week", "often"), "whole number"),
        (lambda p: p.assign("t", (None, 1), at="school"), "list of values"),
        (lambda p: p.visits("week", 3).leave("pupil", "week", share=0.2, previous="a"), "is a number"),
        (lambda p: p.draw("pupil", (0, 1), at="pupil"), "has a column 'pupil' already"),
        (lambda p: p.step("t", at="school", time="week"), "times 'week'"),
        (lambda p: p.leave("pupil", "week", share=0.2), r"visits \(none\)"),
        (lambda p: p.cross("item", 5, per=6), "there are 5"),
        (lambda p: p.resized(room=3), "no size 'room'; it has school, pupil"),
        (lambda p: p.miss(1.0), "share lies between 0 and 1"),
        (lambda _: ml.Plan(school=3, pupil=[1, 2]), "lists 2 sizes.*3 units"),
        (lambda _: ml.Plan(school=[3, 4]), "one whole number"),
        (lambda _: ml.Plan(), "needs a level"),
        (lambda p: p.cross("item", 10**7), "rows, more than"),
    ],
)
def test_a_mistake_is_said_where_it_is_made(make, said) -> None:
    with pytest.raises((DataError, DataTypeError), match=said):
        make(ml.Plan(school=4, pupil=3)).data(seed=1)


def test_a_plan_reads_as_sentences() -> None:
    plan = ml.Plan(clinic=6, patient=stats.poisson(3)).visits("week", [0, 4, 12]).miss(0.05)
    lines = str(plan.leave("patient", "week", share=0.3, previous=-1)).splitlines()
    assert lines[0].startswith("Plan of about ")
    assert lines[1:] == [
        "  6 'clinic', in each 'patient': about 3, drawn",
        "  seen 3 times, 'week' 0 to 12",
        "  0.05 of the responses are missing at random places",
        "  0.3 of 'patient' have left by the last 'week', log odds -1 a SD of the response before",
    ]
