"""Whatever frame the data come in, a column means the same."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from multilevel.errors import ColumnNotFoundError, DataError, DataTypeError
from multilevel.frames.pandas_columns import _KNOWN
from multilevel.frames.table import Categorical, Column, Numeric, read_table


def one_chunk_each(values: list[Any]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([value], pa.array(values).type) for value in values])


MAKERS: dict[str, Callable[[list[Any]], Any]] = {
    "pandas": lambda values: pd.DataFrame({"a": values}, index=[7] * len(values)),
    "pandas objects": lambda values: pd.DataFrame({"a": pd.Series(values, dtype=object)}),
    "polars": lambda values: pl.DataFrame({"a": values}),
    "polars lazy": lambda values: pl.LazyFrame({"a": values}),
    "polars objects": lambda values: pl.DataFrame({"a": pl.Series(values, dtype=pl.Object)}),
    "pyarrow": lambda values: pa.table({"a": values}),
    "pyarrow in chunks": lambda values: pa.table({"a": one_chunk_each(values)}),
    "mapping of lists": lambda values: {"a": values},
    "mapping of objects": lambda values: {"a": np.array(values, dtype=object)},
}
every_frame = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def column(data: Any, name: str = "a") -> Column:
    return read_table(data).column(name)


def numeric(data: Any) -> Numeric:
    found = column(data)
    assert isinstance(found, Numeric)
    assert found.values.dtype == np.float64
    assert found.values.flags.c_contiguous
    return found


def categorical(data: Any) -> Categorical:
    found = column(data)
    assert isinstance(found, Categorical)
    assert found.codes.dtype == np.int32
    return found


@every_frame
def test_floats(make: Callable[[list[Any]], Any]) -> None:
    found = numeric(make([1.5, None, 2.0]))
    np.testing.assert_array_equal(found.values, [1.5, np.nan, 2.0])
    np.testing.assert_array_equal(found.missing, [False, True, False])
    assert not found.integer


@every_frame
def test_integers(make: Callable[[list[Any]], Any]) -> None:
    found = numeric(make([3, 1, 2]))
    assert found.integer
    assert found.missing is None
    np.testing.assert_array_equal(found.values, [3.0, 1.0, 2.0])


@every_frame
def test_strings_are_sorted_labels(make: Callable[[list[Any]], Any]) -> None:
    found = categorical(make(["b", None, "a", "b"]))
    assert found.levels == ("a", "b")
    np.testing.assert_array_equal(found.codes, [1, -1, 0, 1])
    assert not found.ordered


@every_frame
def test_truth_values_are_labels(make: Callable[[list[Any]], Any]) -> None:
    found = categorical(make([True, None, True]))
    assert found.levels == (False, True)
    np.testing.assert_array_equal(found.codes, [1, -1, 1])


@every_frame
def test_decimals_are_numbers(make: Callable[[list[Any]], Any]) -> None:
    found = numeric(make([Decimal("1.50"), None, Decimal("-2.25")]))
    np.testing.assert_array_equal(found.values, [1.5, np.nan, -2.25])


@every_frame
def test_dates_are_days(make: Callable[[list[Any]], Any]) -> None:
    found = numeric(make([dt.date(1970, 1, 2), None, dt.date(2020, 1, 1)]))
    np.testing.assert_array_equal(found.values, [1.0, np.nan, 18262.0])


@every_frame
def test_a_column_of_nothing_is_missing_numbers(make: Callable[[list[Any]], Any]) -> None:
    found = numeric(make([None, None]))
    assert found.missing is not None
    assert found.missing.all()


@pytest.mark.parametrize("name", ["pandas", "pandas objects", "polars", "pyarrow", "mapping of lists"])
def test_no_rows(name: str) -> None:
    table = read_table(MAKERS[name]([]))
    assert table.n_rows == 0
    assert len(numeric(MAKERS[name]([])).values) == 0


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"a": pd.to_datetime(["1970-01-01 12:00", None])}),
        pd.DataFrame({"a": pd.to_datetime(["1970-01-01 13:00", None]).tz_localize("Europe/Oslo")}),
        pl.DataFrame({"a": [dt.datetime(1970, 1, 1, 12), None]}),
        pa.table({"a": [dt.datetime(1970, 1, 1, 12), None]}),
        {"a": np.array(["1970-01-01T12", "NaT"], dtype="datetime64[h]")},
        {"a": pd.to_timedelta([12, None], unit="h")},
        pl.DataFrame({"a": [dt.timedelta(hours=12), None]}),
        pa.table({"a": [dt.timedelta(hours=12), None]}),
        {"a": np.array([12, "NaT"], dtype="timedelta64[h]")},
    ],
    ids=str,
)
def test_times_and_durations_are_days(data: Any) -> None:
    np.testing.assert_array_equal(numeric(data).values, [0.5, np.nan])


@pytest.mark.parametrize("dtype", ["Int64", "int64[pyarrow]", "UInt8", "Int16"])
def test_nullable_integers(dtype: str) -> None:
    found = numeric(pd.DataFrame({"a": pd.array([1, None], dtype=dtype)}))
    np.testing.assert_array_equal(found.values, [1.0, np.nan])
    assert found.integer


@pytest.mark.parametrize("dtype", ["string", "string[pyarrow]", "str", object])
def test_pandas_string_types(dtype: Any) -> None:
    found = categorical(pd.DataFrame({"a": pd.Series(["b", None, "a", float("nan")], dtype=dtype)}))
    assert found.levels == ("a", "b")
    np.testing.assert_array_equal(found.codes, [1, -1, 0, -1])


def test_polars_null_and_nan_are_both_missing() -> None:
    found = numeric(pl.DataFrame({"a": [1.0, None, float("nan")]}))
    np.testing.assert_array_equal(found.missing, [False, True, True])


def test_nan_among_objects_is_missing() -> None:
    data = pl.DataFrame({"a": pl.Series(["x", float("nan"), Decimal("nan")], dtype=pl.Object)})
    np.testing.assert_array_equal(categorical(data).codes, [0, -1, -1])


def test_masked_arrays() -> None:
    found = numeric({"a": np.ma.array([1.0, 2.0], mask=[False, True])})
    np.testing.assert_array_equal(found.values, [1.0, np.nan])


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, np.uint64])
def test_narrow_and_unsigned_numbers(dtype: Any) -> None:
    np.testing.assert_array_equal(numeric({"a": np.array([1, 2], dtype=dtype)}).values, [1.0, 2.0])


def test_integers_beyond_float64_keep_their_identity() -> None:
    big = [2**60, 2**60 + 1]
    for data in (
        {"a": np.array(big)},
        pd.DataFrame({"a": big}),
        pl.DataFrame({"a": big}),
        pa.table({"a": big}),
    ):
        found = numeric(data)
        assert found.exact is not None
        assert found.exact.tolist() == big


def test_pandas_categorical_keeps_order_and_unused_levels() -> None:
    cells = pd.Categorical(["b", "a", None], categories=["b", "z", "a"], ordered=True)
    found = categorical(pd.DataFrame({"a": cells}))
    assert found.levels == ("b", "z", "a")
    assert found.ordered
    np.testing.assert_array_equal(found.codes, [0, 2, -1])


def test_categories_that_are_numbers_stay_numbers() -> None:
    assert categorical({"a": pd.Categorical([2.0, 1.0])}).levels == (1.0, 2.0)


def test_polars_enum_keeps_its_order() -> None:
    found = categorical(pl.DataFrame({"a": ["b", "a", None]}, schema={"a": pl.Enum(["b", "z", "a"])}))
    assert found.levels == ("b", "z", "a")
    np.testing.assert_array_equal(found.codes, [0, 2, -1])


def test_polars_categorical_is_sorted() -> None:
    found = categorical(pl.DataFrame({"a": ["b", "a", None]}, schema={"a": pl.Categorical}))
    assert found.levels == ("a", "b")
    np.testing.assert_array_equal(found.codes, [1, 0, -1])


def test_arrow_dictionaries_of_several_chunks() -> None:
    chunks = [pa.array(cells).dictionary_encode() for cells in (["b", "a", None], ["c", "a"])]
    found = categorical(pa.table({"a": pa.chunked_array(chunks)}))
    assert found.levels == ("b", "a", "c")
    np.testing.assert_array_equal(found.codes, [0, 1, -1, 2, 1])


def test_arrow_dictionary_with_nulls_and_repeats() -> None:
    labels = pa.array(["x", None, "x", "y"])
    encoded = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3, None]), labels)
    found = categorical(pa.table({"a": encoded}))
    assert found.levels == ("x", "y")
    np.testing.assert_array_equal(found.codes, [0, -1, 0, 1, -1])


@pytest.mark.parametrize(
    ("cells", "culprit"),
    [
        ([1, 2, "n/a"], r"'a' mixes numbers with text: row 2 .* holds 'n/a'"),
        (["u", "v", 3.5], r"'a' mixes text with numbers: row 2 .* holds 3.5"),
        ([True, False, 2], r"'a' mixes truth values with numbers: row 2"),
        ([[1], [2]], r"'a' holds objects of type list: row 0"),
        ([2**70, 1], r"more than 64 bits"),
        ([b"x"], r"bytes"),
    ],
)
def test_mixed_and_odd_objects_are_refused(cells: list[Any], culprit: str) -> None:
    with pytest.raises(DataTypeError, match=culprit):
        column(pd.DataFrame({"a": pd.Series(cells, dtype=object)}))


@pytest.mark.parametrize(
    "data",
    [
        {"a": np.array([1j])},
        {"a": np.ones((2, 2))},
        {"a": np.array([b"x"])},
        pd.DataFrame({"a": pd.period_range("2020", periods=2, freq="M")}),
        pl.DataFrame({"a": [[1], [2]]}),
        pl.DataFrame({"a": [dt.time(1)]}),
        pa.table({"a": [{"b": 1}]}),
    ],
    ids=str,
)
def test_columns_no_model_can_use(data: Any) -> None:
    with pytest.raises(DataTypeError, match="'a'"):
        column(data)


@pytest.mark.parametrize("data", ["data.csv", [1, 2], None, np.ones((2, 2)), pd.Series([1.0]), 3], ids=str)
def test_what_is_not_a_frame(data: Any) -> None:
    with pytest.raises(DataTypeError, match="expected a data frame"):
        read_table(data)


def test_a_path_is_answered_with_how_to_read_it() -> None:
    with pytest.raises(DataTypeError, match="read_csv"):
        read_table("data.csv")


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]),
    ],
    ids=["pandas", "pyarrow"],
)
def test_repeated_names(data: Any) -> None:
    with pytest.raises(DataError, match=r"unique.*: a"):
        read_table(data)


def test_names_that_are_equal_as_text() -> None:
    with pytest.raises(DataError, match=r"unique.*: 0"):
        read_table(pd.DataFrame([[1, 2]], columns=[0, "0"]))
    with pytest.raises(DataError, match=r"unique.*: 0"):
        read_table({0: [1], "0": [2]})


def test_unequal_and_scalar_columns() -> None:
    with pytest.raises(DataError, match="'a' has 2, 'b' has 1"):
        read_table({"a": [1, 2], "b": [1]})
    with pytest.raises(DataTypeError, match="'a' is of type int"):
        read_table({"a": 1})
    with pytest.raises(DataTypeError, match="'a' is of type str"):
        read_table({"a": "xyz"})


def test_unknown_column_suggests_the_nearest() -> None:
    table = read_table({"Reaction": [1.0], "Days": [0]})
    with pytest.raises(ColumnNotFoundError, match="Did you mean 'Reaction'"):
        table.column("reacton")
    with pytest.raises(ColumnNotFoundError, match="The columns are: Reaction, Days"):
        table.column("qqq")
    assert "columns are" not in str(_not_found(read_table({f"v{i}": [0] for i in range(50)})))


def _not_found(table: Any) -> ColumnNotFoundError:
    with pytest.raises(ColumnNotFoundError) as caught:
        table.column("nothing")
    return caught.value


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (pd.DataFrame({"a": [1]}), "pandas"),
        (pl.DataFrame({"a": [1]}), "polars"),
        (pl.LazyFrame({"a": [1]}), "polars"),
        (pa.table({"a": [1]}), "pyarrow"),
        ({"a": [1]}, "pandas"),
        (np.array([(1,)], dtype=[("a", int)]), "pandas"),
    ],
    ids=["pandas", "polars", "lazy", "pyarrow", "mapping", "structured"],
)
def test_shape_and_kind(data: Any, kind: str) -> None:
    table = read_table(data)
    assert (table.names, table.n_rows, table.kind) == (("a",), 1, kind)
    assert numeric(data).values[0] == 1.0


def test_only_positions_count_in_a_mapping_of_series() -> None:
    data = {"a": pd.Series([1.0, 2.0], index=[5, 4]), "b": pl.Series([3.0, 4.0]), "c": pd.Series(["x", "y"])}
    table = read_table(data)
    np.testing.assert_array_equal(table.column("a").values, [1.0, 2.0])
    np.testing.assert_array_equal(table.column("b").values, [3.0, 4.0])


def test_pandas_indexes_and_labels_of_all_kinds() -> None:
    index = pd.MultiIndex.from_tuples([(1, 1), (1, 1)])
    data = pd.DataFrame(
        [[1.0, 2.0], [3.0, 4.0]], index=index, columns=pd.MultiIndex.from_product([["y"], [0, 1]])
    )
    table = read_table(data)
    assert table.names == ("('y', 0)", "('y', 1)")
    np.testing.assert_array_equal(table.column("('y', 1)").values, [2.0, 4.0])


def test_a_column_is_read_once_and_floats_are_not_copied() -> None:
    values = np.array([1.0, 2.0])
    table = read_table({"a": values})
    assert table.column("a") is table.column("a")
    assert np.shares_memory(numeric({"a": values}).values, values)
    frame = pd.DataFrame({"a": values})
    assert np.shares_memory(numeric(frame).values, frame["a"].to_numpy())


def test_bad_columns_that_nobody_asks_for_do_no_harm() -> None:
    table = read_table(pd.DataFrame({"a": [1, "x"], "b": [1, 2]}))
    assert table.column("b") is not None


def test_frame_libraries_are_imported_only_for_their_own_data() -> None:
    code = (
        "import sys, numpy as np; from multilevel.frames.table import read_table;"
        "from multilevel.frames.output import to_frame;"
        "read_table({'a': np.arange(3)}).column('a');"
        "print([m for m in ('pandas', 'polars', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "labels", [["a", "b"], ["b", None, "a", "b"]], ids=["complete", "with a missing value"]
)
@pytest.mark.parametrize("indices", [pa.uint8(), pa.uint32(), pa.uint64(), pa.int8()], ids=str)
def test_arrow_dictionaries_with_any_kind_of_index(labels: list[str | None], indices: pa.DataType) -> None:
    encoded = pa.array(labels).dictionary_encode().cast(pa.dictionary(indices, pa.string()))
    found = categorical(pa.table({"a": encoded}))
    assert [None if code < 0 else found.levels[code] for code in found.codes] == labels


def test_a_polars_enum_through_arrow_keeps_its_order() -> None:
    enum = pl.Series(["a", None, "b"], dtype=pl.Enum(["b", "a"]))
    found = categorical(pl.DataFrame({"a": enum}).to_arrow())
    assert found.levels == ("b", "a")
    np.testing.assert_array_equal(found.codes, [1, -1, 0])


def test_polars_categoricals_are_sorted_whatever_polars_met_before() -> None:
    pl.Series(["z", "b", "y"], dtype=pl.Categorical)  # numbers its labels for the whole process
    found = categorical(pl.DataFrame({"a": pl.Series(["b", None, "a", "b"], dtype=pl.Categorical)}))
    assert found.levels == ("a", "b")
    np.testing.assert_array_equal(found.codes, [1, -1, 0, 1])
    nothing = categorical(pl.DataFrame({"a": pl.Series([None, None], dtype=pl.Categorical)}))
    assert nothing.levels == ()
    np.testing.assert_array_equal(nothing.codes, [-1, -1])


@every_frame
def test_labels_of_integers_need_no_real_numbers(make: Callable[[list[Any]], Any]) -> None:
    table = read_table(make([7, 5, 2**60, 5]))
    found = table.labels("a")
    assert found.levels == ("5", "7", str(2**60))
    np.testing.assert_array_equal(found.codes, [1, 0, 2, 0])
    assert table.labels("a") is found
    assert isinstance(table.column("a"), Numeric)


@every_frame
def test_labels_are_missing_where_the_column_is(make: Callable[[list[Any]], Any]) -> None:
    for values, levels in (([7, None, 5], ("5", "7")), (["b", None, "a"], ("a", "b"))):
        found = read_table(make(values)).labels("a")
        assert found.levels == levels
        np.testing.assert_array_equal(found.codes, [1, -1, 0])


def test_a_column_that_is_only_in_the_index() -> None:
    data = pd.DataFrame({"y": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="school"))
    with pytest.raises(
        ColumnNotFoundError, match=r"'school' in the data\. It is in the index.*reset_index\(\)"
    ):
        read_table(data).column("school")


def test_labels_read_before_are_those_of_this_very_index() -> None:
    frame = pd.DataFrame({"g": pd.Categorical(["b", "a", "b"])})
    assert read_table(frame).names == ("g",)
    assert categorical({"a": frame["g"]}).levels == ("a", "b")
    frame.columns = ["h"]
    frame["h"] = frame["h"].cat.rename_categories({"a": "A"})
    assert read_table(frame).names == ("h",)
    assert categorical({"a": frame["h"]}).levels == ("A", "b")


def test_labels_are_forgotten_with_their_index() -> None:
    before = len(_KNOWN)
    for k in range(5):
        read_table(pd.DataFrame({f"x{k}": pd.Categorical(["a", "b"])})).column(f"x{k}")
    assert len(_KNOWN) <= before + 2


def test_a_view_of_a_view_is_itself() -> None:
    table = read_table({"a": [1.0, 2.0]})
    assert read_table(table) is table
