"""Tables go back in the user's kind of frame, with nulls where a row was not used."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from multilevel.errors import DataTypeError
from multilevel.frames.output import to_frame, with_columns
from multilevel.frames.table import Categorical, Numeric, read_table

KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.Table}
every_kind = pytest.mark.parametrize("kind", KINDS)

ROWS = np.array([True, False, True])
LABELS = Categorical(np.array([1, -1, 0], dtype=np.int32), ("z", "x"), ordered=True)


def frame(kind: str) -> Any:
    return to_frame({"a": [1, 2, 3], "g": ["u", "v", "u"]}, kind)


def cells(native: Any, name: str) -> list[Any]:
    return [None if v is None or v != v else v for v in nw.from_native(native).get_column(name).to_list()]  # noqa: PLR0124


@every_kind
def test_types_survive(kind: str) -> None:
    made = to_frame(
        {"term": ["x", "y"], "u": np.array(["p", "q"]), "n": [1, 2], "z": [0.5, np.nan], "ok": [True, False]},
        kind,
    )
    assert isinstance(made, KINDS[kind])
    schema = nw.from_native(made).schema
    assert list(schema.values()) == [nw.String, nw.String, nw.Int64, nw.Float64, nw.Boolean]
    assert cells(made, "term") == ["x", "y"]
    assert cells(made, "z") == [0.5, None]


@every_kind
def test_categoricals_keep_their_levels(kind: str) -> None:
    back = read_table(to_frame({"g": LABELS}, kind)).column("g")
    assert isinstance(back, Categorical)
    assert back.levels == ("z", "x")
    np.testing.assert_array_equal(back.codes, LABELS.codes)
    assert back.ordered == (kind != "polars")  # polars has no ordered categoricals


@every_kind
def test_missing_numbers_are_nulls(kind: str) -> None:
    holes = np.array([False, True])
    columns = {
        "n": Numeric(np.array([1.0, np.nan]), integer=True, missing=holes),
        "x": Numeric(np.array([0.5, np.nan]), integer=False, missing=holes),
        "m": Numeric(np.array([1.0, 2.0]), integer=True, missing=None),
    }
    made = nw.from_native(to_frame(columns, kind))
    assert made.get_column("n").null_count() == made.get_column("x").null_count() == 1
    assert cells(made, "n") == [1, None]
    assert made.schema["m"] == nw.Int64
    assert kind == "pandas" or made.schema["n"] == nw.Int64
    spread = with_columns(frame(kind), {"n": columns["n"], "m": columns["m"]}, ROWS)
    assert cells(spread, "n") == [1, None, None]
    assert cells(spread, "m") == [1, None, 2]


@every_kind
def test_no_rows_and_no_columns(kind: str) -> None:
    assert nw.from_native(to_frame({"a": np.zeros(0)}, kind)).shape == (0, 1)
    assert nw.from_native(to_frame({}, kind)).columns == []


def test_unknown_kind() -> None:
    with pytest.raises(DataTypeError, match=r"'excel'.*pandas, polars"):
        to_frame({"a": [1]}, "excel")


@every_kind
def test_rows_are_restored_with_nulls(kind: str) -> None:
    new = {"fit": np.array([0.5, 0.7]), "n": [7, 8], "s": ["p", "q"]}
    made = with_columns(frame(kind), new, ROWS)
    assert nw.from_native(made).columns == ["a", "g", "fit", "n", "s"]
    assert cells(made, "fit") == [0.5, None, 0.7]
    assert cells(made, "n") == [7, None, 8]
    assert cells(made, "s") == ["p", None, "q"]
    assert nw.from_native(made).get_column("fit").is_null().to_list() == [False, True, False]


@every_kind
def test_categoricals_are_restored_too(kind: str) -> None:
    kept = Categorical(np.array([0, 1], dtype=np.int32), ("z", "x"), ordered=False)
    back = read_table(with_columns(frame(kind), {"h": kept}, ROWS)).column("h")
    assert isinstance(back, Categorical)
    assert [None if c < 0 else back.levels[c] for c in back.codes] == ["z", None, "x"]


@every_kind
@pytest.mark.parametrize("rows", [None, np.ones(3, dtype=bool)], ids=["no mask", "all rows"])
def test_all_rows_used(kind: str, rows: Any) -> None:
    made = with_columns(frame(kind), {"n": [4, 5, 6]}, rows)
    assert nw.from_native(made).schema["n"] == nw.Int64
    assert cells(made, "n") == [4, 5, 6]


@every_kind
def test_no_rows_used(kind: str) -> None:
    made = with_columns(
        frame(kind), {"fit": np.zeros(0), "n": np.zeros(0, dtype=int)}, np.zeros(3, dtype=bool)
    )
    assert cells(made, "fit") == cells(made, "n") == [None, None, None]


@every_kind
def test_an_old_column_is_replaced_where_it_stands(kind: str) -> None:
    made = with_columns(frame(kind), {"a": [0.5, 1.5, 2.5]})
    assert nw.from_native(made).columns == ["a", "g"]
    assert cells(made, "a") == [0.5, 1.5, 2.5]


@pytest.mark.parametrize(
    "index",
    [[5, 5, 2], pd.MultiIndex.from_tuples([(1, 1), (1, 1), (0, 0)]), ["x", "y", "z"]],
    ids=["repeated", "multi", "text"],
)
def test_a_pandas_index_is_kept_and_ignored(index: Any) -> None:
    data = pd.DataFrame({"a": [1, 2, 3]}, index=index)
    made = with_columns(data, {"fit": [0.5, 0.7]}, ROWS)
    assert made.index.equals(data.index)
    assert cells(made, "fit") == [0.5, None, 0.7]
    assert list(data.columns) == ["a"]


def test_mappings_lazy_frames_and_structured_arrays() -> None:
    structured = np.array([(1,), (2,), (3,)], dtype=[("a", int)])
    odd = {"a": pd.Series([1, 2, 3], index=[2, 1, 0]), "g": pd.Categorical(["u", "v", "u"])}
    for data in ({"a": [1, 2, 3]}, structured, odd, pl.LazyFrame({"a": [1, 2, 3]})):
        made = with_columns(data, {"fit": [0.5, 0.7]}, ROWS)
        assert isinstance(made, pl.DataFrame if isinstance(data, pl.LazyFrame) else pd.DataFrame)
        assert cells(made, "a") == [1, 2, 3]
        assert cells(made, "fit") == [0.5, None, 0.7]
