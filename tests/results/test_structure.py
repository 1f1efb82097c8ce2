"""ml.structure and ml.cluster_summary as a user meets them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import multilevel as ml
from clinic_designs import clinic_data


@pytest.mark.parametrize("policy", ["within", "across"])
def test_both_policies_are_recognised(policy: str) -> None:
    """Patients of one clinic who meet its physicians at random, or who go to any clinic."""
    data, _ = clinic_data(1, policy)
    visit = np.arange(len(data["y"]))
    data = {**data, "visit": visit, "physician": data["clinic"] * 8 + data["physician"]}
    found = ml.structure(data, ["visit", "patient", "physician", "clinic"])
    assert found.relation("physician", "clinic") == "nested in"
    assert found.relation("clinic", "physician") == "contains"
    if policy == "within":
        assert found.relation("patient", "clinic") == "nested in"
        assert found.relation("patient", "physician") == "partially crossed with, within clinic"
    else:
        assert found.relation("patient", "clinic") == "partially crossed with"
        assert found.relation("patient", "physician") == "partially crossed with"
    assert found.bars == "(1 | clinic) + (1 | physician) + (1 | patient)"
    assert "visit has one row a level" in str(found).replace("\n  ", " ")


def test_physicians_numbered_anew_are_noticed_and_the_repair_works() -> None:
    data, _ = clinic_data(1, "within")
    as_coded = ml.structure(data, ["patient", "physician", "clinic"])
    text = " ".join(str(as_coded).split())
    assert "numbering begins anew in each clinic" in text
    assert "(1 | clinic/physician)" in text
    repaired = ml.structure(data, ["patient", "clinic:physician", "clinic"])
    assert repaired.relation("clinic:physician", "clinic") == "nested in"


def test_labels_that_begin_anew_in_several_factors_are_told_once() -> None:
    rng = np.random.default_rng(4)
    region, clinic = np.repeat([0, 1, 2, 3, 4, 5], 200), np.repeat(np.arange(24), 50)
    data = {"physician": rng.integers(1, 6, 1200), "clinic": clinic, "region": region}
    text = " ".join(str(ml.structure(data, list(data))).split())
    assert text.count("numbering begins anew") == 1
    assert "Labels of physician come back in levels of clinic, region" in text
    assert "likewise for clinic" in text


def test_a_factor_that_numbers_the_combinations_is_pointed_out() -> None:
    text = " ".join(str(ml.structure(ml.datasets.pastes(), ["batch", "cask", "sample"])).split())
    assert "sample has a level for each batch:cask already." in text


def test_patients_numbered_anew_in_every_centre() -> None:
    found = ml.structure(ml.datasets.respiratory(), ["center", "id"])
    text = " ".join(str(found).split())
    assert "Labels of id come back in levels of center." in text
    assert "If numbering begins anew in each center, id is nested: write (1 | center:id)" in text
    repaired = ml.structure(ml.datasets.respiratory(), ["center", "center:id"])
    assert repaired.relation("center:id", "center") == "nested in"
    assert repaired["n_levels"].tolist() == [111, 2]


def test_pupils_in_classes_in_schools() -> None:
    rng = np.random.default_rng(1)
    rows = [
        (school, kind, pupil)
        for school in range(1, 31)
        for kind in range(1, rng.integers(3, 7))
        for pupil in range(1, rng.integers(15, 30))
    ]
    data = pd.DataFrame(rows, columns=["school", "class", "pupil"])
    text = " ".join(str(ml.structure(data, ["school", "class", "pupil"])).split())
    assert "in each class of each school, pupil is nested: write (1 | school/class/pupil)" in text
    assert "begins anew in each school, class is nested: write (1 | school/class)" in text
    known = data.assign(pupil=range(len(data)))
    text = " ".join(str(ml.structure(known, ["pupil", "class", "school"])).split())
    assert text.count("come back") == 1
    assert "class is nested: write (1 | school/class)" in text


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("machines", ["Worker", "Machine"]),
        ("penicillin", ["plate", "sample"]),
        ("verbagg", ["id", "item"]),
        ("sleepstudy", ["Subject", "Days"]),
    ],
)
def test_truly_crossed_designs_need_no_repair(name: str, groups: list[str]) -> None:
    assert "begins anew" not in str(ml.structure(getattr(ml.datasets, name)(), groups))


def test_whole_numbers_are_guessed_where_nothing_else_groups() -> None:
    data = {"id": np.repeat(np.arange(1, 21), 5), "age": np.tile([41, 43, 50, 61, 70], 20)}
    found = ml.structure(data)
    assert found.bars == "(1 | id)"
    assert "A guess, as no groups were named: id (its numbers run from 1 to 20" in " ".join(
        str(found).split()
    )


def test_the_guess_says_why() -> None:
    text = " ".join(str(ml.structure(ml.datasets.respiratory())).split())
    assert "A guess, as no groups were named: id (its numbers run from 1 to 56, most with 8 rows)." in text
    text = " ".join(str(ml.structure(ml.datasets.seizure())).split())
    assert "id (age varies between its numbers and never within one)." in text
    assert "A guess" not in str(ml.structure(ml.datasets.seizure(), ["id"]))


@pytest.mark.parametrize("name", ["sleepstudy", "verbagg", "hsb82", "egsingle", "insteval", "ohio", "spruce"])
def test_what_counts_or_measures_is_not_guessed(name: str) -> None:
    guessed = [guess.name for guess in ml.structure(getattr(ml.datasets, name)()).guessed]
    assert not {"Days", "Anger", "size", "age", "year", "y", "time", "wave"} & set(guessed)


def test_empty_data_are_refused() -> None:
    data = ml.datasets.pastes()
    with pytest.raises(ml.errors.DataError, match="The data have no rows"):
        ml.structure(data.iloc[:0], ["batch"])
    with pytest.raises(ml.errors.DataError, match="No rows are left of 60"):
        ml.structure(data.assign(batch=None), ["batch", "cask"])
    with pytest.raises(ml.errors.DataError, match="The data have no rows"):
        ml.cluster_summary(data.iloc[:0], "strength", "batch")


@pytest.mark.parametrize(
    ("name", "groups", "bars"),
    [
        ("pastes", ["sample", "batch"], "(1 | batch) + (1 | sample)"),
        ("penicillin", ["plate", "sample"], "(1 | sample) + (1 | plate)"),
        ("sleepstudy", ["Subject", "Days"], "(1 | Subject)"),
        ("verbagg", ["id", "item"], "(1 | item) + (1 | id)"),
        ("insteval", ["s", "d", "dept"], "(1 | dept) + (1 | d) + (1 | s)"),
        ("machines", None, "(1 | Worker)"),
    ],
)
def test_bars_of_classic_data(name: str, groups: list[str] | None, bars: str) -> None:
    assert ml.structure(getattr(ml.datasets, name)(), groups).bars == bars


def test_numbers_that_name_things_are_no_times() -> None:
    """Lecturers (d) are numbered, lie in departments, and meet few students (s)."""
    lecturers = ml.datasets.insteval()
    assert "repeated measures" not in str(ml.structure(lecturers, ["s", "d", "dept"]))
    assert "repeated measures" not in str(ml.structure(lecturers, ["s", "d"]))
    page = " ".join(str(ml.structure(ml.datasets.sleepstudy(), ["Subject", "Days"])).split())
    assert "Days orders the rows of each Subject (repeated measures)" in page


def test_levels_of_columns() -> None:
    found = ml.structure(ml.datasets.verbagg(), ["id", "item"])
    between = dict(found.tidy("columns")[["column", "varies_between"]].to_numpy())
    assert between["Anger"] == "id"
    assert between["situ"] == "item"
    assert between["resp"] == "rows"


def test_tables_come_in_the_users_kind() -> None:
    found = ml.structure(ml.datasets.pastes("polars"), ["batch", "cask"])
    assert all(isinstance(found.tidy(table), pl.DataFrame) for table in ("factors", "pairs", "columns"))
    assert found["n_levels"].tolist() == [10, 3]


def test_missing_labels_are_counted() -> None:
    data = pd.DataFrame({"g": ["a", "a", None, "b"], "h": ["x", "y", "x", "y"]})
    assert "1 of 4 rows were dropped for missing values (g 1)" in str(ml.structure(data, ["g", "h"]))
    with pytest.raises(ml.errors.DataError, match="1 of 4 rows have missing values"):
        ml.structure(data, ["g", "h"], missing="raise")


def test_the_drawing_has_a_box_for_each_factor() -> None:
    data, _ = clinic_data(1, "within")
    axes = ml.structure(data, ["patient", "clinic:physician", "clinic"]).plot()
    assert {text.get_text().split("\n")[0] for text in axes.texts} >= {
        "patient",
        "clinic:physician",
        "clinic",
    }


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (["batch", "casks"], "no column 'casks' in the data. Did you mean 'cask'"),
        ([], "groups= takes names of columns"),
        (3, "groups= takes names of columns"),
        (["batch", "one"], "'one' has one level, '1'"),
    ],
)
def test_mistakes_are_named(groups: object, message: str) -> None:
    data = ml.datasets.pastes().assign(one=1)
    with pytest.raises((ml.errors.DataError, ml.errors.DataTypeError), match=message):
        ml.structure(data, groups)


def test_nothing_to_guess() -> None:
    with pytest.raises(ml.errors.DataError, match="No column seems to name groups"):
        ml.structure({"x": np.arange(5.0), "y": np.arange(5.0)})


def test_relations_are_asked_of_two_factors() -> None:
    found = ml.structure(ml.datasets.pastes(), ["batch", "cask"])
    with pytest.raises(ml.errors.DataError, match="'sample' is not one of two different factors"):
        found.relation("batch", "sample")


# ---- cluster_summary ----


def test_clusters_against_pandas() -> None:
    data = ml.datasets.hsb82()
    found = ml.cluster_summary(data, "mAch", groups="school", by="sx").frame
    expected = (
        data.groupby(["school", "sx"], observed=True)["mAch"].agg(["count", "mean", "std"]).reset_index()
    )
    np.testing.assert_array_equal(found["n"], expected["count"])
    np.testing.assert_allclose(found["mean"], expected["mean"], rtol=1e-12)
    np.testing.assert_allclose(found["sd"], expected["std"], rtol=1e-10, equal_nan=True)
    np.testing.assert_allclose(found["deviation"], expected["mean"] - data["mAch"].mean(), atol=1e-12)
    assert found["school"].astype(str).tolist() == expected["school"].astype(str).tolist()


def test_counts_are_repetition_in_clusters() -> None:
    data = pd.DataFrame({"y": [1.0, 2.0, 4.0, 8.0], "g": ["a", "a", "b", "b"], "n": [2, 1, 3, 1]})
    counted = ml.cluster_summary(data, "y", "g", freq_weights="n").frame
    repeated = ml.cluster_summary(data.loc[data.index.repeat(data["n"])], "y", "g").frame
    pd.testing.assert_frame_equal(counted, repeated)


def test_the_page_shows_the_first_clusters_and_reads_the_means() -> None:
    page = str(ml.cluster_summary(ml.datasets.hsb82(), "mAch", groups="school"))
    assert "The first 20 of 160 (all are in .frame)" in page
    assert "by chance" in page


def test_the_share_between_is_that_of_the_analysis_of_variance() -> None:
    schools = ml.datasets.course_prevention()
    summary = ml.cluster_summary(schools, "risk_score", groups="community")
    assert summary["mean"].tolist() == [43.0, 31.0, 56.0, 37.0, 49.0]
    assert summary.grand_mean == pytest.approx(43.2)
    text = " ".join(str(summary).split())
    assert "89.2% of the variance of risk_score lies between levels of community (ICC 0.892;" in text
    shuffled = schools.assign(risk_score=np.tile([1.0, 2.0, 3.0, 4.0], 5))
    assert "differ no more than chance" in " ".join(
        str(ml.cluster_summary(shuffled, "risk_score", groups="community")).split()
    )


def test_mistakes_in_cluster_summaries_are_named() -> None:
    data = ml.datasets.hsb82()
    with pytest.raises(ml.errors.ColumnNotFoundError, match="'schools'"):
        ml.cluster_summary(data, "mAch", groups="schools")
    with pytest.raises(ml.errors.ColumnNotFoundError, match="'sector2'"):
        ml.cluster_summary(data, "mAch", groups="school", by="sector2")
    with pytest.raises(ml.errors.DataTypeError, match="y= takes the name of a column"):
        ml.cluster_summary(data, 3, groups="school")


def test_no_rows():
    with pytest.raises(ml.errors.DataError, match="The data have no rows"):
        ml.structure(ml.datasets.sleepstudy().head(0))
