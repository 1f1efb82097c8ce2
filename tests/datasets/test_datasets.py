"""The packaged data sets are the reference's own, in any kind of frame, and say where they come from."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from typing import Any

import narwhals as nw
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from multilevel import datasets
from multilevel.datasets.loading import DatasetInfo, infos
from multilevel.errors import DataTypeError
from multilevel.frames.table import Categorical, Numeric, read_table
from reference_cases import load_data

NAMES = tuple(infos())
FROM_R = tuple(name for name, info in infos().items() if info.r_name is not None)


def fetch(name: str, *args: str) -> Any:
    return getattr(datasets, name)(*args)


def info(name: str) -> DatasetInfo:
    return infos()[name]


def test_every_data_set_has_its_function() -> None:
    assert set(datasets.__all__) == {*NAMES, "catalogue"}


@pytest.mark.parametrize("name", FROM_R)
def test_values_and_levels_are_the_reference_s(name: str) -> None:
    ours, r_s = read_table(fetch(name)), read_table(load_data(info(name).r_name or ""))
    for column in ours.names:
        assert_same(ours.column(column), r_s.column(column))
        assert getattr(ours.column(column), "ordered", None) == getattr(r_s.column(column), "ordered", None)


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_describes_the_columns(name: str) -> None:
    data = fetch(name)
    assert len(data) == info(name).rows
    assert list(data.columns) == [column.name for column in info(name).columns]
    for column in info(name).columns:
        is_factor = isinstance(data[column.name].dtype, pd.CategoricalDtype)
        assert is_factor == bool(column.levels)
        assert column.description


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_says_what_it_is_and_whence(name: str) -> None:
    text = re.sub(r"\s+", " ", inspect.getdoc(getattr(datasets, name)) or "")
    stated = info(name)
    assert text.startswith(f"{stated.title}. {stated.rows:,} rows:")
    assert f"Source: {stated.source} Licence: {stated.licence}." in text
    for column in stated.columns:
        levels = f"; {len(column.levels):,} levels" if column.levels else ""
        assert f"- `{column.name}`: {column.description}{levels}" in text


@pytest.mark.parametrize(
    "name", ["sleepstudy", "cake", "star_subset", "dropout_prevention", "course_demo_10x30"]
)
def test_all_kinds_of_frame_hold_the_same(name: str) -> None:
    first, *others = (read_table(fetch(name, kind)) for kind in ("pandas", "polars", "pyarrow"))
    for other in others:
        assert other.names == first.names
        for column in first.names:
            assert_same(other.column(column), first.column(column))


def assert_same(a: object, b: object) -> None:
    if isinstance(a, Categorical):
        assert isinstance(b, Categorical)
        assert a.levels == b.levels
        assert (a.codes == b.codes).all()
    else:
        assert isinstance(a, Numeric)
        assert isinstance(b, Numeric)
        assert ((a.values == b.values) | ((a.values != a.values) & (b.values != b.values))).all()


def test_kinds_of_frame() -> None:
    assert isinstance(datasets.sleepstudy(), pd.DataFrame)
    assert isinstance(datasets.sleepstudy(frame="polars"), pl.DataFrame)
    assert isinstance(datasets.sleepstudy("pyarrow"), pa.Table)
    with pytest.raises(DataTypeError, match="excel"):
        datasets.sleepstudy("excel")


def test_level_order_is_kept_in_each_kind() -> None:
    assert list(datasets.exam()["schgend"].cat.categories) == ["mixed", "boys", "girls"]
    assert datasets.exam("polars").schema["schgend"].categories.to_list() == ["mixed", "boys", "girls"]
    assert read_table(datasets.exam("pyarrow")).column("schgend").levels == ("mixed", "boys", "girls")
    assert datasets.cake()["temperature"].cat.ordered
    assert datasets.cake("pyarrow").schema.field("temperature").type.ordered


def test_missing_values_are_nulls() -> None:
    assert datasets.star_subset("polars")["math"].null_count() == 278
    assert datasets.star_subset("polars").schema["math"] == pl.Int64
    assert datasets.dietox("pyarrow")["Feed"].null_count == 72
    assert datasets.dietox()["Feed"].isna().sum() == 72


def test_derived_columns_are_left_to_the_tests() -> None:
    assert list(datasets.sleepstudy().columns) == ["Reaction", "Days", "Subject"]
    assert "obs" not in datasets.cbpp().columns


def test_the_course_s_two_tables_of_schools_agree() -> None:
    assert list(datasets.course_prevention()["risk_score"]) == list(datasets.school_prevention()["score"])


def test_callers_do_not_share_data() -> None:
    data = datasets.rail()
    data.loc[0, "travel"] = -1.0
    assert datasets.rail()["travel"].iloc[0] != -1.0


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_catalogue(kind: str) -> None:
    listed = nw.from_native(datasets.catalogue(kind))
    assert listed.get_column("name").to_list() == sorted(NAMES)
    row = listed.filter(nw.col("name") == "pastes")
    assert row.get_column("factors").to_list() == ["batch (10), cask (3), sample (30)"]
    assert row.get_column("rows").to_list() == [60]


def test_frame_libraries_are_imported_only_for_their_own_frames() -> None:
    code = (
        "import sys; from multilevel import datasets; datasets.sleepstudy('polars');"
        "print([m for m in ('pandas', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_dir_lists_the_data_sets_alone():
    assert dir(datasets) == sorted(datasets.__all__)
